"""What the terminal itself answers when it is asked: its name, and what it can do.

A question ends with DA1, which every terminal answers, and last: so no answer is waited for that
never comes. What is typed meanwhile is lost.
"""

import os
import re
import select
import sys
import termios
import time
import tty
from functools import lru_cache

_PATIENCE = 0.5  # seconds that a terminal has for its answer
_XTVERSION = "\x1b[>q"  # its name (invisible-island.net/xterm/ctlseqs, "CSI > Ps q")
_DA1 = "\x1b[c"
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")
# Those that break rows anew when they become narrower. xterm, PuTTY and screen cut them off.
_REFLOWING = re.compile(r">\|(?:foot|ghostty|iterm2|kitty|konsole|tmux|vte|wezterm)\b", re.I)


@lru_cache(maxsize=1)
def identity() -> str:
    """The answer to XTVERSION and DA1, asked once; empty where no terminal is there to answer."""
    return ask(_XTVERSION)


def device_attributes(answered: str) -> list[str]:
    """The numbers of a DA1 answer behind the first, which is the terminal's class: `4`, sixels."""
    found = _ATTRIBUTES.search(answered)
    return found[1].split(";")[1:] if found else []


def reflows() -> bool:
    """Whether the rows on the screen are broken anew when it becomes narrower."""
    return _REFLOWING.search(identity()) is not None


def ask(query: str) -> str:
    """What the terminal says, or as much as it has said when its time is up."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return ""
    fd = sys.stdin.fileno()
    try:
        if os.tcgetpgrp(fd) != os.getpgrp():  # in the background, to ask is to be stopped
            return ""
        return _asked(fd, query + _DA1)
    except (OSError, termios.error):
        return ""


def _asked(fd: int, question: str) -> str:
    before = termios.tcgetattr(fd)
    said = b""
    deadline = time.monotonic() + _PATIENCE
    tty.setcbreak(fd, termios.TCSAFLUSH)
    try:
        sys.stdout.write(question)
        sys.stdout.flush()
        while not _ATTRIBUTES.search(said.decode("latin-1")):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                break
            said += os.read(fd, 1024)
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
    return said.decode("latin-1")
