"""`nbrun approve` and `nbrun reject`: a second person decides about a waiting step."""

import select
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate import offline_approval
from nbrun.cli.commands.operate.no_supervisor import explain_no_supervisor
from nbrun.cli.commands.prompts import Prompts
from nbrun.core import approval, approval_request, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import PendingApproval
from nbrun.core.choices import needs
from nbrun.core.decisions import Decision, SignedReply
from nbrun.core.proposals import proposed_decision
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NoSupervisorError, RefusedAttachError, UsageError
from nbrun.journal import own_runs, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
from nbrun.views.terminal import approval as approval_view
from nbrun.views.text import phrases
from nbrun.views.text.sanitize import plain


@reading("the run")
def approve(run: str, runs_dir: Path | None, *, reason: str, yes: bool) -> ExitCode:
    """Show what waits for an approval, ask whether it may run, and send the approval to the run.

    Raises:
        UsageError: nothing waits, there is no terminal, or the answer was no.
        RefusedAttachError: the run refused the approval; the message says why.
        NoSupervisorError: the supervisor is gone, or the run ended before the approval arrived.
    """
    directory, state, awaited = _find_awaited(run, runs_dir)
    _show(state, awaited)
    if not yes:
        _confirm(state)
    decision = decisions.Approve(binding=awaited.binding, reason=reason)
    return _send(directory, decision, _subject(state, awaited), _so_far(state, awaited))


@reading("the run")
def request(run: str, runs_dir: Path | None) -> ExitCode:
    """Print the request for an approval, for somebody who signs it on another machine.

    Raises:
        UsageError: nothing waits.
    """
    _, state, awaited = _find_awaited(run, runs_dir)
    return offline_approval.print_request(
        approval_request.new_request(state, awaited, datetime.now(UTC))
    )


@reading("the run")
def hand_in(run: str, runs_dir: Path | None, signature: Path) -> ExitCode:
    """Send the run the approval that somebody signed, in the file `signature`.

    Raises:
        UsageError: the file has no signed approval, or nothing waits.
        RefusedAttachError: the run refused it; the message says why.
        NoSupervisorError: the supervisor is gone, or the run ended before the approval arrived.
    """
    reply = offline_approval.read(signature, SignedReply)
    directory, state, awaited = _find_awaited(run, runs_dir)
    decision = decisions.Approve(binding=reply.binding, reason=reply.reason, reply=reply)
    return _send(directory, decision, _subject(state, awaited), _so_far(state, awaited))


@reading("the run")
def reject(run: str, runs_dir: Path | None, *, reason: str) -> ExitCode:
    """Send a rejection of what waits for an approval.

    Raises:
        UsageError: nothing waits.
        RefusedAttachError: the run refused the rejection; the message says why.
        NoSupervisorError: the supervisor is gone, or the run ended before the rejection arrived.
    """
    directory, state, awaited = _find_awaited(run, runs_dir)
    return _send(directory, decisions.Reject(reason=reason), _subject(state, awaited))


def _subject(state: RunState, awaited: PendingApproval) -> str:
    return phrases.waiting_subject(state, awaited)


def _so_far(state: RunState, awaited: PendingApproval) -> str:
    """Return `1 of 2 approvals`, with the one to be sent, if more than one is needed."""
    if awaited.rule.count == 1:
        return ""
    count = len(approval.approvals_of(state, awaited.binding)) + 1
    return f"; {count} of {awaited.rule.count} approvals"


def _find_awaited(
    run: str, runs_dir: Path | None
) -> tuple[RunDirectory, RunState, PendingApproval]:
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    state = fold(record.event for record in JournalReader(directory.journal))
    awaited = approval.pending_approval(state)
    if awaited is None:
        raise UsageError(f"{directory.id}: nothing waits for an approval")
    own_runs.require_recorded_owner(directory, state.plan.operator)
    return directory, state, awaited


def _show(state: RunState, awaited: PendingApproval) -> None:
    """Print everything that an approval covers."""
    out, so_far = open_console(), phrases.approvals_so_far(state, awaited)
    request = approval_request.new_request(state, awaited, datetime.now(UTC))
    for each in approval_view.renderables(request, so_far):
        out.print(each)


def _confirm(state: RunState) -> None:
    """Ask whether to approve. What a program proposed, nobody has confirmed: ask that, too."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: read the step, and pass --yes")
    proposal = state.proposal
    if proposal is not None and proposal.operator.is_program:
        _confirm_step(state, proposed_decision(proposal))
    if _ask("approve this? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was approved")


def _confirm_step(state: RunState, decision: Decision) -> None:
    """Show the question of the step that `decision` runs, and ask for the text that it wants."""
    if question := needs.question(state, decision):
        open_console().print(Text(plain(question)))
    typed = needs.typed_text(state, decision)
    if typed and _ask(plain(f"type {typed} to confirm: ")) != typed:
        raise UsageError("that does not match: nothing was approved")


def _ask(question: str) -> str:
    try:
        return Prompts().ask(question)
    except (EOFError, OSError):
        return ""


def _send(
    directory: RunDirectory,
    decision: decisions.Approve | decisions.Reject,
    about: str,
    so_far: str = "",
) -> ExitCode:
    """Send `decision`, and follow the journal until the run has accepted or refused it."""
    try:
        client = SocketClient(directory, "follow")
    except NoSupervisorError as error:
        raise explain_no_supervisor(directory, error) from None
    client.send(decision)
    result = None
    while result is None and not client.closed:
        select.select([client], [], [], 1.0)
        for record in client.receive():
            result = result or _result(record.event, client.operator, decision)
    client.detach()
    if result is None and client.refused:
        raise RefusedAttachError(f"{directory.id}: {client.refused}")
    if result is None:
        raise NoSupervisorError(f"{directory.id}: the run ended before it received the decision")
    if isinstance(result, ev.DecisionRefused):
        raise RefusedAttachError(f"{directory.id}: {result.why}")
    verb = "approved" if isinstance(result, ev.ApprovalGranted) else "rejected"
    open_console().print(Text(plain(f"{directory.id}: {about}: {verb}{so_far}")))
    return ExitCode.COMPLETED


ApprovalResult = ev.ApprovalGranted | ev.ApprovalRejected | ev.DecisionRefused


def _result(
    event: ev.Event, operator: model.Operator, decision: decisions.Approve | decisions.Reject
) -> ApprovalResult | None:
    """Return `event` if it says what the run did with this `decision` of `operator`."""
    if not isinstance(event, ApprovalResult) or _sender(event) != operator:
        return None
    wanted = ev.ApprovalGranted if isinstance(decision, decisions.Approve) else ev.ApprovalRejected
    return event if isinstance(event, wanted | ev.DecisionRefused) else None


def _sender(event: ApprovalResult) -> model.Operator:
    """Return who sent the decision: of a signed approval, whoever handed it in."""
    if isinstance(event, ev.ApprovalGranted) and event.signed is not None:
        return event.signed.handed_in_by
    return event.operator
