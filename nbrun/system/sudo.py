"""Act as another Unix user through sudo, by one fixed command that a sudoers rule can name.

The command starts that user's Python, which runs `sudo_helper` with a request on stdin. No shell is
used, and nothing of a request is in the arguments of a process.
"""

import json
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from nbrun.errors import NbrunError

TIMEOUT = 60.0  # seconds: sudo may query a directory service
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
        done = self._run(f"{_program()}\n{line}\n".encode("ascii"))
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SudoError(self._why(done.stderr)) from None
        if "error" in answer:
            raise SudoError(f"as {self.user}: {answer['error']}")
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

    def _run(self, program: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603  fixed words, a user that there is
                self.command(),
                input=program,
                capture_output=True,
                cwd="/",
                timeout=TIMEOUT,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise SudoError(f"sudo did not answer within {TIMEOUT:.0f} s") from None
        except OSError as error:
            raise SudoError(f"sudo can't be run: {error.strerror}") from error

    def _why(self, stderr: bytes) -> str:
        lines = stderr.decode("utf-8", "replace").strip().splitlines()
        message = lines[0].removeprefix("sudo: ") if lines else "it said nothing"
        if lines and lines[0].startswith("Traceback"):
            message = f"{self.python}: {lines[-1]}"
        return f"sudo as {self.user}: {message}"


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
