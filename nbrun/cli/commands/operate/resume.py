"""`nbrun resume`: continue an interrupted run."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import config
from nbrun.cli.commands import follow, gather_parameters
from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate.start import STDOUT_LOST, has_terminal
from nbrun.cli.commands.prompts import Prompts
from nbrun.cli.error_output import print_error
from nbrun.core import addresses
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NoSupervisorError, RunbookError, UsageError
from nbrun.integrations.runbook_addresses.files import runbook_file
from nbrun.journal import own_runs, recovery, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.runbook.parameters import sources
from nbrun.runbook.parameters.types import RawValue
from nbrun.supervisor import secret_reentry
from nbrun.supervisor.client import SocketClient
from nbrun.supervisor.requests import ResumeRequest
from nbrun.supervisor.resume import believed_plan, runbook_diff
from nbrun.supervisor.spawn import spawn
from nbrun.system import processes, standard_streams
from nbrun.views.render import source
from nbrun.views.terminal import replay
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text import phrases
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import message, plain


@reading("the run")
def resume(
    run: str,
    runs_dir: Path | None,
    *,
    assignments: tuple[str, ...] = (),
    new_runbook: bool,
    reason: str,
    foreign: bool,
    display: DisplayOptions,
) -> ExitCode:
    """Show the state of the run, and continue the run on this terminal.

    `assignments` are the secrets of the run, given again as `NAME=@SOURCE`.

    Raises:
        ForeignRunError: the run is another user's, and `foreign` was not given.
        UsageError: there is no terminal, or the run is in progress or has ended.
        ParameterError: a secret is refused, or can't be read from its source.
        DeclinedError: the run can't be continued; nothing was changed.
    """
    if not has_terminal():
        raise UsageError("resume asks questions, and there is no terminal")
    standard_streams.continue_without_stdout(STDOUT_LOST)
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    own_runs.require_own(directory, foreign=foreign)
    recovery.record_interruption(directory.journal)
    records = list(JournalReader(directory.journal))
    state = fold(record.event for record in records)
    # Before anything is shown, asked or read that the record names.
    believed_plan(directory, state, foreign=foreign)
    secret_reentry.refuse_non_secrets(state, sources.parse_assignments(assignments))
    fetched = _fetched_runbook(state) if new_runbook else None
    _show_state(records, state, display, new_runbook=new_runbook, fetched=fetched)
    request = ResumeRequest(
        directory=directory.path,
        new_runbook=new_runbook,
        fetched=fetched,
        reason=reason,
        foreign=foreign,
        given=_collect_secrets(state, assignments, Prompts(plain=display.plain)),
    )
    supervisor = spawn()
    supervisor.send(request)
    try:
        client = SocketClient(supervisor.wait_until_started(), "operate")
    except KeyboardInterrupt:  # before the console has installed its handlers
        # The supervisor is left alone: Ctrl-C here means to leave, not to cancel the run.
        print_error(f"detached; if the run continues: nbrun attach {directory.id}")
        return ExitCode.WAITING
    except NoSupervisorError:  # the run has ended already
        return follow.ended(directory, display=display)
    return follow.operate(directory, client, show_from=len(records), display=display)


def _fetched_runbook(state: RunState) -> Path | None:
    """Fetch the runbook of a run again if it is at an address.

    Raises:
        RunbookError: it can't be fetched. A query of the address, which the record lacks, may be
            why.
    """
    runbook = state.plan.runbook
    if not addresses.is_address(runbook):
        return None
    try:
        return runbook_file(runbook).path
    except RunbookError as error:
        raise RunbookError(
            f"{error}. If its address had a query, the record does not have it: continue without "
            "--use-new-runbook"
        ) from None


def _collect_secrets(
    state: RunState, assignments: tuple[str, ...], prompts: Prompts
) -> dict[str, RawValue]:
    """Return the secrets given again. They are asked for only if a new kernel will need them."""
    kernel = state.process
    is_gone = kernel is None or not processes.is_kernel(kernel)
    given = gather_parameters.gather_secrets(
        assignments, secret_reentry.secret_parameters(state), prompts, ask=is_gone
    )
    unknown = ", ".join(name for name in state.plan.secrets if name not in given)
    if unknown:
        warning = f"\nunknown secrets, recorded in clear text if a cell prints them: {unknown}"
        open_console().print(Text(plain(warning), style="bold yellow"))
    return given


def _show_state(
    records: list[Record],
    state: RunState,
    display: DisplayOptions,
    *,
    new_runbook: bool,
    fetched: Path | None,
) -> None:
    """Show what was done, the attempts that are indeterminate, and what is left."""
    out = open_console(display)
    out.print(replay.steps_table(records))
    for attempt in state.unsettled:
        where = phrases.step(state, attempt.step)
        heading = f"{where}, attempt {attempt.attempt}, until nbrun was gone:"
        out.print(Text(), Text(plain(heading)))
        view = TerminalView(out, live=False, buffered=True, display=display)
        replay.replay(records, view, step=attempt.step)
    if addresses.is_address(state.plan.runbook) and not new_runbook:
        told = f"the runbook is at {state.plan.runbook}, and was not fetched again"
        out.print(Text(), Text(plain(told)))
        out.print(Text("the run continues with the recorded steps"))
    else:
        _show_runbook_changes(out, state, new_runbook=new_runbook, fetched=fetched)


def _show_runbook_changes(
    out: Console, state: RunState, *, new_runbook: bool, fetched: Path | None
) -> None:
    try:
        diff = runbook_diff(state, fetched)
    except UsageError as error:
        if new_runbook:
            raise
        out.print(Text(f"\nthe runbook can't be read: {message(str(error))}"))
        out.print(Text("the run continues with the recorded steps"))
        return
    if diff:
        use = (
            "the run follows it from here on"
            if new_runbook
            else "the run does not follow it. To follow it: --use-new-runbook"
        )
        out.print(Text(f"\nthe runbook has changed since the run began; {use}"))
        out.print(source.highlight(diff, "diff"))
