"""Queries to the terminal for its name and its features.

Every query ends with DA1. Every terminal answers DA1, and answers in order, so its answer ends the
wait even if the terminal ignores the query before it. Keys typed during a query are lost.
"""

import os
import re
import select
import sys
import time
from functools import lru_cache

from nbrun.system.terminal_mode import HeldMode, discard_input, in_foreground, single_keys

_TIMEOUT = 0.5  # seconds
_XTVERSION = "\x1b[>q"  # the terminal's name (invisible-island.net/xterm/ctlseqs, "CSI > Ps q")
_DA1 = "\x1b[c"  # "primary device attributes"
_DA1_ANSWER = re.compile(r"\x1b\[\?([\d;]*)c")
# Terminals that wrap rows anew when they become narrower. xterm, PuTTY and screen cut rows off.
_REFLOWING = re.compile(r">\|(?:foot|ghostty|iterm2|kitty|konsole|tmux|vte|wezterm)\b", re.I)


@lru_cache(maxsize=1)
def identity() -> str:
    """Return the answer to XTVERSION and DA1, asked once; empty without a terminal."""
    return ask(_XTVERSION)


def device_attributes(answer: str) -> list[str]:
    """Return the numbers in a DA1 answer, such as `4` for sixels.

    The first number, which is the terminal's class, is left out.
    """
    found = _DA1_ANSWER.search(answer)
    return found[1].split(";")[1:] if found else []


def reflows() -> bool:
    """Return True if the terminal wraps its rows anew when it becomes narrower."""
    return _REFLOWING.search(identity()) is not None


def ask(query: str) -> str:
    """Send `query` and return the answer, or the part of it that comes before the timeout.

    Return an empty answer without a terminal, or if this process is in the background.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return ""
    fd = sys.stdin.fileno()
    try:
        if not in_foreground(fd):  # setting the terminal up would stop this process
            return ""
        return _exchange(fd, query + _DA1)
    except OSError:
        return ""


def _exchange(fd: int, query: str) -> str:
    """Write `query`, and read until the answer to DA1 or the timeout, without echo."""
    answer = b""
    deadline = time.monotonic() + _TIMEOUT
    with HeldMode(fd, single_keys):
        discard_input(fd)
        sys.stdout.write(query)
        sys.stdout.flush()
        while not _DA1_ANSWER.search(answer.decode("latin-1")):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                break
            answer += os.read(fd, 1024)
        discard_input(fd)
    return answer.decode("latin-1")
