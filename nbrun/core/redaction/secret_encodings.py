"""The forms in which a secret may appear in output: as it is, and in common encodings.

A form is an exact text: a match reveals the secret. Each form has its own placeholder.
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

MIN_SECRET_LENGTH = 6  # characters: a shorter one is found everywhere, and can be guessed
_MIN_LINE_LENGTH = 8  # characters: shorter lines of a secret are not redacted on their own


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
    """Return each text that reveals one of `secrets`, mapped to its placeholder.

    A placeholder is `[secret:token]` or, for an encoding, `[secret:token:base64 2]`. `literals`
    holds, by the secret's name, how the kernel's language writes it.
    """
    forms: dict[str, str] = {}
    for name, value in secrets.items():
        counts: dict[str, int] = {}
        for label, text in _encodings(str(value), literals.get(name, "")):
            if len(text) < MIN_SECRET_LENGTH or text in forms:
                continue
            counts[label] = counts.get(label, 0) + 1
            label_and_number = f"{label} {counts[label]}".strip() if counts[label] > 1 else label
            forms[text] = (
                f"[secret:{name}:{label_and_number}]" if label_and_number else f"[secret:{name}]"
            )
    return forms


def _encodings(value: str, literal: str) -> Iterator[tuple[str, str]]:
    """Yield each form of `value` with the label of its encoding; "" for the value itself."""
    yield "", value
    yield "", value.strip()
    yield "code", _unquoted(literal)
    for label, encode in _ENCODINGS.items():
        yield from ((label, text) for text in encode(value))
    for line in value.splitlines() if "\n" in value else ():
        if len(line.strip()) >= _MIN_LINE_LENGTH:
            yield "line", line.strip()


def _unquoted(literal: str) -> str:
    quoted = len(literal) > 1 and literal[0] == literal[-1] and literal[0] in "\"'"
    return literal[1:-1] if quoted else literal


def _repr(value: str) -> Iterator[str]:
    """Yield Python's representations of text and of bytes, in either quotes."""
    yield repr(value)[1:-1]
    yield repr(value + "'")[1:-2]
    yield repr(value.encode())[2:-1]
    yield value.replace("\\", "\\\\").replace("'", "\\'")
    yield ascii(value)[1:-1]


def _json(value: str) -> Iterator[str]:
    """Yield the forms of RFC 8259, and of JSON inside a JSON string."""
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]


def _shell(value: str) -> Iterator[str]:
    """Yield the quoting of `shlex.quote`, `set -x`, `printf %q`, and of double quotes."""
    yield shlex.quote(value).strip("'")
    yield value.replace("'", "'\\''")
    yield re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value)
    yield re.sub(r'["\\$`]', r"\\\g<0>", value)


def _html(value: str) -> Iterator[str]:
    """Yield the escapes of Python, of Jinja and Go, and of XML libraries."""
    bare = html.escape(value, quote=False)
    yield html.escape(value)
    yield bare
    yield bare.replace('"', "&#34;").replace("'", "&#39;")
    yield bare.replace('"', "&quot;").replace("'", "&apos;")
    yield bare.replace('"', "&quot;")


def _url(value: str) -> Iterator[str]:
    """Yield the percent-encodings of RFC 3986, 2.1, with hexadecimal digits in either case.

    They are those of a path, of a path segment, of a form, of JavaScript's encodeURIComponent, and
    of a path with `+` for a space.
    """
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


def _doubled(value: str) -> Iterator[str]:
    """Yield quotes doubled as in SQL and YAML, and as in CSV (RFC 4180)."""
    yield value.replace("'", "''")
    yield value.replace('"', '""')


def _yaml(value: str) -> Iterator[str]:
    """Yield YAML 1.2, 5.7, in double quotes, with escapes as needed, of PyYAML, or all."""
    for keep in (str.isprintable, _is_in_basic_plane, str.isascii):
        yield "".join(each if keep(each) else _yaml_escape(each) for each in value.translate(_YAML))


def _is_in_basic_plane(character: str) -> bool:
    return character < "\U00010000" and character.isprintable()


_YAML_ESCAPES = {
    "\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f",
    "\r": "\\r", "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N", "\xa0": "\\_",
    "\u2028": "\\L", "\u2029": "\\P",
}  # fmt: skip


_YAML = str.maketrans(_YAML_ESCAPES)


def _yaml_escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _letter_case(value: str) -> Iterator[str]:
    yield value.upper()
    yield value.lower()


def _hexadecimal(value: str) -> Iterator[str]:
    digits = value.encode().hex()
    yield digits
    yield digits.upper()


def _base64(value: str) -> Iterator[str]:
    """Yield the base64 forms of `value` at any position in a longer text (RFC 4648, 4 and 5).

    For each of the three offsets it can begin at, these are the characters that do not depend on
    what is before or after it.
    """
    data = value.encode()
    whole = base64.b64encode(data).decode()
    for text in (
        whole,
        whole.rstrip("="),
        *(_context_free_part(data, offset) for offset in range(3)),
    ):
        yield text
        yield text.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _context_free_part(data: bytes, offset: int) -> str:
    """Return the base64 characters that depend on `data` alone, `offset` bytes into a group."""
    first = math.ceil(offset * 8 / 6)
    end = (offset + len(data)) * 8 // 6
    return base64.b64encode(bytes(offset) + data).decode()[first:end]


def _reversed(value: str) -> Iterator[str]:
    yield value[::-1]


_ENCODINGS: dict[str, Callable[[str], Iterator[str]]] = {
    "repr": _repr,
    "json": _json,
    "shell": _shell,
    "html": _html,
    "url": _url,
    "base64": _base64,
    "quotes": _doubled,
    "yaml": _yaml,
    "case": _letter_case,
    "hex": _hexadecimal,
    "reversed": _reversed,
}
