"""A run followed on this terminal: the console made, and what its end says to a shell."""

import sys
from collections.abc import Callable

from rich.console import Console as RichConsole

from nbrun.cli.commands.console_output import JsonView, exit_code, say_if_sealed, screen
from nbrun.core.state import Phase
from nbrun.errors import ExitCode
from nbrun.journal.history import last_times
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import JournalLink, SocketLink
from nbrun.supervisor.console import Asker, Console, View
from nbrun.views.terminal.dialogue import Dialogue
from nbrun.views.terminal.line_input import Keyboard
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions


def operate(
    directory: RunDirectory, link: SocketLink, *, display: DisplayOptions, show_from: int = 0
) -> ExitCode:
    """Show the run and ask on this terminal until it ends, or is left to go on."""
    view, out = _view(directory, display)
    asking = out if out.is_terminal else screen(display, stderr=True)
    asker: Asker = Dialogue(
        asking,
        Keyboard(sys.stdin.fileno(), _writer(asking)),
        link.fileno(),
        lambda: Reading(directory.journal),
        display,
    )
    return _follow(
        directory, link, Console(link, view, asker, show_from=show_from, me=link.operator)
    )


def answer_for(
    directory: RunDirectory, link: SocketLink, *, json: bool, display: DisplayOptions
) -> ExitCode:
    """Show the run, or with `json` its journal's lines, and stand for it: nobody is asked."""
    view = JsonView(sys.stdout) if json else _view(directory, display)[0]
    return _follow(directory, link, Console(link, view, None, answerable=True))


def look_on(directory: RunDirectory, *, display: DisplayOptions, json: bool = False) -> ExitCode:
    """Show the run as its journal grows."""
    link = JournalLink(directory.journal)
    view = JsonView(sys.stdout) if json else _view(directory, display)[0]
    console = Console(link, view, None)
    state = console.follow()
    link.leave()
    if console.left:
        return ExitCode.WAITING
    if state.finished is None:
        _say(
            f"the record ends here: the run was interrupted; go on with nbrun resume {directory.id}"
        )
        return ExitCode.INDETERMINATE if state.unsettled or state.attempt else ExitCode.INTERNAL
    return exit_code(state)


def _view(directory: RunDirectory, display: DisplayOptions) -> tuple[View, RichConsole]:
    out = screen(display)
    view = TerminalView(
        out,
        live=out.is_terminal and not out.is_dumb_terminal,
        display=display,
        look_back=lambda runbook: last_times(directory, runbook),
    )
    view.describe_record(str(directory.path))
    return view, out


def _writer(console: RichConsole) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.file.write(text)
        console.file.flush()

    return write


# ── the end ──────────────────────────────────────────────────────────────────────────────────


def _follow(directory: RunDirectory, link: SocketLink, console: Console) -> ExitCode:
    try:
        state = console.follow()
    except BaseException:
        link.leave("nbrun's own console failed")
        raise
    if console.left:
        link.leave(console.left)
        _say(f"{console.left}; the run goes on: nbrun attach {directory.id}")
        return ExitCode.WAITING
    link.close()
    if state.finished is not None:
        say_if_sealed(state.plan, directory)
        return exit_code(state)
    return _without_an_end(directory, link, running=state.phase is Phase.RUNNING)


def _without_an_end(directory: RunDirectory, link: SocketLink, *, running: bool) -> ExitCode:
    """Why nothing more comes though the run has no end, and what to do."""
    if link.taken_over is not None:
        by = link.taken_over
        _say(f"{by.name} (uid {by.uid}, {by.via}) has taken this run over; it goes on")
        return ExitCode.WAITING
    if link.failure is not None:
        _say(link.failure.why)
        return ExitCode(link.failure.exit_code)
    _say("the run's supervisor is gone: it was killed, or crashed")
    _say(f"go on with it: nbrun resume {directory.id}")
    return ExitCode.INDETERMINATE if running else ExitCode.INTERNAL


def _say(text: str) -> None:
    """On stderr; nothing where that is gone."""
    try:
        sys.stderr.write(f"nbrun: {text}\n")
        sys.stderr.flush()
    except OSError:
        return
