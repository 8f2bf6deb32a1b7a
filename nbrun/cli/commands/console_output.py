"""What the commands that show runs have in common: the screen, raw lines, and the exit code."""

import os
import sys
from typing import TextIO

from rich.console import Console

from nbrun.audit import seals as seal
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.errors import ExitCode
from nbrun.journal import reader
from nbrun.journal.codec import encode
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain

_NO_SCREEN = (160, 25)  # columns, rows


def screen(display: DisplayOptions | None = None, *, stderr: bool = False) -> Console:
    """The terminal on stdout; where that is none, plain text, wide enough to keep paths whole."""
    is_one = (sys.stderr if stderr else sys.stdout).isatty()
    width, height = (None, None) if is_one else _NO_SCREEN
    return Screen(
        highlight=False,
        emoji=False,
        markup=False,
        width=width,
        height=height,  # where it isn't told, rich asks the system for it again and again
        stderr=stderr,
        color_system=None if display is not None and display.plain else "auto",
        _environ=dict(os.environ),  # looked at for each line; os.environ decodes what it is asked
    )


class Screen(Console):
    """rich's console, which would end the whole program, and so the run, on a closed pipe, and
    asks the system at each line whether it is a terminal."""

    _terminal: bool | None = None

    @property
    def is_terminal(self) -> bool:
        if self._terminal is None:
            self._terminal = super().is_terminal
        return self._terminal

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError("stdout was closed")


class JsonView:
    """The journal's own lines, one an event. On a terminal their controls are made visible."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._safe = plain if file.isatty() else str

    def show(self, _state: RunState, record: Record) -> None:
        self._file.write(self._safe(encode(record).decode()) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def tick(self) -> None:
        pass

    def interject(self) -> None:
        pass

    def suspend(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self) -> None:
        self._file.flush()


def say_if_sealed(started: ev.RunStarted, directory: RunDirectory) -> None:
    """On stderr, of a run that has ended and was to be signed."""
    if not started.sign_key:
        return
    last, seals = reader.last(directory.journal), seal.read(directory.seals)
    if last is not None and seals and (seals[-1].seq, seals[-1].head) == (last.seq, last.hash):
        told = f"sealed with {started.sign_key}"
    else:
        told = (
            f"NOT SEALED: the end of the record could not be signed; see {directory.log}. When it "
            f"can be: nbrun seal {directory.id}"
        )
    print(told, file=sys.stderr)  # noqa: T201


def exit_code(state: RunState) -> ExitCode:
    """What a run's end says to a shell (DESIGN, "Exit codes")."""
    finished = state.finished
    if finished is None:
        return ExitCode.INTERNAL
    if finished.outcome == "completed":
        return ExitCode.OFF_SCRIPT if finished.off_script else ExitCode.COMPLETED
    return ExitCode.CANCELLED if finished.outcome == "cancelled" else ExitCode.FAILED
