"""Parameters that a bash, R, JavaScript or TypeScript cell declares."""

from typing import Any

import pytest

from nbrun.runbook.parameters.script_declarations import script_parameters
from nbrun.runbook.parameters.types import Parameter


def only(source: str, language: str) -> Parameter:
    (found,) = script_parameters(source, language).values()
    return found


@pytest.mark.parametrize(
    ("source", "kind", "default"),
    [
        ('let x: string = "a"', "str", '"a"'),
        ("const x: number = 3;", "float", "3"),
        ("var x = true", "bool", "true"),
        ("export let x = -1.5e3", "float", "-1.5e3"),
        ("let x: boolean", "bool", ""),
        ("let x: string[] = [\n  'a',\n]", "list", "[\n  'a',\n]"),
        ("let x: Array<string> = []", "list", "[]"),
        ("let x: Record<string, number> = {a: 1}", "dict", "{a: 1}"),
        ("let x = {a: '=', b: [1]}", "dict", "{a: '=', b: [1]}"),
        ("let x = `a ${1}`", "str", "`a ${1}`"),
        ("let x = Number('3')", "float", "Number('3')"),
        ("let x: unknown = 1", "any", "1"),
        ("let x: string | number = 1", "any", "1"),
        ("let x = f(1)", "any", "f(1)"),
        ("x = 5", "float", "5"),
    ],
)
def test_typescript_declaration_has_its_type(source: str, kind: str, default: str) -> None:
    found = only(f"{source} // how many", "typescript")
    assert (found.name, found.type, found.default, found.help) == ("x", kind, default, "how many")


@pytest.mark.parametrize(
    ("source", "declared"),
    [("let x = new Date(1)", "Date"), ("let x: Date = now", "Date"), ("let x = 10n", "bigint")],
)
def test_typescript_value_that_cannot_be_given_is_other(source: str, declared: str) -> None:
    found = only(source, "typescript")
    assert (found.type, found.declared) == ("other", declared)


@pytest.mark.parametrize(
    ("annotation", "kind", "choices", "optional"),
    [
        ("\"dry\" | 'real'", "str", ["dry", "real"], False),
        ("1 | 2", "float", [1, 2], False),
        ("string | null", "str", [], True),
        ('"a" | undefined', "str", ["a", None], True),
    ],
)
def test_typescript_union_has_choices(
    annotation: str, kind: str, choices: list[Any], optional: bool
) -> None:
    found = only(f"let x: {annotation} = y", "typescript")
    assert (found.type, found.choices, found.optional) == (kind, choices, optional)


def test_javascript_declares_several_names_with_their_keywords() -> None:
    source = "let a = 1, b = f(2, 3), c\nconst d = 4\nif (a == b) { let e = 5 }\nf(a)"
    found = script_parameters(source, "javascript")
    assert {name: each.keyword for name, each in found.items()} == {
        **dict.fromkeys("abc", "let"),
        "d": "const",
    }


@pytest.mark.parametrize(
    ("source", "kind", "default"),
    [
        ("x=db1", "str", "db1"),
        ("x=8080", "str", "8080"),
        ("declare -i x=3", "int", "3"),
        ("typeset -ri x=3", "int", "3"),
        ("readonly x='a b # c'", "str", "'a b # c'"),
        ("export x=(a\n b)", "list", "(a\n b)"),
        ("declare -a x=(a)", "list", "(a)"),
        ("declare -A x=([a]=1)", "other", "([a]=1)"),
        ('x="$(date; echo "a b")"', "str", '"$(date; echo "a b")"'),
        ("x=a\\\nb", "str", "a\\\nb"),
    ],
)
def test_bash_declaration_has_its_type(source: str, kind: str, default: str) -> None:
    found = only(f"{source}  # how many", "bash")
    assert (found.name, found.type, found.default, found.help) == ("x", kind, default, "how many")


def test_bash_declares_each_assignment_of_a_line() -> None:
    found = script_parameters("a=1 b='x y'; export c=2 d\nreadonly e=3\ndeclare -xr f=4", "bash")
    assert {name: each.keyword for name, each in found.items()} == {
        **dict.fromkeys("abc", ""),
        **dict.fromkeys("ef", "readonly"),
    }


@pytest.mark.parametrize("source", ["x=1 env", "[ x = 1 ]", "echo x=1", "# x=1", "a[1]=2", "x+=1"])
def test_bash_command_declares_nothing(source: str) -> None:
    assert script_parameters(source, "bash") == {}


@pytest.mark.parametrize(
    ("source", "kind", "default"),
    [
        ('x <- "a # b"', "str", '"a # b"'),
        ("x = 3L", "int", "3L"),
        ("x <- 3", "float", "3"),
        ("x <<- -1e-3", "float", "-1e-3"),
        ("x <- TRUE", "bool", "TRUE"),
        ("x <- c(1,\n 2)", "list", "c(1,\n 2)"),
        ("x <- list(a = 1)", "dict", "list(a = 1)"),
        ('x <- list("a", 1)', "list", 'list("a", 1)'),
        ('x <- r"(a"b)"', "str", 'r"(a"b)"'),
        ("x <- NULL", "any", "NULL"),
        ("x <- { 1 }", "any", "{ 1 }"),
        ("x <- Sys.getenv('A')", "any", "Sys.getenv('A')"),
    ],
)
def test_r_declaration_has_its_type(source: str, kind: str, default: str) -> None:
    found = only(f"{source} # how many", "R")
    assert (found.name, found.type, found.default, found.help) == ("x", kind, default, "how many")


def test_r_date_is_other_and_comparison_declares_nothing() -> None:
    assert only('x <- as.Date("2026-01-01")', "R").declared == "Date"
    assert script_parameters("x == 1\nif (x) y <- 2", "R") == {}
