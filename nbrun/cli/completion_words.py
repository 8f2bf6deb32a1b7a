"""The words that a shell wants completed, as Typer can take them. Imports nothing of nbrun: it is
asked at each press of Tab."""

import shlex
from collections.abc import MutableMapping

# Set by `leave_the_value`: the parameter whose value is being completed.
NAME = "_NBRUN_COMPLETE_NAME"


def leave_the_value(environ: MutableMapping[str, str]) -> None:
    """bash gives `-p name=val` as three words, and completes the last of them: leave Typer that
    one alone, and keep the name beside it."""
    if environ.get("_NBRUN_COMPLETE") != "complete_bash":
        return
    try:
        words = shlex.split(environ["COMP_WORDS"])
        at = int(environ["COMP_CWORD"])
    except (KeyError, ValueError):  # an open quote
        return
    for equals in (at, at - 1):
        if 1 < equals < len(words) and words[equals] == "=":
            environ[NAME] = words[equals - 1]
            value = "".join(words[equals + 1 : at + 1])
            environ["COMP_WORDS"] = shlex.join([*words[: equals - 1], value])
            environ["COMP_CWORD"] = str(equals - 1)
            return
