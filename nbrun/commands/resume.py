"""`nbrun resume`: go on with a run that was interrupted."""

import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import reopening, resumption, run_directory
from nbrun.commands import conduct
from nbrun.commands.screens import screen
from nbrun.commands.start import someone_is_there
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.fold import fold
from nbrun.journal import Reading
from nbrun.launching import spawn
from nbrun.link import SocketLink
from nbrun.orders import ResumeOrder
from nbrun.run_directory import RunDirectory
from nbrun.state import RunState
from nbrun.views import log, mime, wording
from nbrun.views.ansi import plain
from nbrun.views.look import Look
from nbrun.views.terminal import TerminalView


def resume(
    run: str, runs_dir: Path | None, *, new_runbook: bool, reason: str, look: Look
) -> ExitCode:
    """Show how the run stands, and go on with it on this terminal.

    Raises:
        UsageError: nobody can be asked here; or the run goes on or has ended.
        DeclinedError: it can't be gone on with; nothing was changed.
    """
    if not someone_is_there():
        raise UsageError("resume asks, and there is no terminal to ask on")
    directory = run_directory.find(run_directory.runs_dir(runs_dir), run)
    reopening.note_interruption(directory.journal)
    seen = _show_how_it_stands(directory, look, new_runbook=new_runbook)
    order = ResumeOrder(directory=str(directory.path), new_runbook=new_runbook, reason=reason)
    spawned = spawn()
    spawned.order(order)
    try:
        link = SocketLink(spawned.directory(), "operate")
    except KeyboardInterrupt:  # before the console has an ear for it; to cancel is another wish
        print(f"nbrun: left; where the run goes on: nbrun attach {directory.id}", file=sys.stderr)  # noqa: T201
        return ExitCode.WAITING
    except NoSupervisorError:  # it has ended as quickly as that
        return conduct.look_on(directory, look=look)
    return conduct.operate(directory, link, show_from=seen, look=look)


def _show_how_it_stands(directory: RunDirectory, look: Look, *, new_runbook: bool) -> int:
    """What was done, what nobody saw end, and what is left; how many records were told."""
    records = list(Reading(directory.journal))
    state = fold(record.event for record in records)
    out = screen(look)
    out.print(log.steps_table(records))
    for attempt in state.unsettled:
        where = wording.step(state, attempt.step)
        told = f"{where}, attempt {attempt.attempt}, until nbrun was gone:"
        out.print(Text(), Text(plain(told)))
        view = TerminalView(out, live=False, held=True, look=look)
        log.replay(records, view, step=attempt.step)
    _show_changes(out, state, new_runbook=new_runbook)
    return len(records)


def _show_changes(out: Console, state: RunState, *, new_runbook: bool) -> None:
    try:
        changed = resumption.changes(state)
    except UsageError as error:
        if new_runbook:
            raise
        out.print(Text(f"\nthe runbook can't be read any more ({error})"))
        out.print(Text("the run goes on by the recorded one"))
        return
    if changed:
        which = "now followed" if new_runbook else "not followed: --use-new-runbook takes it"
        out.print(Text(f"\nthe runbook has changed since the run began; the new one is {which}"))
        out.print(mime.source(changed, "diff"))
