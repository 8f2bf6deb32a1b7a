"""The operator's editor: it gets a text as a file, and whatever comes back is kept."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_DEFAULTS = ("sensible-editor", "vim", "nano", "vi")
_AT_ONCE = 1.0  # seconds in which nobody has changed a text


@dataclass(frozen=True)
class Edited:
    """The content of the file after editing.

    Attributes:
        problem: why the content can't be used; empty if it can.
        came_at_once: the editor ended before anybody could have changed anything.
    """

    content: bytes
    problem: str = ""
    came_at_once: bool = False


def edit(content: bytes, suffix: str) -> Edited:
    """Open a file with `content` in $VISUAL, $EDITOR or a default editor, and wait for its end.

    Never raises for what an editor does: the file's last content is returned with the problem.
    """
    try:
        with tempfile.TemporaryDirectory(
            prefix="nbrun-edit-", ignore_cleanup_errors=True
        ) as folder:
            return _edit_file(Path(folder, f"source{suffix}"), content)
    except OSError as error:
        return Edited(content, f"no file can be written for the editor: {error.strerror}")


def hint_to_wait() -> str:
    """Return what to do if an editor opens a window and does not wait until it is closed."""
    return (
        f"{_setting()} returned at once. Does it open a window? Then it has to wait until you "
        "close the file, as with EDITOR='code --wait'"
    )


def to_bytes(source: str) -> bytes:
    """Return `source` as the content of a file."""
    return (source + "\n").encode("utf-8", "surrogatepass")


def to_source(content: bytes) -> str:
    """Return the source in a file with `content`, which is not guessed at.

    Raises:
        ValueError: the content is not UTF-8; the message says where.
    """
    try:
        text = content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x}): save it as UTF-8"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n")


def _edit_file(path: Path, content: bytes) -> Edited:
    path.write_bytes(content)
    began = time.monotonic()
    problem = _run_editor(path)
    try:
        after = path.read_bytes()
    except FileNotFoundError:
        return Edited(content, problem or "the editor removed its file: nothing was changed")
    at_once = after == content and time.monotonic() - began < _AT_ONCE
    return Edited(after, problem, came_at_once=at_once)


def _run_editor(path: Path) -> str:
    """Run the editor on `path` to its end; return why what it saved must not be used, or ""."""
    remedy = "set EDITOR to the editor you want"
    try:
        words = _command()
        code = _run([*words, str(path)])
    except ValueError as error:  # of shlex, such as "No closing quotation"
        return f"{_setting()}: {error}: {remedy}"
    except OSError as error:
        return f"{error.filename or _setting()}: {error.strerror}: {remedy}"
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        return (
            f"{words[0]} ended with {how}: nothing is run. The next edit starts from what it saved"
        )
    return ""


def _setting() -> str:
    return "VISUAL" if os.environ.get("VISUAL") else "EDITOR"


def _command() -> list[str]:
    """Return the editor's program and its options.

    Raises:
        ValueError: a quote in the setting is not closed.
    """
    command = os.environ.get(_setting()) or next(filter(shutil.which, _DEFAULTS), _DEFAULTS[-1])
    if shutil.which(command):  # a path, whatever spaces and quotes are in it
        return [command]
    return shlex.split(command) or [_DEFAULTS[-1]]


def _run(words: list[str]) -> int:
    """Run the editor on the terminal, also if stdout is redirected to a file."""
    screen = None if sys.stdout.isatty() else sys.stderr
    with _terminal_put_right(), _ctrl_c_left_to_editor():
        return subprocess.run(words, check=False, stdout=screen).returncode  # noqa: S603


@contextmanager
def _terminal_put_right() -> Iterator[None]:
    """Restore the modes of the terminal, which an editor that crashes leaves as they are."""
    try:
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
    except (OSError, termios.error):  # a test's stdin, or not a terminal
        yield
        return
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def _ctrl_c_left_to_editor() -> Iterator[None]:
    """Ignore Ctrl-C. Unlike SIG_IGN, a handler is not inherited by the editor."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
