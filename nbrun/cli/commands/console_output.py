"""Output that commands share: a rich console, journal lines as JSON, exit codes of runs."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import msgspec
from rich.console import Console

from nbrun.audit import forwarding, seals
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.state import RunState
from nbrun.errors import ExitCode
from nbrun.journal import reader, runs_index
from nbrun.journal.codec import encode
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import json_text, plain

_SIZE_WITHOUT_TERMINAL = (160, 25)  # columns and rows; wide enough not to wrap most paths


def open_console(
    display: DisplayOptions | None = None, *, stderr: bool = False
) -> "CommandConsole":
    """Return a console on stdout or `stderr`. It writes plain text if that is not a terminal."""
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width, height = (None, None) if is_terminal else _SIZE_WITHOUT_TERMINAL
    return CommandConsole(
        highlight=False,
        emoji=False,
        markup=False,
        width=width,
        height=height,  # without one, rich asks the system again for each line
        stderr=stderr,
        color_system=None if display is not None and display.plain else "auto",
        _environ=dict(os.environ),  # rich reads it for each line, and os.environ decodes each time
    )


class CommandConsole(Console):
    """A rich console that asks only once whether it is a terminal. rich asks for each line."""

    _terminal: bool | None = None

    @property
    def is_terminal(self) -> bool:
        if self._terminal is None:
            self._terminal = super().is_terminal
        return self._terminal

    @property
    def redraws(self) -> bool:
        """Return True if a person looks at a terminal that can redraw what it shows.

        `is_terminal` does not say so: with FORCE_COLOR or TTY_COMPATIBLE, rich takes a file for a
        terminal. Colours in a file are what the operator asked for; a redrawn screen is not.
        """
        return self.file.isatty() and self.is_interactive and not self.is_dumb_terminal


def print_json(value: Any, *, indent: int = 0) -> None:
    """Print `value` as JSON on one line, or indented. What could act on a terminal is escaped."""
    encoded = _encode(value)
    formatted = msgspec.json.format(encoded, indent=indent) if indent else encoded
    sys.stdout.write(json_text(formatted.decode()) + "\n")


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a file's name that is not text in this locale
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode()


class JsonView:
    """A view that prints the journal's lines. On a terminal, control characters are escaped.

    Elsewhere the lines stay as they are in the journal, for programs that check their hashes.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._sanitize = json_text if file.isatty() else str

    def show(self, _state: RunState, record: Record) -> None:
        self._file.write(self._sanitize(encode(record).decode()) + "\n")

    def flush(self) -> None:
        self._file.flush()

    def tick(self) -> None:
        pass

    def interject(self, _hide: Callable[[], None]) -> None:
        self._file.flush()

    def suspend(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self) -> None:
        self._file.flush()


def print_seal_status(started: ev.RunStarted, directory: RunDirectory) -> None:
    """Print to stderr whether the record of an ended run was sealed, if it was to be signed."""
    if not started.sign_key:
        return
    end, made = reader.last_record(directory.journal), seals.read(directory.seals)
    if end is not None and made and (made[-1].seq, made[-1].head) == (end.seq, end.hash):
        status = f"sealed with {started.sign_key}"
    else:
        status = (
            f"NOT SEALED: signing the end of the record failed; see {directory.log}. "
            f"To sign it later: nbrun seal {directory.id} --sign {started.policy.sign}"
        )
    print(plain(status), file=sys.stderr)  # noqa: T201


def print_forwarding_status(started: ev.RunStarted, directory: RunDirectory) -> None:
    """Print to stderr how many lines of an ended run were not forwarded, if any were to be."""
    unsent = forwarding.unsent_lines(directory) if started.policy.forward else None
    if not unsent:
        return
    status = (
        f"NOT FORWARDED: {unsent} line{'s'[: unsent != 1]} of the record could not be sent to "
        f"{started.policy.forward[0]}; see {directory.log}. The next run that forwards sends them"
    )
    print(plain(status), file=sys.stderr)  # noqa: T201


def print_index_status(directory: RunDirectory) -> None:
    """Print to stderr that the index of runs lacks the end of a run that has ended, if it does."""
    try:
        if runs_index.has_end(directory.journal):
            return
    except OSError as error:
        why = str(error)
    else:
        why = f"see {directory.log}"
    print(plain(f"NOT IN THE INDEX: the end of this run: {why}"), file=sys.stderr)  # noqa: T201


def exit_code(state: RunState) -> ExitCode:
    """Return the exit code for a run in `state`: INTERNAL if the run has no end."""
    finished = state.finished
    if finished is None:
        return ExitCode.INTERNAL
    if finished.outcome == "completed":
        return ExitCode.OFF_SCRIPT if finished.off_script else ExitCode.COMPLETED
    return ExitCode.CANCELLED if finished.outcome == "cancelled" else ExitCode.FAILED
