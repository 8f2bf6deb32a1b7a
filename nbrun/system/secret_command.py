"""Read a secret from a command's output, such as the command line of any vault."""

import shlex
import subprocess
import sys
from pathlib import Path

from nbrun.errors import UsageError

_QUIET = 3.0  # seconds after which a command that is waited for is named
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
        code, output = _run(shlex.split(command), folder, name)
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{name}: can't be run ({why})") from None
    if code != 0:
        raise UsageError(f"{name}: ended with exit code {code}")
    if not output.strip():
        raise UsageError(f"{name}: printed nothing")
    try:
        text = output.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}: printed text that is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _run(words: list[str], folder: Path | None, name: str) -> tuple[int, bytes]:
    """Return the exit code and the output. Say what is waited for, and end it on Ctrl-C."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=folder) as process:  # noqa: S603
        try:
            try:
                output, _ = process.communicate(timeout=_QUIET)
            except subprocess.TimeoutExpired:
                shown = "".join(each if each.isprintable() else "?" for each in name)
                sys.stderr.write(f"nbrun: waiting for the command {shown} (Ctrl-C ends it)\n")
                sys.stderr.flush()
                output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    return process.returncode, output
