"""The plan of a run: its steps and parameters, and where it would stop, before anything runs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.core.approval import ApprovalRule, combined_rule
from nbrun.core.model import Contract, Policy, RoleTaken, Step
from nbrun.runbook.contract import IMPACTS
from nbrun.runbook.loader import Runbook
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain


def renderable(
    book: Runbook, values: Mapping[str, Any], policy: Policy, rows: list[tuple[str, str]]
) -> RenderableType:
    """Return the plan: facts, parameters, a table of the steps, and a count of their impacts.

    `rows` are further facts, as names and values.
    """
    head = [("runbook", str(book.path)), *rows]
    head += [("parameter", f"{name} = {value!r}") for name, value in values.items()]
    notices = [Text(plain(f"note: {notice}")) for notice in book.notices]
    return Group(facts(head), *notices, Text(), _steps(book, policy), Text(), _count(book))


def _steps(book: Runbook, policy: Policy) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("step", justify="right")
    for column in ("title", "impact", "stops", "limits", "tags"):
        table.add_column(column, overflow="fold")
    for step in book.steps:
        cells = (
            step.title,
            step.contract.impact or "",
            gate(step, policy),
            limits(step),
            ", ".join(step.tags),
        )
        table.add_row(str(step.number), *(Text(plain(cell)) for cell in cells))
    return table


def gate(step: Step, policy: Policy) -> str:
    """Return why the run would stop before `step`; "" if it would not.

    Programs read this text too (see `as_data`).
    """
    contract = step.contract
    needs = "" if contract.approve is None else _approval(combined_rule(policy, contract))
    return ", ".join(each for each in (needs, _own_gate(step, policy)) if each)


def _approval(rule: ApprovalRule) -> str:
    """Return `approval of dba`, or `2 approvals of dba within 2 h 00 min`."""
    what = "approval" if rule.count == 1 else f"{rule.count} approvals"
    group = f" of {rule.group}" if rule.group else ""
    return f"{what}{group}{f' within {phrases.duration(rule.within)}' if rule.within else ''}"


def _own_gate(step: Step, policy: Policy) -> str:
    contract = step.contract
    if "skip-execution" in step.tags:
        return "never run"
    if contract.manual:
        return "for a person to do" + _typed(contract)
    if "fill" in step.tags:
        return "to be completed"
    if contract.confirm is None:
        return "step mode" if policy.step else ""
    destructive = contract.impact == "destructive"
    if policy.yes_destructive if destructive else policy.yes:
        return f"confirmed beforehand: {contract.confirm}"
    return f"confirm: {contract.confirm}" + _typed(contract)


def _typed(contract: Contract) -> str:
    return f" (type {contract.typed})" if contract.typed else ""


def limits(step: Step) -> str:
    """Return `60 s, 3 retries after 5 s, checked for 1 min 00 s, has an undo`."""
    contract = step.contract
    parts = [] if contract.timeout is None else [phrases.duration(contract.timeout)]
    if contract.retries:
        times = "1 retry" if contract.retries == 1 else f"{contract.retries} retries"
        wait = phrases.duration(contract.retry_delay)
        parts.append(f"{times} after {wait}" if contract.retry_delay else times)
    if step.check is not None:
        parts.append(f"checked for {phrases.duration(step.check.timeout)}")
    if step.undo is not None:
        parts.append("has an undo")
    return ", ".join(parts)


def impacts(book: Runbook) -> dict[str, int]:
    """Return how many steps declare each impact, and how many declare none (`unknown`)."""
    counts = Counter(step.contract.impact or "unknown" for step in book.steps)
    return {impact: counts[impact] for impact in (*IMPACTS, "unknown")}


def _check_data(step: Step) -> dict[str, Any] | None:
    """Return the settings of a step's check; None without one."""
    check = step.check
    if check is None:
        return None
    settings = ("id", "interval", "timeout", "settles")
    return {name: getattr(check, name) for name in settings}


def _undo_data(step: Step, policy: Policy) -> dict[str, Any] | None:
    """Return the title and the contract of a step's undo; None without one."""
    undo = step.undo
    if undo is None:
        return None
    contract = msgspec.to_builtins(undo.contract)
    return {"id": undo.id, "title": undo.title, **contract, "gate": gate(undo, policy)}


def _count(book: Runbook) -> Text:
    counts = impacts(book)
    text = ", ".join(f"{count} {impact}" for impact, count in counts.items() if count)
    return Text(f"{len(book.steps)} steps · impact: {text}")


def as_data(
    book: Runbook,
    values: Mapping[str, Any],
    policy: Policy,
    rows: list[tuple[str, str]],
    role: RoleTaken | None,
) -> dict[str, Any]:
    """Return the plan as data of JSON's types."""
    acting = {} if role is None else {"role": role.name, "identities": role.identities}
    return {
        "runbook": str(book.path),
        "sha256": book.sha256,
        **dict(rows),
        **msgspec.to_builtins(acting),
        "parameters": dict(values),
        "notices": list(book.notices),
        "impact": impacts(book),
        "steps": [
            {
                "number": step.number,
                "id": step.id,
                "title": step.title,
                "tags": list(step.tags),
                **msgspec.to_builtins(step.contract),
                "gate": gate(step, policy),
                "check": _check_data(step),
                "undo": _undo_data(step, policy),
            }
            for step in book.steps
        ],
    }
