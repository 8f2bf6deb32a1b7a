"""How a secret may stand in what a run prints: by itself, and as the usual encodings write it.

A form is exact: what it matches tells the secret, and nothing else does. Each has a placeholder.
"""

import base64
import html
import json
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MIN_SECRET_LENGTH = 6  # characters: less would be found everywhere, and guessed from what is left
_LINE = 8  # characters of a line of a secret that is redacted alone, as in a traceback


def secret_fault(value: Any) -> str | None:
    """Return why `value` can't be kept out of a record as a secret; None if it can.

    The text never quotes `value`.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return (
            "a secret must be text or a number: give each part of this value as a parameter of its "
            "own"
        )
    if len(str(value).strip()) < MIN_SECRET_LENGTH:
        return (
            f"a secret of less than {MIN_SECRET_LENGTH} characters can't be kept out of the "
            "record: use a longer one"
        )
    return None


def encoded_forms(secrets: Mapping[str, Any], literals: Mapping[str, str]) -> dict[str, str]:
    """Each text that tells one of `secrets`, with its placeholder: `[secret:token]`, or
    `[secret:token:base64 2]` where it is encoded so. `literals`: how the kernel's language writes
    the secret of that name."""
    forms: dict[str, str] = {}
    for name, value in secrets.items():
        counts: dict[str, int] = {}
        for label, text in _spellings(str(value), literals.get(name, "")):
            if len(text) < MIN_SECRET_LENGTH or text in forms:
                continue
            counts[label] = counts.get(label, 0) + 1
            which = f"{label} {counts[label]}".strip() if counts[label] > 1 else label
            forms[text] = f"[secret:{name}:{which}]" if which else f"[secret:{name}]"
    return forms


def _spellings(value: str, literal: str) -> Iterator[tuple[str, str]]:
    """Each spelling of `value`, with a word for which: empty for the value itself."""
    yield "", value
    yield "", value.strip()
    yield "code", _unquoted(literal)
    for label, spell in _ENCODINGS.items():
        yield from ((label, text) for text in spell(value))
    for line in value.splitlines() if "\n" in value else ():
        if len(line.strip()) >= _LINE:
            yield "line", line.strip()


def _unquoted(literal: str) -> str:
    quoted = len(literal) > 1 and literal[0] == literal[-1] and literal[0] in "\"'"
    return literal[1:-1] if quoted else literal


def _repr(value: str) -> Iterator[str]:
    """Python's, of text and of bytes, within either quotes."""
    yield repr(value)[1:-1]
    yield repr(value + "'")[1:-2]
    yield repr(value.encode())[2:-1]
    yield value.replace("\\", "\\\\").replace("'", "\\'")
    yield ascii(value)[1:-1]


def _json(value: str) -> Iterator[str]:
    """RFC 8259, and JSON within a text of JSON."""
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]


def _shell(value: str) -> Iterator[str]:
    """As `shlex.quote`, as people and `set -x` write it, as `printf %q`, within double quotes."""
    yield shlex.quote(value).strip("'")
    yield value.replace("'", "'\\''")
    yield re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value)
    yield re.sub(r'["\\$`]', r"\\\g<0>", value)


def _html(value: str) -> Iterator[str]:
    """As Python, Jinja and Go, and XML's libraries write it."""
    bare = html.escape(value, quote=False)
    yield html.escape(value)
    yield bare
    yield bare.replace('"', "&#34;").replace("'", "&#39;")
    yield bare.replace('"', "&quot;").replace("'", "&apos;")
    yield bare.replace('"', "&quot;")


def _url(value: str) -> Iterator[str]:
    """RFC 3986, 2.1, whose hexadecimal digits may be of either case: of a path, of a part of one,
    of a form, as JavaScript's encodeURIComponent, and with a space as `+` in a path."""
    path = quote(value)
    for text in (
        path,
        quote(value, safe=""),
        quote_plus(value),
        quote(value, safe="!'()*"),
        path.replace("%20", "+"),
    ):
        yield text
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def _hexadecimal(value: str) -> Iterator[str]:
    digits = value.encode().hex()
    yield digits
    yield digits.upper()


def _base64(value: str) -> Iterator[str]:
    """What base64 makes of `value` wherever it stands in a longer text: the characters that depend
    on nothing before or after it, for each of the three places it can begin at (RFC 4648, 4, 5)."""
    data = value.encode()
    whole = base64.b64encode(data).decode()
    for text in (whole, whole.rstrip("="), *(_core(data, before) for before in range(3))):
        yield text
        yield text.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _core(data: bytes, before: int) -> str:
    first = math.ceil(before * 8 / 6)
    upto = (before + len(data)) * 8 // 6
    return base64.b64encode(bytes(before) + data).decode()[first:upto]


def _reversed(value: str) -> Iterator[str]:
    yield value[::-1]


_ENCODINGS: dict[str, Callable[[str], Iterator[str]]] = {
    "repr": _repr,
    "json": _json,
    "shell": _shell,
    "html": _html,
    "url": _url,
    "base64": _base64,
    "hex": _hexadecimal,
    "reversed": _reversed,
}
