"""Write a value as a literal of a language, so that no part of the value can be read as code.

papermill's translator for Python is safe. Its translators for other languages let a value run code
(Julia and PowerShell read `$(...)` in their strings) or change it (Python's escapes mean other
things elsewhere). The dialects here replace all of those.

Every literal is one line of printable ASCII. A kernel behind a terminal, such as bash's, acts on
control characters before the shell reads the quotes around them.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from nbrun.errors import ParameterError

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Dialect:
    """The syntax of one language's literals. None where the language has no such literal.

    Attributes:
        string: writes any text.
        array: joins the literals of a list's items.
        mapping: joins pairs of a key (its text) and the literal of the key's value.
        integer: writes an int.
        real: writes a finite float.
        exact: the largest absolute value of an int that the language represents exactly.
        nests: a list or a mapping can contain another.
    """

    string: Callable[[str], str]
    true: str
    false: str
    null: str | None
    array: Callable[[list[str]], str]
    mapping: Callable[[Pairs], str] | None
    integer: Callable[[int], str] = str
    real: Callable[[float], str] = repr
    exact: int = 2**63
    nests: bool = True


def literal(dialect: Dialect, value: Any, *, inside: bool = False) -> str:
    """Return the literal of `value`, which is of JSON's types with finite numbers.

    `inside`: the value is an item of a list or a mapping.

    Raises:
        ParameterError: the language has no literal for it. The message lacks the parameter's name.
    """
    if value is None and dialect.null is None:
        raise ParameterError("null can't be written in this language")
    if value is None:
        return str(dialect.null)
    if isinstance(value, bool):
        return dialect.true if value else dialect.false
    if isinstance(value, int):
        return _integer(dialect, value)
    if isinstance(value, float):
        return dialect.real(value)
    if isinstance(value, str):
        return dialect.string(value)
    if inside and not dialect.nests:
        raise ParameterError("a list or mapping inside another can't be written in this language")
    return _container(dialect, value)


def _integer(dialect: Dialect, value: int) -> str:
    if abs(value) > dialect.exact:
        raise ParameterError(f"{value} is too large for this language to be exact; pass it as text")
    return dialect.integer(value)


def _container(dialect: Dialect, value: Any) -> str:
    if isinstance(value, list):
        return dialect.array([literal(dialect, item, inside=True) for item in value])
    if dialect.mapping is None:
        raise ParameterError("a mapping can't be written in this language")
    return dialect.mapping([(k, literal(dialect, v, inside=True)) for k, v in value.items()])


def _units(text: str) -> list[int]:
    """Return UTF-16 code units, which the JVM, .NET and MATLAB count as characters."""
    data = text.encode("utf-16-be")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


def _is_plain(char: str) -> bool:
    return " " <= char <= "~"


def _quoted(escapes: Mapping[str, str], *, by_units: bool = False) -> Callable[[str], str]:
    """Return a writer of double-quoted strings with backslash escapes.

    `escapes`: characters that have an escape of their own. `by_units`: write two `\\u` in place of
    one `\\U`, which the language lacks.
    """

    def escaped(char: str) -> str:
        if char in escapes or _is_plain(char):
            return escapes.get(char, char)
        if by_units or ord(char) < 0x10000:
            return "".join(f"\\u{unit:04x}" for unit in _units(char))
        return f"\\U{ord(char):08x}"

    return lambda text: f'"{"".join(map(escaped, text))}"'


def _bash_string(text: str) -> str:
    if all(map(_is_plain, text)) and "!" not in text:  # an interactive bash expands `!`
        return shlex.quote(text)
    chars = (chr(byte) for byte in text.encode())
    inside = "".join(c if c.isascii() and c.isalnum() else f"\\x{ord(c):02x}" for c in chars)
    return f"$'{inside}'"


def _concatenated(text: str, quote: str, codes: Callable[[list[int]], str], coded: str = "") -> str:
    """Join pieces in `quote`s, which have no escapes, and characters by their code with `+`.

    A quote inside a piece is doubled. `codes` writes the UTF-16 code units of all characters that
    are not printable ASCII, and of those in `coded`.
    """
    pieces = [quote * 2]
    for plain, run in groupby(text, lambda char: _is_plain(char) and char not in coded):
        part = "".join(run)
        pieces.append(
            quote + part.replace(quote, quote * 2) + quote if plain else codes(_units(part))
        )
    if len(pieces) == 2 and pieces[1][0] == quote:
        return pieces[1]
    return quote * 2 if len(pieces) == 1 else f"({' + '.join(pieces)})"


def _powershell_string(text: str) -> str:
    # A typographic quote ends a single-quoted string too. Not being ASCII, it is written by code.
    return _concatenated(text, "'", lambda us: " + ".join(f"[char]0x{unit:04x}" for unit in us))


def _powershell_array(items: list[str]) -> str:
    # Without the comma, PowerShell unrolls a list that is the only item of another.
    return f"@(, {items[0]})" if len(items) == 1 else f"@({', '.join(items)})"


def _matlab_string(text: str) -> str:
    # A backslash is literal in MATLAB, but an escape in Octave.
    return _concatenated(text, '"', _matlab_codes, coded="\\")


def _matlab_codes(units: list[int]) -> str:
    return f"char([{' '.join(map(str, units))}])"


def _matlab_mapping(pairs: Pairs) -> str:
    keys = ", ".join(f"char({_matlab_string(key)})" for key, _ in pairs)
    return f"containers.Map({{{keys}}}, {{{', '.join(value for _, value in pairs)}}})"


def _long(value: int) -> str:
    return str(value) if -(2**31) <= value < 2**31 else f"{value}L"


def _between(start: str, separator: str, end: str) -> Callable[[list[str]], str]:
    return lambda items: start + separator.join(items) + end


def _pairs(
    template: str, array: Callable[[list[str]], str], string: Callable[[str], str]
) -> Callable[[Pairs], str]:
    return lambda pairs: array([template.format(string(key), value) for key, value in pairs])


def _r_vector(items: list[str]) -> str:
    """Return a vector if the items are all texts, all numbers or all booleans; else a list."""
    kinds = {
        "text" if item[0] == '"' else "truth" if item in ("TRUE", "FALSE") else "number"
        for item in items
    }
    is_flat = not any(item == "NULL" or item.startswith(("c(", "list(")) for item in items)
    return _between("c(" if len(kinds) == 1 and is_flat else "list(", ", ", ")")(items)


def _javascript_real(value: float) -> str:
    """Return an integral number without its `.0`: a number has no other type there."""
    is_short = value.is_integer() and abs(value) < 2**53 and (value != 0 or str(value) == "0.0")
    return str(int(value)) if is_short else repr(value)


def _javascript_mapping(pairs: Pairs) -> str:
    # A plain key `__proto__` would set the prototype of the object.
    written = [
        f"[{_SCALA_STRING(key)}]: {value}"
        if key == "__proto__"
        else f"{_SCALA_STRING(key)}: {value}"
        for key, value in pairs
    ]
    return _between("{", ", ", "}")(written)


def _r_mapping(pairs: Pairs) -> str:
    if any(not key for key, _ in pairs):
        raise ParameterError("an empty key can't be written in R")
    return _pairs("{} = {}", _between("list(", ", ", ")"), _C_STRING)(pairs)


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_C_STRING = _quoted(_ESCAPES)
# Scala 2 replaces \u000a before it looks for line ends, so control characters need named escapes.
_SCALA_STRING = _quoted({**_ESCAPES, "\b": "\\b", "\f": "\\f"}, by_units=True)
_JULIA_STRING = _quoted({**_ESCAPES, "$": "\\$"})

_R = Dialect(
    string=_C_STRING,
    true="TRUE",
    false="FALSE",
    null="NULL",
    array=_r_vector,
    mapping=_r_mapping,
    exact=2**53,
)
_SCALA = Dialect(
    string=_SCALA_STRING,
    true="true",
    false="false",
    null="None",
    array=_between("Seq(", ", ", ")"),
    mapping=_pairs("{} -> {}", _between("Map(", ", ", ")"), _SCALA_STRING),
    integer=_long,
)
_JULIA = Dialect(
    string=_JULIA_STRING,
    true="true",
    false="false",
    null="nothing",
    array=_between("[", ", ", "]"),
    mapping=_pairs("{} => {}", _between("Dict(", ", ", ")"), _JULIA_STRING),
)
_MATLAB = Dialect(
    string=_matlab_string,
    true="true",
    false="false",
    null="NaN",
    array=_between("{", ", ", "}"),
    mapping=_matlab_mapping,
    exact=2**53,
)
_CSHARP = Dialect(
    string=_C_STRING,
    true="true",
    false="false",
    null=None,
    array=_between("new [] { ", ", ", " }"),
    mapping=_pairs(
        "{{ {} , {} }}", _between("new Dictionary<string,Object>{ ", ", ", " }"), _C_STRING
    ),
    integer=_long,
)
_FSHARP = Dialect(
    string=_C_STRING,
    true="true",
    false="false",
    null="None",
    array=_between("[ ", "; ", " ]"),
    mapping=_pairs(
        "({}, {} :> System.IComparable)", _between("([ ", "; ", " ] |> Map.ofList)"), _C_STRING
    ),
    integer=_long,
)
_POWERSHELL = Dialect(
    string=_powershell_string,
    true="$True",
    false="$False",
    null="$Null",
    array=_powershell_array,
    mapping=_pairs("{} = {}", _between("@{", "; ", "}"), _powershell_string),
)
_BASH = Dialect(
    string=_bash_string,
    true="true",
    false="false",
    null="''",
    array=_between("(", " ", ")"),
    mapping=None,
    nests=False,
)
_JAVASCRIPT = Dialect(
    string=_SCALA_STRING,
    true="true",
    false="false",
    null="null",
    array=_between("[", ", ", "]"),
    mapping=_javascript_mapping,
    real=_javascript_real,
    exact=2**53 - 1,
)

# By the names under which papermill registers its translators, and those of JavaScript, for which
# it has none. Python needs no dialect.
DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "R": _R,
        "sparkrkernel": _R,
        "scala": _SCALA,
        "sparkkernel": _SCALA,
        "julia": _JULIA,
        "matlab": _MATLAB,
        ".net-csharp": _CSHARP,
        ".net-fsharp": _FSHARP,
        ".net-powershell": _POWERSHELL,
        "bash": _BASH,
        "javascript": _JAVASCRIPT,
        "typescript": _JAVASCRIPT,
    }
)
