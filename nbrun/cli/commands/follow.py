"""Follow a run on this terminal: create the console, and turn the run's end into an exit code."""

import os
import stat
import sys
from typing import TextIO

from nbrun.cli.commands.console_output import (
    CommandConsole,
    JsonView,
    exit_code,
    open_console,
    print_forwarding_status,
    print_index_status,
    print_seal_status,
)
from nbrun.cli.error_output import print_error
from nbrun.core import events as ev
from nbrun.core.state import Phase, RunState
from nbrun.errors import ExitCode
from nbrun.journal.history import last_attempts
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import JournalClient, SocketClient
from nbrun.supervisor.console import Asker, Console, View
from nbrun.system import standard_streams
from nbrun.views.terminal.dialogue import Dialogue
from nbrun.views.terminal.typed_lines.keyboard import Keyboard
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions


def operate(
    directory: RunDirectory, client: SocketClient, *, display: DisplayOptions, show_from: int = 0
) -> ExitCode:
    """Show the run and ask the operator for decisions, until it ends or the operator detaches."""
    view, out = _view(directory, display)
    asking = out if out.file.isatty() else open_console(display, stderr=True)
    asker: Asker = Dialogue(
        asking,
        Keyboard(sys.stdin.fileno(), asking, plain=display.plain or _is_pipe(sys.stdout)),
        client.fileno(),
        lambda: JournalReader(directory.journal),
        display,
    )
    console = Console(client, view, asker, show_from=show_from, me=client.operator)
    return _follow(directory, client, console)


def _is_pipe(stream: TextIO) -> bool:
    """Return True for the output of `nbrun start | tee`, which is shown between drawings."""
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


def unattended(
    directory: RunDirectory, client: SocketClient, *, json: bool, display: DisplayOptions
) -> ExitCode:
    """Show the run, or with `json` its journal lines, and ask nobody. SIGTERM cancels the run."""
    view = _json_view() if json else _view(directory, display)[0]
    return _follow(directory, client, Console(client, view, None, answerable=True))


def watch(directory: RunDirectory, *, display: DisplayOptions, json: bool = False) -> ExitCode:
    """Show the run, or with `json` its journal lines, as the journal grows. Sends nothing.

    End early if nobody reads stdout any more.
    """
    return _watch(directory, display=display, json=json, needs_view=True)[0]


def ended(directory: RunDirectory, *, display: DisplayOptions, json: bool = False) -> ExitCode:
    """Show a run whose supervisor is gone already, as if it had been followed to its end."""
    code, state = _watch(directory, display=display, json=json)
    if state.finished is not None:
        _print_statuses(state.plan, directory)
    return code


def _watch(
    directory: RunDirectory, *, display: DisplayOptions, json: bool, needs_view: bool = False
) -> tuple[ExitCode, RunState]:
    client = JournalClient(directory.journal)
    view = _json_view() if json else _view(directory, display)[0]
    console = Console(client, view, None, needs_view=needs_view)
    state = console.follow()
    client.close()
    if console.detach_reason:
        return ExitCode.WAITING, state
    if state.finished is None and client.is_deleted:
        print_error(f"{directory.path}: was deleted, and the record with it")
        return ExitCode.INTERNAL, state
    if state.finished is None:
        print_error(
            "the record ends here: the run was interrupted. To continue it: "
            f"nbrun resume {directory.id}"
        )
        was_running = state.unsettled or state.attempt
        return ExitCode.INDETERMINATE if was_running else ExitCode.INTERNAL, state
    return exit_code(state), state


def _json_view() -> View:
    standard_streams.raise_if_stdout_is_lost()
    return JsonView(sys.stdout)


def _view(directory: RunDirectory, display: DisplayOptions) -> tuple[View, CommandConsole]:
    standard_streams.raise_if_stdout_is_lost()
    out = open_console(display)
    view = TerminalView(
        out,
        live=out.redraws,
        display=display,
        load_last_times=lambda runbook: last_attempts(directory, runbook),
    )
    view.set_record_path(str(directory.path))
    return view, out


# ── the end ──────────────────────────────────────────────────────────────────────────────────


def _follow(directory: RunDirectory, client: SocketClient, console: Console) -> ExitCode:
    try:
        state = console.follow()
    except BaseException:
        client.detach("nbrun's own console failed", lost=True)
        raise
    if console.detach_reason:
        client.detach(console.detach_reason, lost=console.was_lost)
        print_error(f"{console.detach_reason}; take control with: nbrun attach {directory.id}")
        return ExitCode.WAITING
    client.close()
    if state.finished is not None:
        if client.is_overdue:
            print_error(client.describe_loss())
        _print_statuses(state.plan, directory)
        return exit_code(state)
    return _explain_missing_end(directory, client, running=state.phase is Phase.RUNNING)


def _print_statuses(started: ev.RunStarted, directory: RunDirectory) -> None:
    """Print what became of the copies of the record; the supervisor has done with them."""
    print_seal_status(started, directory)
    print_forwarding_status(started, directory)
    print_index_status(directory)


def _explain_missing_end(
    directory: RunDirectory, client: SocketClient, *, running: bool
) -> ExitCode:
    """Print why no more records come although the run has not ended, and what to do."""
    if client.taken_over_by is not None:
        by = client.taken_over_by
        print_error(f"{by.name} (uid {by.uid}, {by.via}) has taken this run over; it continues")
        return ExitCode.WAITING
    if client.refused:
        print_error(f"the run's supervisor refuses: {client.refused}; the run continues")
        return ExitCode.WAITING
    if client.failure is not None:
        print_error(client.failure.why)
        return ExitCode(client.failure.exit_code)
    print_error(client.describe_loss())
    print_error(f"to continue the run: nbrun resume {directory.id}")
    return ExitCode.INDETERMINATE if running else ExitCode.INTERNAL
