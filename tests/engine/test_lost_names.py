"""Tests of the names that cells bind and that are lost with a kernel."""

import pytest

from nbrun.core.reducer import fold
from nbrun.engine.lost_names import bound_names, lost_names
from tests.support.build_events import (
    attempt_failed,
    attempt_started,
    attempted,
    begun,
    kernel_started,
    run_started,
    step,
    with_deviations,
)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = b = 1\nc, (d, *e) = f()", ["a", "b", "c", "d", "e"]),
        ("import os.path, json as j\nfrom x import y as z", ["os", "j", "z"]),
        ("def f(inner): local = 1\nclass C: attr = 1\nasync def g(): pass", ["f", "C", "g"]),
        ("for i in x:\n    with o() as p:\n        q: int = 1", ["i", "p", "q"]),
        ("if (n := len(x)) > 1:\n    m += 1", ["n", "m"]),
        ("[k for k in x]; {v: w for v, w in y}; lambda t: t", []),
        ("x.attribute = 1; y[0] = 2; print(z)", []),
        ("!ls\n%time\nfound = 1", ["found"]),
        ("this is no python", []),
        ("deep = " + "1 + " * 1000 + "1; last = 1", ["deep", "last"]),
        ("deep = " + "-" * 100_000 + "1", []),
        ("a\0b", []),
    ],
)
def test_bound_names_are_those_at_top_level(source: str, names: list[str]) -> None:
    assert bound_names(source) == names


def test_names_rebound_by_setup_are_not_lost() -> None:
    plan = (
        step(1, ["setup"], source="client = 1"),
        step(2, source="client = 2; found = 3"),
        step(3, source="never_run = 4"),
    )
    told = [run_started(plan), kernel_started()]
    told += [attempt_started("s1", source="client = 1"), *attempted("s1")[1:]]
    told += [attempt_started("s2", source="client = 2; found = 3"), attempt_failed("s2")]
    assert lost_names(fold(with_deviations(told))) == ("found",)


def test_lost_names_is_none_for_other_language() -> None:
    assert lost_names(fold([run_started(), kernel_started(language="R")])) is None
    assert lost_names(fold(begun())) == ()
