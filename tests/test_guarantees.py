"""The table of guarantees: every promise is there, and every test that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "guarantees.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`( \(\*sweep\*\))?", PAGE)


@cache
def cases_of(path: str) -> dict[str, bool]:
    """The tests of a file by name, and whether each runs in the sweeps alone."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    found = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    return {
        each.name: any(ast.unparse(mark) == "pytest.mark.sweep" for mark in each.decorator_list)
        for each in found
        if each.name.startswith("test_")
    }


@pytest.mark.parametrize(("path", "name", "sweep"), NAMED, ids=lambda part: str(part)[:60])
def test_a_test_that_is_named_is_there_and_runs_when_it_says(
    path: str, name: str, sweep: str
) -> None:
    assert (ROOT / path).is_file()
    assert name in cases_of(path)
    assert cases_of(path)[name] is bool(sweep)


def test_every_promise_has_its_row_with_tests_of_its_own() -> None:
    rows = [row for row in PAGE.splitlines() if re.match(r"\| P\d", row)]
    assert [row.split("|")[1].strip() for row in rows] == [f"P{number}" for number in range(1, 14)]
    for row in PAGE.splitlines():
        if row.startswith("| ") and "---" not in row and "shown by" not in row:
            assert "::test_" in row, row


def test_nothing_is_named_in_another_way() -> None:
    """A path without its test says nothing."""
    assert len(re.findall(r"tests/", PAGE)) == len(NAMED)


def test_every_file_of_faults_is_named() -> None:
    """The faults are what the promises are about."""
    faults = {f"tests/faults/{path.name}" for path in (ROOT / "tests/faults").glob("test_*.py")}
    assert faults <= {path for path, _, _ in NAMED}
