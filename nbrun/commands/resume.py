"""`nbrun resume`: go on with a run that was interrupted."""

import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import parameter_sources as sources
from nbrun import processes, reopening, resumption, run_directory, secrets_again
from nbrun.commands import conduct, values
from nbrun.commands.screens import screen
from nbrun.commands.start import someone_is_there
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.events import Record
from nbrun.fold import fold
from nbrun.launching import spawn
from nbrun.link import SocketLink
from nbrun.orders import ResumeOrder
from nbrun.parameters import Given
from nbrun.reading import Reading
from nbrun.state import RunState
from nbrun.views import code, log, wording
from nbrun.views.ansi import plain
from nbrun.views.look import Look
from nbrun.views.terminal import TerminalView


def resume(
    run: str,
    runs_dir: Path | None,
    *,
    assignments: tuple[str, ...] = (),
    new_runbook: bool,
    reason: str,
    look: Look,
) -> ExitCode:
    """Show how the run stands, and go on with it on this terminal. `assignments`: its secrets.

    Raises:
        UsageError: nobody can be asked here; or the run goes on or has ended.
        ParameterError: what is given is refused.
        DeclinedError: it can't be gone on with; nothing was changed.
    """
    if not someone_is_there():
        raise UsageError("resume asks, and there is no terminal to ask on")
    directory = run_directory.find(run_directory.runs_dir(runs_dir), run)
    reopening.note_interruption(directory.journal)
    records = list(Reading(directory.journal))
    state = fold(record.event for record in records)
    secrets_again.refuse_others(state, sources.parse_assignments(assignments))
    _show_how_it_stands(records, state, look, new_runbook=new_runbook)
    order = ResumeOrder(
        directory=str(directory.path),
        new_runbook=new_runbook,
        reason=reason,
        given=_secrets(state, assignments),
    )
    spawned = spawn()
    spawned.order(order)
    try:
        link = SocketLink(spawned.directory(), "operate")
    except KeyboardInterrupt:  # before the console has an ear for it; to cancel is another wish
        print(f"nbrun: left; where the run goes on: nbrun attach {directory.id}", file=sys.stderr)  # noqa: T201
        return ExitCode.WAITING
    except NoSupervisorError:  # it has ended as quickly as that
        return conduct.look_on(directory, look=look)
    return conduct.operate(directory, link, show_from=len(records), look=look)


def _secrets(state: RunState, assignments: tuple[str, ...]) -> dict[str, Given]:
    """What a new kernel is to be given again. A kernel that is still there has it."""
    kernel = state.process
    gone = kernel is None or not processes.is_kernel(kernel)
    given = values.given_again(assignments, secrets_again.declared(state), ask_for=gone)
    unknown = ", ".join(name for name in state.plan.secrets if name not in given)
    if unknown:
        told = f"\nnot known here, and recorded as it is where a cell prints it: {unknown}"
        screen().print(Text(plain(told), style="bold yellow"))
    return given


def _show_how_it_stands(
    records: list[Record], state: RunState, look: Look, *, new_runbook: bool
) -> None:
    """What was done, what nobody saw end, and what is left."""
    out = screen(look)
    out.print(log.steps_table(records))
    for attempt in state.unsettled:
        where = wording.step(state, attempt.step)
        told = f"{where}, attempt {attempt.attempt}, until nbrun was gone:"
        out.print(Text(), Text(plain(told)))
        view = TerminalView(out, live=False, held=True, look=look)
        log.replay(records, view, step=attempt.step)
    _show_changes(out, state, new_runbook=new_runbook)


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
        out.print(code.source(changed, "diff"))
