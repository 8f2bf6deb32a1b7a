"""Markup that programs put between the characters of a word, and texts without it.

`grep --color`, rich and Pygments colour a part of a word, or wrap it in a tag. A screen shows the
word whole. The sequences are those of ECMA-48, of xterm's OSC 8, and the overstrikes of `man`.
"""

import re
from bisect import bisect_right
from itertools import accumulate

MAX_TAG = 2_000  # characters of one tag

_CSI = r"\x1b\[[0-?]*+[ -/]*+[@-~]"  # colours, erasures, movements
_OSC = r"\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)"  # links
_CHARACTER_SET = r"\x1b[()*+][0-9A-Z]"  # `tput sgr0` switches it
_OVERSTRUCK = r"[^\x1b\n\x08]?\x08"
_TAG = rf"</?[A-Za-z!][^<>]{{0,{MAX_TAG}}}+>"
_MARKUP = re.compile("|".join((_CSI, _OSC, _CHARACTER_SET, _TAG)))
# Slower: a search for this can't skip to the next `<` or escape.
_MARKUP_AND_OVERSTRIKES = re.compile(f"{_MARKUP.pattern}|{_OVERSTRUCK}")
_UNFINISHED = re.compile(
    r"(?:\x1b(?:\[[0-?]*+[ -/]*+|\][^\x07\x1b]*+\x1b?|[()*+])?"
    rf"|</?(?:[A-Za-z!][^<>]{{0,{MAX_TAG}}}+)?)\Z"
)


def may_have_markup(text: str) -> bool:
    """Return False if `text` has no markup. This test is fast."""
    return "\x1b" in text or "<" in text or "\b" in text


def without_markup(text: str) -> str:
    """Return `text` without its markup."""
    return _pattern(text).sub("", text)


def without_unfinished(text: str) -> str:
    """Return `text` without markup at its end that more text may complete."""
    cut = _UNFINISHED.search(text, max(0, len(text) - MAX_TAG))
    return text[: cut.start()] if cut else text


class Unmarked:
    """A text without its markup: `text`. Positions in it correspond to offsets in the original."""

    def __init__(self, original: str) -> None:
        self._original = original
        ends = [0]  # offsets in the original where kept text begins and ends, alternately
        for found in _pattern(original).finditer(original):
            ends += [found.start(), found.end()]
        ends.append(len(original))
        self._starts = ends[::2]
        kept = [original[a:b] for a, b in zip(ends[::2], ends[1::2], strict=True)]
        self._positions = [0, *accumulate(map(len, kept))]
        self.text = "".join(kept)

    def offset(self, position: int) -> int:
        """Return where the character at `position` of `text` is in the original."""
        if position >= len(self.text):
            return len(self._original)
        piece = bisect_right(self._positions, position) - 1
        return self._starts[piece] + position - self._positions[piece]

    def position(self, offset: int) -> int:
        """Return the position of the first character at `offset` of the original, or after it."""
        piece = bisect_right(self._starts, offset) - 1
        position = self._positions[piece] + offset - self._starts[piece]
        return min(position, self._positions[piece + 1])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the offsets of the characters from position `start` to `end`, not empty."""
        return self.offset(start), self.offset(end - 1) + 1


def markup_in(text: str) -> str:
    """Return only the markup of `text`."""
    return "".join(_pattern(text).findall(text))


def _pattern(text: str) -> re.Pattern[str]:
    return _MARKUP_AND_OVERSTRIKES if "\b" in text else _MARKUP
