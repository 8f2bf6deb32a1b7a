"""The page of guarantees: every promise has a row, and every test that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`(?: \(\*(\w+)\*\))?", PAGE)
SUITES = ("sweep", "kernels", "gateway")  # marks of the tests that only .ci/run runs


@cache
def cases_of(path: str) -> dict[str, str]:
    """Return the tests of a file by name, each with its suite; empty for an ordinary test."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    found = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    return {
        each.name: next(filter(None, map(suite, each.decorator_list)), "")
        for each in found
        if each.name.startswith("test_")
    }


def suite(mark: ast.expr) -> str:
    name = ast.unparse(mark).removeprefix("pytest.mark.")
    return name if name in SUITES else ""


@pytest.mark.parametrize(("path", "name", "stated"), NAMED, ids=lambda part: str(part)[:60])
def test_named_test_exists_and_is_marked_as_stated(path: str, name: str, stated: str) -> None:
    assert (ROOT / path).is_file()
    assert name in cases_of(path)
    assert cases_of(path)[name] == stated


def test_every_promise_has_a_row_with_tests() -> None:
    rows = [row for row in PAGE.splitlines() if re.match(r"\| P\d", row)]
    assert [row.split("|")[1].strip() for row in rows] == [f"P{number}" for number in range(1, 15)]
    for row in PAGE.partition("\n## Tests\n")[2].splitlines():
        if row.startswith("| ") and "---" not in row and "shown by" not in row:
            assert "::test_" in row, row


def test_every_path_of_a_test_names_the_test_too() -> None:
    assert len(re.findall(r"tests/", PAGE)) == len(NAMED)


def test_every_fault_test_module_is_named() -> None:
    faults = {f"tests/faults/{path.name}" for path in (ROOT / "tests/faults").glob("test_*.py")}
    assert faults <= {path for path, _, _ in NAMED}
