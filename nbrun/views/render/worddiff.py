"""What was changed in a source, word by word, as HTML with `ins` and `del`."""

import difflib
import html
import re
from collections.abc import Iterator

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_LONGEST = 20_000  # words on each side that are compared; beyond, the lines are


def word_diff(before: str, after: str) -> str:
    """`after` with what was put in and what was taken out marked. The text itself is escaped."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    parts: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        removed, added = "".join(old[a:b]), "".join(new[c:d])
        if kind == "equal":
            parts.append(html.escape(added))
        else:
            parts += _changed(removed, added)
    return "".join(parts)


def _changed(removed: str, added: str) -> Iterator[str]:
    old, new = _WORDS.findall(removed), _WORDS.findall(added)
    if len(old) > _LONGEST or len(new) > _LONGEST:
        old, new = [removed], [added]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if removed and added and matcher.ratio() < 0.4:  # another text, not a changed one
        yield _marked("del", removed) + _marked("ins", added)
        return
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield html.escape("".join(new[c:d]))
        else:
            yield _marked("del", "".join(old[a:b])) + _marked("ins", "".join(new[c:d]))


def _marked(tag: str, text: str) -> str:
    return f"<{tag}>{html.escape(text)}</{tag}>" if text else ""
