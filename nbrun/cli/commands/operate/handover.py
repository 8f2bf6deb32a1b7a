"""`nbrun handover`: offer a run to another operator; and what `nbrun attach` asks of that one."""

import os
import select
from pathlib import Path

from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate.no_supervisor import explain_no_supervisor
from nbrun.cli.commands.prompts import Prompts
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NoSupervisorError, RefusedAttachError, UsageError
from nbrun.journal import own_runs, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
from nbrun.views.text import brief, phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain


@reading("the run")
def offer(run: str, runs_dir: Path | None, *, to: str, reason: str, foreign: bool) -> ExitCode:
    """Offer the run to the account `to`, or withdraw the offer if that is empty; print a brief.

    Raises:
        RefusedAttachError: the run refused it; the message says why.
        UsageError: the run has ended or was interrupted.
        NoSupervisorError: the supervisor is gone, or the run ended before the offer arrived.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    own_runs.require_foreign_option(directory, foreign=foreign)
    try:
        answer = _send(directory, decisions.Handover(to=to, reason=reason))
    except NoSupervisorError as error:
        raise explain_no_supervisor(directory, error) from None
    out = open_console()
    if isinstance(answer, ev.DecisionProposed):
        _print_brief(*_read(directory))
        out.print(Text(plain(f"{directory.id}: {_awaited(directory, answer)}"), overflow="fold"))
    elif to:
        _print_brief(*_read(directory))
        accepts = f"{directory.id}: offered to {to}, who accepts it with: nbrun attach"
        out.print(Text(plain(f"{accepts} {directory.path}"), overflow="fold"))
    else:
        out.print(Text(plain(f"{directory.id}: the offer is withdrawn")))
    return ExitCode.COMPLETED


def _awaited(directory: RunDirectory, proposed: ev.DecisionProposed) -> str:
    """Return that the offer waits for an approval, of what and by whom."""
    state, _ = _read(directory)
    what = phrases.decision(state, proposed)
    return f"{what}; {phrases.approval_needed(state, proposed)}"


def is_anothers(directory: RunDirectory) -> bool:
    """Return True if the run belongs to another account, and this is not root."""
    return os.getuid() not in (0, directory.journal.lstat().st_uid)


def accept(directory: RunDirectory) -> None:
    """Make sure that this user operates another account's run, knowingly.

    Raises:
        UsageError: the run is not offered to this user, or the answer was no.
        RefusedAttachError: the run refused; the message says why.
        NoSupervisorError: the supervisor is gone.
    """
    state, last_stop = _read(directory)
    own_runs.require_recorded_owner(directory, state.plan.operator)
    uid = os.getuid()
    operates = state.handed_to is not None and state.handed_to.uid == uid
    if not operates and (state.offer is None or state.offer.to_uid != uid):
        raise RefusedAttachError(
            f"{directory.id}: belongs to {state.owner.name} (uid {state.owner.uid}): only its "
            "owner can operate this run, and it is not offered to you: see nbrun watch"
        )
    _print_brief(state, last_stop)
    question = "operate this run? [y/N] " if operates else "accept this run, and operate it? [y/N] "
    if Prompts().ask(question).strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was accepted")
    if not operates:
        _send(directory, decisions.AcceptHandover())


def _read(directory: RunDirectory) -> tuple[RunState, Record | None]:
    """Return the run's state and the record of its last stop."""
    state, last_stop = RunState(), None
    for record in JournalReader(directory.journal):
        apply(state, record.event)
        last_stop = record if brief.is_stop(record) else last_stop
    return state, last_stop


def _print_brief(state: RunState, last_stop: Record | None) -> None:
    open_console().print(facts(brief.rows(state, last_stop)))


def _send(
    directory: RunDirectory,
    decision: decisions.Handover | decisions.AcceptHandover,
) -> ev.Event:
    """Send `decision`, follow the journal until the run has acted on it, and return how it has.

    Raises:
        RefusedAttachError: the run refused it; the message says why.
        NoSupervisorError: the run ended before.
    """
    client = SocketClient(directory, "follow")
    client.send(decision)
    answer = None
    while answer is None and not client.closed:
        select.select([client], [], [], 1.0)
        own = (each for each in client.receive() if _sender(each) == client.operator)
        answer = next((each for each in own if isinstance(each.event, _ANSWERS)), None)
    client.detach()
    if answer is not None and isinstance(answer.event, ev.DecisionRefused):
        raise RefusedAttachError(f"{directory.id}: {answer.event.why}")
    if answer is None and client.refused:
        raise RefusedAttachError(f"{directory.id}: {client.refused}")
    if answer is None:
        raise NoSupervisorError(f"{directory.id}: the run ended before it received the decision")
    return answer.event


_ANSWERS = (
    ev.DecisionRefused,
    ev.DecisionProposed,
    ev.Decided,  # withdrawn while it waited for an approval
    ev.HandoverOffered,
    ev.HandoverAccepted,
    ev.HandoverWithdrawn,
)


def _sender(record: Record) -> Operator | None:
    """Return who made the decision that `record` answers; None if it answers none."""
    return record.event.operator if isinstance(record.event, _ANSWERS) else None
