"""The scanner of statements: strings, comments, brackets and line ends of several languages."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.runbook.source_scanner import LANGUAGES, statements


def texts(source: str, language: str) -> list[tuple[str, str, int]]:
    return [(each.text, each.comment, each.line) for each in statements(source, language)]


@pytest.mark.parametrize(
    ("language", "source", "expected"),
    [
        ("bash", "a=1 # x\n\nb='#; no'", [("a=1", "x", 1), ("b='#; no'", "", 3)]),
        ("bash", "a=x#y; b=2", [("a=x#y", "", 1), ("b=2", "", 1)]),
        ("bash", "a=$'it\\'s; #'\nb=\\;", [("a=$'it\\'s; #'", "", 1), ("b=\\;", "", 2)]),
        (
            "bash",
            "cat <<E; x=1\nit's; y\nE\nz=1",
            [("cat <<E; x=1\nit's; y\nE", "", 1), ("z=1", "", 4)],
        ),
        ("bash", "f() {\n a=1\n}\nb=2", [("f() {\n a=1\n}", "", 1), ("b=2", "", 4)]),
        (
            "R",
            'x <-\n  2 # two\ny = r"-(a;"b)-"',
            [("x <-\n  2", "two", 1), ('y = r"-(a;"b)-"', "", 3)],
        ),
        ("R", "c(1, # one\n 2)", [("c(1, \n 2)", "", 1)]),
        (
            "typescript",
            "let a = `x;\n${1}`; // t\nb",
            [("let a = `x;\n${1}`", "t", 1), ("b", "", 3)],
        ),
        ("javascript", "a /* ; */ = '//'; b", [("a  = '//'", ";", 1), ("b", "", 1)]),
        ("javascript", "let a =\n  1", [("let a =\n  1", "", 1)]),
    ],
)
def test_statements_end_outside_strings_comments_and_brackets(
    language: str, source: str, expected: list[tuple[str, str, int]]
) -> None:
    assert texts(source, language) == expected


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@given(st.text(st.sampled_from("ab=;#/*'\"`$\\(){}[]<-\n rE_")))
def test_shape_has_the_length_of_the_text(language: str, source: str) -> None:
    for each in statements(source, language):
        assert len(each.shape) == len(each.text)
        assert 1 <= each.line <= source.count("\n") + 1


@pytest.mark.sweep
@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("piece", ['\\"', "/*", "<<a ", 'r"(', "'", "`", "((", "a\n=", "$'"])
def test_scan_takes_linear_time(language: str, piece: str) -> None:
    began = time.process_time()
    statements(piece * 20_000, language)
    assert time.process_time() - began < 3
