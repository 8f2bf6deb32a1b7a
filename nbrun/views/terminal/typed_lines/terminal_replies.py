"""Distinguish the replies of a terminal from keys.

A terminal answers queries on the same line on which keys come in. A reply that comes late, after
the query was given up, must not become a part of what is typed. Keys and replies are escape
sequences of ECMA-48, 5th edition; pastes are marked as xterm marks them ("bracketed paste mode",
invisible-island.net/xterm/ctlseqs).
"""

import re
from collections.abc import Callable

PASTE_BEGIN, PASTE_END = "\x1b[200~", "\x1b[201~"
_LONG = 32  # characters that no person types in one moment
_MOST_PENDING = 1 << 16  # characters of a sequence without an end
# CSI with parameters and a final character, SS3, and the strings DCS, SOS, OSC, PM and APC.
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[PX\]^_][^\x07\x1b]*(?:\x07|\x1b\\))", re.DOTALL
)
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O|[PX\]^_][^\x07\x1b]*\x1b?)?\Z")
_SEVERAL_LINES = re.compile(r"[\r\n]+[^\r\n]")


class ReplyFilter:
    """Pass what a person types and drop what the terminal itself sends.

    `is_key` returns True for the escape sequence of a key. Others are dropped, because a reply has
    many forms, and no person types one. Pastes are dropped if `PASTE_BEGIN` is no key.
    """

    def __init__(self, is_key: Callable[[str], bool]) -> None:
        self._is_key = is_key
        self._takes_pastes = is_key(PASTE_BEGIN)
        self._pending = ""
        self._in_paste = False

    def feed(self, text: str) -> str:
        """Return what is typed in `text`. The beginning of a sequence is kept for the next call.

        Several lines, or a long one, that come at once are a paste, also from a terminal that does
        not mark one: nobody types them in one moment. A paste of several lines presses no Enter.
        """
        if not self._pending and not self._in_paste:
            if "\x1b" not in text and _SEVERAL_LINES.search(text):
                return self._pasted(text)
            line = text.rstrip("\r\n")
            if len(line) >= _LONG and line.isprintable():  # one key after the other takes long
                return self._pasted(line) + text[len(line) :]
        self._pending += text
        passed = []
        while self._pending:
            in_paste = self._in_paste
            taken = self._paste() if in_paste else self._keys()
            if taken is None:
                break
            passed.append(taken if self._takes_pastes or not in_paste else "")
        return "".join(passed)

    def flush(self) -> str:
        """Return the key Escape if it was pressed. Forget the beginning of a reply."""
        pending, self._pending = self._pending, ""
        if self._in_paste:
            return pending
        return pending if pending == "\x1b" else ""

    def _pasted(self, text: str) -> str:
        return PASTE_BEGIN + text + PASTE_END if self._takes_pastes else ""

    def _keys(self) -> str | None:
        """Take the text before the next sequence, or the sequence; None if it has no end yet."""
        text, _, _ = self._pending.partition("\x1b")
        if text:
            return self._take(len(text))
        found = _SEQUENCE.match(self._pending)
        if found is None:
            begun = _BEGUN.match(self._pending) and len(self._pending) < _MOST_PENDING
            return None if begun else self._take(1)
        sequence = self._take(found.end())
        self._in_paste = sequence == PASTE_BEGIN
        return sequence if self._is_key(sequence) else ""

    def _paste(self) -> str | None:
        """Take a paste to its end, or to where its end may begin."""
        end = self._pending.find(PASTE_END)
        if end >= 0:
            self._in_paste = False
            return self._take(end + len(PASTE_END))
        begun = self._pending.rfind("\x1b", -len(PASTE_END))
        if begun < 0 or not PASTE_END.startswith(self._pending[begun:]):
            return self._take(len(self._pending))
        return self._take(begun) if begun else None

    def _take(self, count: int) -> str:
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken
