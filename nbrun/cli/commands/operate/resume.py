"""`nbrun resume`: go on with a run that was interrupted."""

import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import config
from nbrun.cli.commands import follow, gather_parameters
from nbrun.cli.commands.console_output import screen
from nbrun.cli.commands.operate.start import someone_is_there
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.journal import recovery, run_directory
from nbrun.journal.reader import Reading
from nbrun.runbook.parameters import sources
from nbrun.runbook.parameters.resolve import Given
from nbrun.supervisor import resume as interrupted
from nbrun.supervisor import secret_reentry
from nbrun.supervisor.client import SocketLink
from nbrun.supervisor.requests import ResumeRequest
from nbrun.supervisor.spawn import spawn
from nbrun.system import processes
from nbrun.views.render import source
from nbrun.views.terminal import replay
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text import phrases
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain


def resume(
    run: str,
    runs_dir: Path | None,
    *,
    assignments: tuple[str, ...] = (),
    new_runbook: bool,
    reason: str,
    display: DisplayOptions,
) -> ExitCode:
    """Show how the run stands, and go on with it on this terminal. `assignments`: its secrets.

    Raises:
        UsageError: nobody can be asked here; or the run goes on or has ended.
        ParameterError: what is given is refused.
        DeclinedError: it can't be gone on with; nothing was changed.
    """
    if not someone_is_there():
        raise UsageError("resume asks, and there is no terminal to ask on")
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.note_interruption(directory.journal)
    records = list(Reading(directory.journal))
    state = fold(record.event for record in records)
    secret_reentry.refuse_others(state, sources.parse_assignments(assignments))
    _show_how_it_stands(records, state, display, new_runbook=new_runbook)
    order = ResumeRequest(
        directory=str(directory.path),
        new_runbook=new_runbook,
        reason=reason,
        given=_secrets(state, assignments),
    )
    spawned = spawn()
    spawned.send(order)
    try:
        link = SocketLink(spawned.wait_until_started(), "operate")
    except KeyboardInterrupt:  # before the console has an ear for it; to cancel is another wish
        print(f"nbrun: left; where the run goes on: nbrun attach {directory.id}", file=sys.stderr)  # noqa: T201
        return ExitCode.WAITING
    except NoSupervisorError:  # it has ended as quickly as that
        return follow.look_on(directory, display=display)
    return follow.operate(directory, link, show_from=len(records), display=display)


def _secrets(state: RunState, assignments: tuple[str, ...]) -> dict[str, Given]:
    """What a new kernel is to be given again. A kernel that is still there has it."""
    kernel = state.process
    gone = kernel is None or not processes.is_kernel(kernel)
    given = gather_parameters.given_again(assignments, secret_reentry.declared(state), ask_for=gone)
    unknown = ", ".join(name for name in state.plan.secrets if name not in given)
    if unknown:
        told = f"\nnot known here, and recorded as it is where a cell prints it: {unknown}"
        screen().print(Text(plain(told), style="bold yellow"))
    return given


def _show_how_it_stands(
    records: list[Record], state: RunState, display: DisplayOptions, *, new_runbook: bool
) -> None:
    """What was done, what nobody saw end, and what is left."""
    out = screen(display)
    out.print(replay.steps_table(records))
    for attempt in state.unsettled:
        where = phrases.step(state, attempt.step)
        told = f"{where}, attempt {attempt.attempt}, until nbrun was gone:"
        out.print(Text(), Text(plain(told)))
        view = TerminalView(out, live=False, held=True, display=display)
        replay.replay(records, view, step=attempt.step)
    _show_changes(out, state, new_runbook=new_runbook)


def _show_changes(out: Console, state: RunState, *, new_runbook: bool) -> None:
    try:
        changed = interrupted.runbook_diff(state)
    except UsageError as error:
        if new_runbook:
            raise
        out.print(Text(f"\nthe runbook can't be read any more ({error})"))
        out.print(Text("the run goes on by the recorded one"))
        return
    if changed:
        which = "now followed" if new_runbook else "not followed: --use-new-runbook takes it"
        out.print(Text(f"\nthe runbook has changed since the run began; the new one is {which}"))
        out.print(source.source(changed, "diff"))
