"""The shell's words, changed so that Typer can complete a parameter's value.

This module runs at each Tab, and imports nothing of nbrun.
"""

import shlex
from collections.abc import MutableMapping

# The environment variable that `separate_value` sets: the parameter whose value is completed.
NAME = "_NBRUN_COMPLETE_NAME"


def separate_value(environ: MutableMapping[str, str]) -> None:
    """Reduce `-p NAME=VALUE` to `-p VALUE`, and store the name in the variable `NAME`.

    bash splits `NAME=VALUE` into three words and completes the last one. Other shells do not.
    """
    if environ.get("_NBRUN_COMPLETE") != "complete_bash":
        return
    try:
        words = shlex.split(environ["COMP_WORDS"])
        current = int(environ["COMP_CWORD"])
    except (KeyError, ValueError):  # a quote that is not closed
        return
    for equals in (current, current - 1):
        if 1 < equals < len(words) and words[equals] == "=":
            environ[NAME] = words[equals - 1]
            value = "".join(words[equals + 1 : current + 1])
            environ["COMP_WORDS"] = shlex.join([*words[: equals - 1], value])
            environ["COMP_CWORD"] = str(equals - 1)
            return
