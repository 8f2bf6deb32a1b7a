"""Tests of the decisions that are offered where a run stands, and of those that a command names."""

import pytest

from nbrun.core import decisions
from nbrun.core.choices.options import Arguments, named_decision, options
from nbrun.core.state import RunState
from nbrun.errors import UsageError
from tests.core.test_undo import with_undo
from tests.support.build_events import attempt_failed, attempted, begun, step, stopped
from tests.support.build_events import attempt_started as started
from tests.support.run_states import state_of


def failed_after_two_with_undos() -> RunState:
    plan = (with_undo(1), with_undo(2), step(3))
    done = [*begun(plan), *attempted("s1"), *attempted("s2")]
    return state_of([*done, started("s3"), attempt_failed("s3"), stopped("s3")])


def test_undo_offered_without_a_step_is_of_the_step_that_ran_last() -> None:
    state = failed_after_two_with_undos()
    assert [each.step for each in options(state) if each.name == "undo"] == ["s2"]
    assert [each.step for each in options(state, "s1") if each.name == "undo"] == ["s1"]


def test_undo_not_offered_where_nothing_can_be_undone() -> None:
    state = state_of([*begun((step(1),)), started("s1"), attempt_failed("s1"), stopped("s1")])
    assert all(each.name != "undo" for each in options(state))


@pytest.mark.parametrize(
    ("name", "argument", "says"),
    [
        ("jump", "", "jump needs a step: 1 to 3, or an id"),
        ("undo", "9", "undo: there is no step '9': 1 to 3, or an id"),
        ("edit", "", "edit needs the code to run: name its file with --source"),
        ("retry", "3", "retry takes nothing after it, not '3'"),
        ("again", "", "'again' is not a decision: one of run, retry"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_give(name: str, argument: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("'", ".")):
        named_decision(failed_after_two_with_undos(), name, Arguments(argument=argument))


def test_step_is_named_by_number_or_id() -> None:
    state = failed_after_two_with_undos()
    for called in ("2", "s2"):
        named = named_decision(state, "undo", Arguments(argument=called))
        assert isinstance(named, decisions.Undo)
        assert named.step == "s2"
