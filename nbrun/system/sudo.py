"""Another Unix user, reached through sudo: one fixed command, that user's Python, which is told on
its stdin what to do (see `as_user`). No shell, and no word of a request in its arguments."""

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

TIMEOUT = 60.0  # seconds: sudo may have to ask a directory service
PROGRAM = "import sys; exec(sys.stdin.readline())"


class SudoError(NbrunError):
    """It can't be done as that user; the message says what sudo, or that user's Python, said."""


@dataclass(frozen=True)
class Sudo:
    """The way to be `user`: sudo, and a Python that this user can start."""

    user: str
    python: str

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer of `as_user`'s function `do`.

        Raises:
            SudoError: sudo refuses, or it can't be done.
        """
        asked = json.dumps({"do": do, **request})
        done = self._run(f"{_program()}\n{asked}\n".encode("ascii"))
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise SudoError(self._why(done.stderr)) from None
        if "error" in answer:
            raise SudoError(f"as {self.user}: {answer['error']}")
        return answer

    def command(self) -> list[str]:
        """What is run; nothing in it ever differs, so that a rule of sudoers can name it."""
        sudo = shutil.which("sudo")
        if sudo is None:
            raise SudoError("sudo is not installed")
        # -I: nothing of the environment or the working folder changes what that Python does
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

    def _why(self, said: bytes) -> str:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        told = lines[0].removeprefix("sudo: ") if lines else "it said nothing"
        if lines and lines[0].startswith("Traceback"):
            told = f"{self.python}: {lines[-1]}"
        return f"sudo as {self.user}: {told}"


def has_user(name: str) -> bool:
    """Whether the system knows a user of exactly this name. sudo itself would take `#0` as well."""
    try:
        return pwd.getpwnam(name).pw_name == name
    except (KeyError, ValueError, UnicodeEncodeError):
        return False


def _program() -> str:
    """One line that runs `as_user`, in ASCII whatever that user's encoding is."""
    source = resources.files("nbrun.system").joinpath("sudo_helper.py").read_text("utf-8")
    return f"exec(compile({source!a}, '<nbrun as_user>', 'exec'))"


def common_folder() -> str:
    """Where every user can make folders: not this user's own temporary folder."""
    return "/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir()  # noqa: S108
