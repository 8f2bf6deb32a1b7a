"""Act as another Unix user through sudo, by one fixed command that a sudoers rule can name.

The command starts that user's Python, which runs `sudo_helper` with a request on stdin. No shell is
used, and nothing of a request is in the arguments of a process.

The other user may be hostile, and can change the answer: it has a limit and a fixed form.
"""

import json
import os
import pwd
import select
import selectors
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from nbrun.errors import NbrunError

TIMEOUT = 60.0  # seconds: sudo may query a directory service
MOST_ANSWER = 2**23  # bytes: a file of 1 MiB takes up to 6 as JSON
_END_TIMEOUT = 5.0  # seconds for sudo to end once its pipes are closed
PROGRAM = "import sys; exec(sys.stdin.readline())"


class SudoError(NbrunError):
    """A request failed as the other user. The message quotes sudo or that user's Python."""


@dataclass(frozen=True)
class Sudo:
    """Access to the account `user`, who can start `python`."""

    user: str
    python: str

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Call the function `do` of `sudo_helper` as the other user, and return its answer.

        Raises:
            SudoError: sudo refuses, or the function fails.
        """
        line = json.dumps({"do": do, **request})
        stdout, stderr = self._run(f"{_program()}\n{line}\n".encode("ascii"))
        try:
            failure = msgspec.json.decode(stdout, type=_Failure)
            if failure.error:
                raise SudoError(f"as {self.user}: {failure.error}")
            answer: dict[str, Any] = msgspec.to_builtins(
                msgspec.json.decode(stdout, type=_ANSWERS[do])
            )
        except (ValueError, RecursionError):
            raise SudoError(self._why(stderr)) from None
        return answer

    def command(self) -> list[str]:
        """Return the command, always the same for a user and a Python: a sudoers rule names it.

        Raises:
            SudoError: sudo is not installed.
        """
        sudo = shutil.which("sudo")
        if sudo is None:
            raise SudoError("sudo is not installed")
        # -I: neither the environment nor the working folder influences that Python
        return [sudo, "-n", "-u", self.user, "--", self.python, "-I", "-c", PROGRAM]

    def _run(self, program: bytes) -> tuple[bytes, bytes]:
        """Have that user's Python run `program`, and return its stdout and stderr."""
        try:
            process = subprocess.Popen(  # noqa: S603  fixed words, a user that there is
                self.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SudoError(f"sudo can't be run: {error.strerror}") from error
        try:
            return _exchange(process, program)
        finally:
            _end(process)

    def _why(self, stderr: bytes) -> str:
        lines = stderr.decode("utf-8", "replace").strip().splitlines()
        message = lines[0].removeprefix("sudo: ") if lines else "it said nothing"
        if lines and lines[0].startswith("Traceback"):
            message = f"{self.python}: {lines[-1]}"
        return f"sudo as {self.user}: {message}"


class _Failure(msgspec.Struct, frozen=True):
    error: str = ""


class _Identified(msgspec.Struct, frozen=True):
    user: str
    uid: int
    groups: list[str]
    home: str
    shell: str


class _Started(msgspec.Struct, frozen=True):
    pid: int


class _Read(msgspec.Struct, frozen=True):
    files: dict[str, str]


class _Ended(msgspec.Struct, frozen=True):
    status: int | None


class _Cleared(msgspec.Struct, frozen=True):
    output: str
    left_out: int


_ANSWERS: dict[str, type[msgspec.Struct]] = {
    "identify": _Identified,
    "start": _Started,
    "read": _Read,
    "status": _Ended,
    "clear": _Cleared,
    "write": _Failure,
    "send": _Failure,
}


def _exchange(process: subprocess.Popen[bytes], data: bytes) -> tuple[bytes, bytes]:
    """Write `data` to the process, and return what it writes to stdout and stderr.

    Raises:
        SudoError: it does not end in time, or writes too much.
    """
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None and stdout is not None and stderr is not None  # noqa: S101
    received: dict[Any, bytearray] = {stdout: bytearray(), stderr: bytearray()}
    deadline = time.monotonic() + TIMEOUT
    with selectors.DefaultSelector() as selector:
        selector.register(stdin, selectors.EVENT_WRITE)
        selector.register(stdout, selectors.EVENT_READ)
        selector.register(stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SudoError(f"sudo did not answer within {TIMEOUT:.0f} s")
            for key, _ in ready:
                if key.fileobj is stdin:
                    data = _write_some(key.fd, data)
                    done = not data
                else:
                    chunk = os.read(key.fd, 65536)
                    received[key.fileobj] += chunk
                    done = not chunk
                if done:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
            if sum(map(len, received.values())) > MOST_ANSWER:
                raise SudoError(f"sudo answered with more than {MOST_ANSWER >> 20} MiB")
    return bytes(received[stdout]), bytes(received[stderr])


def _write_some(fd: int, data: bytes) -> bytes:
    """Write a part of `data` that a pipe takes without blocking. Return the rest."""
    try:
        return data[os.write(fd, data[: select.PIPE_BUF]) :]
    except BrokenPipeError:  # the process has ended: its stderr says why
        return b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close what is open, and reap the process. sudo itself may not be killed."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    if process.poll() is None:
        with suppress(PermissionError):
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_TIMEOUT)


def user_exists(name: str) -> bool:
    """Return True if there is a user of exactly this name. sudo would also accept `#0`."""
    try:
        return pwd.getpwnam(name).pw_name == name
    except (KeyError, ValueError, UnicodeEncodeError):
        return False


def _program() -> str:
    """Return one line of Python that runs `sudo_helper`, in ASCII for any encoding of that user."""
    source = resources.files("nbrun.system").joinpath("sudo_helper.py").read_text("utf-8")
    return f"exec(compile({source!a}, '<nbrun sudo_helper>', 'exec'))"


def shared_temp_dir() -> str:
    """Return a directory in which every user can create directories, unlike a private $TMPDIR."""
    return "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()  # noqa: S108
