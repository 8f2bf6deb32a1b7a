"""One run in this process: its engine on one thread, its operator's console on another."""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from rich.console import Console as RichConsole

from nbrun import events as ev
from nbrun.commands.screens import JsonView, Screen, exit_code, screen
from nbrun.console import Asker, Console, View
from nbrun.engine import Engine
from nbrun.errors import ExitCode
from nbrun.journal import Journal, Reading
from nbrun.kernel import LocalKernel
from nbrun.link import LocalLink
from nbrun.run_directory import RunDirectory
from nbrun.views import notebook
from nbrun.views.dialogue import Dialogue
from nbrun.views.keyboard import Keyboard
from nbrun.views.terminal import TerminalView


def conduct(
    started: ev.RunStarted,
    directory: RunDirectory,
    writer: Journal,
    kernel: LocalKernel,
    *,
    json: bool,
) -> ExitCode:
    """Run what `started` says to its end, shown on stdout, asking on this terminal if there is
    somebody; `json`: print the journal's lines instead.

    Raises:
        JournalError: the record can't be kept.
    """
    logging.basicConfig(filename=directory.log, level=logging.WARNING)
    kernel.log_to(directory.log)
    link = LocalLink(started.operator)
    engine = Engine(
        writer,
        make_kernel=kernel.speak_to,
        publish=link.publish,
        save_notebook=_saver(directory, Path(started.runbook)),
    )
    link.connect(engine.inbox)
    failure: list[BaseException] = []
    thread = threading.Thread(
        target=_engine_thread, args=(engine, started, link, failure), name="nbrun-engine"
    )
    thread.start()
    try:
        attended = started.policy.attended
        state = Console(link, *_terminal(directory, link, attended=attended, json=json)).follow()
    except BaseException:  # a run must not wait for ever for a console that is gone
        link.send(ev.Cancel(reason="nbrun's own console failed"))
        raise
    finally:
        thread.join()
    if failure:
        raise failure[0]
    return exit_code(state)


def _engine_thread(
    engine: Engine, started: ev.RunStarted, link: LocalLink, failure: list[BaseException]
) -> None:
    """What ends the engine early is raised where the command can answer for it."""
    try:
        engine.run(started)
    except BaseException as error:  # noqa: BLE001
        failure.append(error)
    finally:
        link.close()


def _saver(directory: RunDirectory, book: Path) -> Callable[[ev.RunFinished | None], str | None]:
    """Writes the output notebook from the journal. One that can't be written stops nothing: it
    can be made again, and the journal says that it is missing."""
    path = directory.notebook(book)

    def save(ending: ev.RunFinished | None) -> str | None:
        content = notebook.build(Reading(directory.journal), ending)
        try:
            return notebook.write(path, content)
        except OSError as error:
            with directory.log.open("a") as log:
                log.write(f"{path}: the output notebook can't be written: {error}\n")
            return None

    return save


def _terminal(
    directory: RunDirectory, link: LocalLink, *, attended: bool, json: bool
) -> tuple[View, Asker | None]:
    if json:
        return JsonView(sys.stdout), None
    out = screen()
    view = TerminalView(out, live=out.is_terminal and not out.is_dumb_terminal)
    view.describe_record(str(directory.path))
    if not attended:
        return view, None
    asking = out if out.is_terminal else Screen(stderr=True, highlight=False)
    return view, Dialogue(
        asking,
        Keyboard(sys.stdin.fileno(), _writer(asking)),
        link.fileno(),
        lambda: Reading(directory.journal),
    )


def _writer(console: RichConsole) -> Callable[[str], None]:
    def write(text: str) -> None:
        console.file.write(text)
        console.file.flush()

    return write
