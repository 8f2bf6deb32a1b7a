"""Read a secret from a command's output, such as the command line of any vault."""

import shlex
import subprocess
from pathlib import Path

from nbrun.errors import UsageError

_LONGEST = 120  # characters of the command in an error message


def read_secret(command: str, folder: Path | None = None) -> str:
    """Run `command` in `folder`, or here, and return its output without the newline at the end.

    The command can prompt on the terminal, if there is one. No shell parses it.

    Raises:
        UsageError: the command can't be run, fails, or prints nothing. The message never contains
            what it printed.
    """
    name = command[:_LONGEST]
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603  as asked
            words, stdout=subprocess.PIPE, check=False, cwd=folder
        )
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{name}: can't be run ({why})") from None
    if done.returncode != 0:
        raise UsageError(f"{name}: ended with exit code {done.returncode}")
    if not done.stdout.strip():
        raise UsageError(f"{name}: printed nothing")
    try:
        text = done.stdout.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}: printed text that is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
