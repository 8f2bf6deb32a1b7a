"""What a command prints, where a secret comes from one: any vault's own command line."""

import shlex
import subprocess
from pathlib import Path

from nbrun.errors import UsageError

_LONG = 120  # characters of a command's own words in an error


def printed(command: str, folder: Path | None = None) -> str:
    """The text that `command` prints in `folder`, else in this one, without the newline at its end.
    It may ask on the terminal if there is one. No shell reads its words.

    Raises:
        UsageError: it can't be run, fails, or prints nothing; the message never tells what it did.
    """
    named = command[:_LONG]
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603  as asked
            words, stdout=subprocess.PIPE, check=False, cwd=folder
        )
    except (OSError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{named}: can't be run ({why})") from None
    if done.returncode != 0:
        raise UsageError(f"{named}: ended with exit code {done.returncode}")
    if not done.stdout.strip():
        raise UsageError(f"{named}: printed nothing")
    try:
        text = done.stdout.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{named}: printed what is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")
