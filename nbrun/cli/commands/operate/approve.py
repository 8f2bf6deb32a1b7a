"""`nbrun approve` and `nbrun reject`: what another person says of what waits for it."""

import select
import sys
from pathlib import Path

from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import screen
from nbrun.cli.commands.operate.attach import why_not
from nbrun.core import approval, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import Awaited
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NoSupervisorError, RefusedAttachError, UsageError
from nbrun.journal import run_directory
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketLink
from nbrun.views.render import mime, source
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain


def approve(run: str, runs_dir: Path | None, *, reason: str, yes: bool) -> ExitCode:
    """Show what waits, ask whether it may run, and say so to the run.

    Raises:
        UsageError: nothing waits, nobody can be asked here, or the answer was no.
        RefusedAttachError: the run does not take this approval; the message says why.
    """
    directory, state, waiting = _waiting(run, runs_dir)
    _show(state, waiting)
    if not yes:
        _ask()
    decision = decisions.Approve(binding=waiting.binding, reason=reason)
    return _said(directory, decision, phrases.about(state, waiting))


def reject(run: str, runs_dir: Path | None, *, reason: str) -> ExitCode:
    """Say to the run that what waits should not run as it is. Raises as `approve` does."""
    directory, state, waiting = _waiting(run, runs_dir)
    return _said(directory, decisions.Reject(reason=reason), phrases.about(state, waiting))


def _waiting(run: str, runs_dir: Path | None) -> tuple[RunDirectory, RunState, Awaited]:
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    state = fold(record.event for record in Reading(directory.journal))
    waiting = approval.awaited(state)
    if waiting is None:
        raise UsageError(f"{directory.id}: nothing waits for an approval")
    return directory, state, waiting


def _show(state: RunState, waiting: Awaited) -> None:
    """The whole of what is approved."""
    plan, out = state.plan, screen()
    step = state.steps.get(waiting.step or "")
    rows = [
        ("run", plan.run),
        ("runbook", plan.runbook),
        ("started by", phrases.operator(plan.operator)),
        ("reason", plan.reason),
        ("ticket", plan.ticket),
        ("host", plan.host),
        *((f"parameter {name}", repr(value)) for name, value in plan.parameters.items()),
        ("step", phrases.step(state, step.step.id) if step else ""),
        ("impact", (step.step.contract.impact or "") if step else ""),
        *_decided(state.proposal),
    ]
    out.print(facts([row for row in rows if row[1]]))
    if step is not None and step.step.contract.manual:
        out.print(mime.markdown(step.step.source))
    elif waiting.source is not None:
        language = state.kernel_info.language if state.kernel_info else "python"
        out.print(source.source(waiting.source, language))
    changed = phrases.change(state, state.proposal) if state.proposal and step else ""
    if changed:
        out.print(Text("where the runbook is changed:"), source.source(changed, "diff"))


def _decided(proposal: ev.DecisionProposed | None) -> list[tuple[str, str]]:
    """What the operator wants, where it is another thing than the step as it stands."""
    if proposal is None:
        return []
    return [
        ("decision", proposal.decision),
        ("by", phrases.operator(proposal.operator)),
        ("why", proposal.reason),
        ("leaves the script", "; ".join(phrases.DEVIATIONS[kind] for kind in proposal.kinds)),
    ]


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: say --yes if you have looked at the step")
    answer = screen().input(Text("approve this? [y/N] "))
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was approved")


def _said(
    directory: RunDirectory, decision: decisions.Approve | decisions.Reject, about: str
) -> ExitCode:
    """Send it, and follow the journal until it says what came of it."""
    try:
        link = SocketLink(directory, "follow")
    except NoSupervisorError as error:
        raise why_not(directory, error) from None
    link.send(decision)
    told = None
    while told is None and not link.closed:
        select.select([link], [], [], 1.0)
        for record in link.receive():
            told = told or _answer(record.event, link.operator, decision)
    link.leave()
    if told is None:
        raise NoSupervisorError(f"{directory.id}: the run ended before it took the answer")
    if isinstance(told, ev.DecisionRefused):
        raise RefusedAttachError(f"{directory.id}: {told.why}")
    how = "approved" if isinstance(told, ev.ApprovalGranted) else "rejected"
    screen().print(Text(plain(f"{directory.id}: {about}: {how}")))
    return ExitCode.COMPLETED


Told = ev.ApprovalGranted | ev.ApprovalRejected | ev.DecisionRefused


def _answer(
    event: ev.Event, who: model.Operator, decision: decisions.Approve | decisions.Reject
) -> Told | None:
    """`event`, where it says what came of this decision of `who`."""
    if not isinstance(event, Told) or event.operator != who:
        return None
    wanted = ev.ApprovalGranted if isinstance(decision, decisions.Approve) else ev.ApprovalRejected
    return event if isinstance(event, wanted | ev.DecisionRefused) else None
