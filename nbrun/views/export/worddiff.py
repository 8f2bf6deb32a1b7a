"""The difference between two versions of a source, word by word, as HTML."""

import difflib
import html
import re
from collections.abc import Iterator

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_MAX_WORDS = 20_000  # on each side; a longer change is marked as one deletion and one insertion


def word_diff(before: str, after: str) -> str:
    """Return `after` as HTML, with insertions in `ins` and deletions in `del`. Text is escaped."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    parts: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        removed, added = "".join(old[a:b]), "".join(new[c:d])
        if kind == "equal":
            parts.append(html.escape(added))
        else:
            parts += _word_changes(removed, added)
    return "".join(parts)


def _word_changes(removed: str, added: str) -> Iterator[str]:
    old, new = _WORDS.findall(removed), _WORDS.findall(added)
    if len(old) > _MAX_WORDS or len(new) > _MAX_WORDS:
        old, new = [removed], [added]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if removed and added and matcher.ratio() < 0.4:  # too different to compare words
        yield _mark("del", removed) + _mark("ins", added)
        return
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield html.escape("".join(new[c:d]))
        else:
            yield _mark("del", "".join(old[a:b])) + _mark("ins", "".join(new[c:d]))


def _mark(tag: str, text: str) -> str:
    return f"<{tag}>{html.escape(text)}</{tag}>" if text else ""
