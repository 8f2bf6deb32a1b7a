"""Read a step's contract from a cell's tags and metadata: questions, limits, impact, approval.

`cell.metadata.nbrun` takes precedence over the notebook's `nbrun.defaults`, and those over
`[defaults]` in `nbrun.toml`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from nbrun import units
from nbrun.core.approval import ApprovalRule
from nbrun.core.model import Contract, Impact
from nbrun.errors import RunbookError, UsageError
from nbrun.runbook.notebook import short

IMPACTS = get_args(Impact)
_DAY = 86400.0  # seconds
_MAX_SECONDS = 31 * _DAY
_MAX_RETRIES = 100
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONFIRM = "Run this step?"

TAGS = frozenset(
    ("parameters", "injected-parameters", "setup", "fill", "confirm", "approve", "manual")
) | {"check", "undo", "shell-errors-ok", "nested-errors-ok", "skip-execution", "raises-exception"}

# Tags that a check can't have: it is no step, and nobody decides about it.
NO_TAGS_WITH_CHECK = TAGS - {"check", "shell-errors-ok", "nested-errors-ok"}

# For each key: a check of its value, and the words for a valid value
Rules = Mapping[str, tuple[Callable[[Any], bool], str]]


@dataclass(frozen=True)
class ContractContext:
    """Defaults and parameter values that the contracts of a runbook's steps refer to.

    Attributes:
        defaults: values for keys that a cell does not set.
        values: what each `{name}` in a question stands for.
        hidden: the names of secrets, which a question must not contain.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


def contract_of(
    where: str, kind: str, metadata: Mapping[str, Any], context: ContractContext
) -> Contract:
    """Return the contract of a cell of type `kind`, which is `code` or `markdown`.

    Raises:
        RunbookError: the contract is not valid. The message begins with `where`.
    """
    for fault in faults(kind, metadata, context):
        raise RunbookError(f"{where}: {fault}")
    tags, own = _tags(metadata), _own(metadata)
    manual = kind == "markdown" and "manual" in tags
    settings = own if manual else {**context.defaults, **own}
    return Contract(
        manual=manual,
        confirm=_question(tags, own, context),
        typed=render_question(own["type"], context) if "type" in own else "",
        timeout=None if settings.get("timeout") is None else float(settings["timeout"]),
        retries=settings.get("retries", 0),
        retry_delay=float(settings.get("retry_delay", 0)),
        impact=settings.get("impact"),
        **_approval(tags, own),
    )


def is_manual(cell: Mapping[str, Any]) -> bool:
    """Return True if `cell` is a step that a person does: a Markdown cell tagged `manual`."""
    return cell["cell_type"] == "markdown" and "manual" in _tags(cell["metadata"])


def faults(kind: str, metadata: Mapping[str, Any], context: ContractContext) -> Iterator[str]:
    """Yield each fault of a cell's contract, with its remedy."""
    tags, own = _tags(metadata), _own(metadata)
    yield from setting_faults("metadata.nbrun", own, CELL)
    if kind == "code" and "manual" in tags:
        yield "the tag manual is for Markdown cells, which a person follows: remove it"
    asks = {"confirm", "approve"} & tags or set(own) - {"title"}
    if kind != "code" and "manual" not in tags and asks:
        yield "only a code cell, or a Markdown cell tagged manual, is a step: tag it manual"
    if "manual" in tags:
        for key in sorted({"timeout", "retries", "retry_delay"} & set(own)):
            yield f"metadata.nbrun.{key} has no effect on a step that a person does: remove it"
    yield from template_faults(own, context)


def notebook_faults(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault of a notebook's own settings, in `metadata.nbrun`."""
    own = _own(metadata)
    yield from setting_faults("metadata.nbrun", own, NOTEBOOK)
    yield from setting_faults("metadata.nbrun.defaults", own.get("defaults", {}), DEFAULTS)


def setting_faults(where: str, settings: Any, rules: Rules) -> Iterator[str]:
    """Yield each unknown key and each wrong value of a table of settings."""
    if not isinstance(settings, Mapping):
        yield f"{where} must be an object, not {short(settings)}"
        return
    for key, value in settings.items():
        if key not in rules:
            yield f"{where}.{key} is not known (known: {', '.join(sorted(rules))})"
            continue
        is_valid, expected = rules[key]
        if not is_valid(value):
            yield f"{where}.{key} must be {expected}, not {short(value)}"


def _tags(metadata: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(metadata.get("tags", ()))


def _own(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metadata.get("nbrun", {})
    return found


def _approval(tags: frozenset[str], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Contract` about approval. An empty group is the policy's, or anybody's.

    None for the group means that no approval is needed.
    """
    setting = own.get("approve", "approve" in tags)
    if setting is False:
        return {"approve": None}
    rule = approval_rule(setting)
    return {"approve": rule.group, "approvals": rule.count, "approve_within": rule.within}


def approval_rule(setting: Any) -> ApprovalRule:
    """Return the rule that `setting` stands for: True, or an object that `is_approval` accepts."""
    found = setting if isinstance(setting, Mapping) else {}
    within = found.get("within")
    return ApprovalRule(
        group=found.get("group", ""),
        count=found.get("min", 1),
        within=None if within is None else _seconds(within),
    )


# ── questions with parameter values ──────────────────────────────────────────────────────────────


def _question(tags: frozenset[str], own: Mapping[str, Any], context: ContractContext) -> str | None:
    setting = own.get("confirm")
    if isinstance(setting, str):
        return render_question(setting, context)
    asked = setting is True or "type" in own or ("confirm" in tags and setting is not False)
    return _CONFIRM if asked else None


def render_question(template: str, context: ContractContext) -> str:
    """Replace each `{name}` in `template` by that parameter's value.

    `{{` stands for a brace. Braces inside a value are not replaced.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        found = context.values[match[1]]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _FIELD.sub(value, template)


def template_faults(own: Mapping[str, Any], context: ContractContext) -> Iterator[str]:
    """Yield each fault of the questions in a cell's settings."""
    for key in ("confirm", "type"):
        if isinstance(own.get(key), str):
            yield from field_faults(key, own[key], context)


def field_faults(key: str, template: str, context: ContractContext) -> Iterator[str]:
    """Yield each fault of the `{name}` in a text, which is at `key` in a cell's settings."""
    for match in _FIELD.finditer(template):
        name = match[1]
        if name is None and len(match[0]) == 1:
            yield f"metadata.nbrun.{key} has a single brace: write {{{{ or }}}} for a brace"
        elif name is not None and name in context.hidden:
            yield f"metadata.nbrun.{key} contains the secret {name}: use another parameter"
        elif name is not None and name not in context.values:
            yield (
                f"metadata.nbrun.{key} contains {{{name}}}, whose value is not known before the "
                "run: use a parameter that is given, or whose default is a literal"
            )


# ── valid values of each key ─────────────────────────────────────────────────────────────────────


def valid_seconds(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= _MAX_SECONDS


def _is_timeout(value: Any) -> bool:
    return value is None or (valid_seconds(value) and value > 0)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_RETRIES


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _seconds(value: Any) -> float:
    """Return a duration in seconds: a number, or a text such as `2h`. Raises UsageError."""
    return units.parse_duration(value if isinstance(value, str) else str(value), "within")


def _is_period(value: Any) -> bool:
    if not isinstance(value, str):
        return valid_seconds(value) and value > _SHORTEST
    try:
        return _SHORTEST < _seconds(value) <= _MAX_SECONDS
    except UsageError:
        return False


def is_approval(value: Any) -> bool:
    """Return True if `value` is an object that says who has to approve."""
    if not isinstance(value, Mapping) or not value or not {*value} <= {*_APPROVAL}:
        return False
    return all(_APPROVAL[key](setting) for key, setting in value.items())


def _is_approve(value: Any) -> bool:
    return isinstance(value, bool) or is_approval(value)


_SHORTEST = 1.0  # seconds that an approval holds, at least
_MAX_APPROVALS = 20
_APPROVAL: dict[str, Callable[[Any], bool]] = {
    "group": _is_line,
    "min": lambda value: type(value) is int and 1 <= value <= _MAX_APPROVALS,
    "within": _is_period,
}
APPROVAL_WORDS = (
    f'{{"group": NAME, "min": 1 to {_MAX_APPROVALS}, "within": "2h"}}, or a part of that'
)

DEFAULTS: Rules = {
    "timeout": (_is_timeout, "seconds, more than 0 and at most 31 days, or null"),
    "retries": (_is_count, f"a whole number from 0 to {_MAX_RETRIES}"),
    "retry_delay": (valid_seconds, "seconds, from 0 to 31 days"),
    "impact": (lambda value: value in IMPACTS, f"one of {', '.join(IMPACTS)}"),
}
CELL: Rules = {
    **DEFAULTS,
    "title": (lambda value: isinstance(value, str), "text"),
    "confirm": (lambda value: isinstance(value, bool) or _is_line(value), "a question, or true"),
    "type": (_is_line, "one line of text, which the operator has to type"),
    "approve": (_is_approve, f"true, or {APPROVAL_WORDS}"),
}
NOTEBOOK: Rules = {
    "parameters": (lambda _value: True, ""),  # `parameters.schema` checks it
    "defaults": (lambda value: isinstance(value, Mapping), "an object"),
}
