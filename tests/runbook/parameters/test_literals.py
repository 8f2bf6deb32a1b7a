"""The literals of each language: exact, and with no part that can be read as code."""

import re
from typing import Any

import pytest
from hypothesis import given

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.literals import DIALECTS, literal
from tests.support.parameter_values import hostile, nested, text

C_STRING = r'"((?:[ !#-\[\]-~]|\\["\\nrtbf$]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*)"'


ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def of_escape(match: re.Match[str]) -> str:
    body = match[1]
    return chr(int(body[1:], 16)) if body[0] in "uU" else ESCAPES.get(body, body)


def joined(units: str) -> str:
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("language", ["R", "scala", "julia", ".net-csharp", ".net-fsharp"])
@given(words=text | hostile)
def test_double_quoted_literal_reads_back_given_text(language: str, words: str) -> None:
    written = literal(DIALECTS[language], words)
    whole = re.fullmatch(C_STRING, written)
    assert whole
    escaped = re.compile(r"\\(u.{4}|U.{8}|.)")
    assert joined(escaped.sub(of_escape, whole[1])) == words
    assert ("\\U" in written.replace("\\\\", "")) <= (language != "scala")


@given(text | hostile)
def test_julia_literal_has_no_bare_dollar(words: str) -> None:
    written = literal(DIALECTS["julia"], words)
    assert re.sub(r"\\.", "", written).count("$") == 0


def read_pieces(written: str, quote: str, number: str) -> str:
    """Return the text of quoted pieces and character codes that are joined by +."""
    piece = rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}|{number}"
    assert re.fullmatch(
        rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}|\((?:{piece})( \+ (?:{piece}))*\)", written
    )
    found = []
    for match in re.finditer(piece, written):
        part = match[0]
        inner = part[1:-1].replace(quote * 2, quote)
        codes = re.findall(r"0x[0-9a-f]+|\d+", part)
        found.append(inner if part[0] == quote else "".join(chr(int(c, 0)) for c in codes))
    return joined("".join(found))


@given(text | hostile)
def test_powershell_literal_reads_back_given_text(words: str) -> None:
    written = literal(DIALECTS[".net-powershell"], words)
    assert written.isascii()
    assert written.isprintable()
    assert read_pieces(written, "'", r"\[char\]0x[0-9a-f]{4}") == words


@given(text | hostile)
def test_matlab_literal_reads_back_given_text_without_backslashes(words: str) -> None:
    written = literal(DIALECTS["matlab"], words)
    assert written.isascii()
    assert written.isprintable()
    assert "\\" not in written
    assert read_pieces(written, '"', r"char\(\[[0-9 ]+\]\)") == words


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@given(value=nested)
def test_literal_is_one_line_of_printable_ascii(dialect: str, value: Any) -> None:
    try:
        written = literal(DIALECTS[dialect], value)
    except ParameterError:
        return
    assert all(" " <= char <= "~" for char in written)


KEY = "k\"$(x)`'\\"


@pytest.mark.parametrize(
    ("dialect", "written"),
    [
        ("R", 'list("k\\"$(x)`\'\\\\" = list(NULL, TRUE))'),
        ("scala", 'Map("k\\"$(x)`\'\\\\" -> Seq(None, true))'),
        ("julia", 'Dict("k\\"\\$(x)`\'\\\\" => [nothing, true])'),
        ("matlab", 'containers.Map({char(("" + "k""$(x)`\'" + char([92])))}, {{NaN, true}})'),
        (
            ".net-fsharp",
            '([ ("k\\"$(x)`\'\\\\", [ None; true ] :> System.IComparable) ] |> Map.ofList)',
        ),
        (".net-powershell", "@{'k\"$(x)`''\\' = @($Null, $True)}"),
    ],
)
def test_mapping_key_is_escaped_like_a_value(dialect: str, written: str) -> None:
    assert literal(DIALECTS[dialect], {KEY: [None, True]}) == written


def test_csharp_literal_of_a_dictionary() -> None:
    written = literal(DIALECTS[".net-csharp"], {KEY: [2**31, -1]})
    inside = '{ "k\\"$(x)`\'\\\\" , new [] { 2147483648L, -1 } }'
    assert written == f"new Dictionary<string,Object>{{ {inside} }}"


def test_javascript_literals() -> None:
    value = {"__proto__": 1.0, KEY: [-0.0, 1.5, 2**53 - 1, "\u2028é😀"]}
    assert literal(DIALECTS["typescript"], value) == (
        '{["__proto__"]: 1, "k\\"$(x)`\'\\\\": '
        '[-0.0, 1.5, 9007199254740991, "\\u2028\\u00e9\\ud83d\\ude00"]}'
    )
    with pytest.raises(ParameterError, match="too large"):
        literal(DIALECTS["javascript"], 2**53)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (["a", "b"], 'c("a", "b")'),
        ([1, 2.5], "c(1, 2.5)"),
        ([True], "c(TRUE)"),
        ([1, "a"], 'list(1, "a")'),
        ([None], "list(NULL)"),
        ([[1], [2]], "list(c(1), c(2))"),
        ([], "list()"),
    ],
)
def test_r_vector_of_one_type_and_list_of_others(value: list[Any], written: str) -> None:
    assert literal(DIALECTS["R"], value) == written
