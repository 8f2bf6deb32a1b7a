"""The parameters of an included runbook run again before its steps, if another has changed them."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.model import Check, IncludedRunbook, Inclusion, Step
from nbrun.core.planner import NextAttempt, NextStop
from tests.support.build_events import (
    attempt_failed,
    attempt_finished,
    attempt_indeterminate,
    attempt_started,
    decided,
    kernel_restarted,
    kernel_started,
    policy,
    resumed,
    run_interrupted,
    run_resumed,
    run_started,
    step,
    stopped,
)
from tests.support.engine_driver import RandomRun, random_check, random_policy, random_undo
from tests.support.run_states import next_action, state_of

X, Y = {"host": "x"}, {"host": "y"}
CHECK = Check(id="a-c", source="is_there(host)")


def included(number: int, cell: str, id: str, tag: str = "", **fields: Any) -> Step:
    tags = (tag,) if tag else ()
    of = Inclusion(cell=cell, path="drain.ipynb")
    return step(number, tags, id=f"{cell}-{id}", source=f"{cell} {id}", included=of, **fields)


def plan(**more: Any) -> list[Step]:
    """Return a plan that includes the same runbook as `a` and as `b`, before a step of its own."""
    return [
        *(included(1, "a", "p", "parameters"), included(2, "a", "i", "injected-parameters")),
        *(included(3, "a", "act", **more), included(4, "a", "act2")),
        *(included(5, "b", "p", "parameters"), included(6, "b", "i", "injected-parameters")),
        *(included(7, "b", "act"), included(8, "b", "act2"), step(9)),
    ]


def include_of(cell: str, values: Any) -> IncludedRunbook:
    return IncludedRunbook(
        cell=cell, path="drain.ipynb", sha256="0" * 64, parameters=values, names=("host",)
    )


def begun_with(steps: list[Step], one: Any, other: Any) -> list[Event]:
    includes = (include_of("a", one), include_of("b", other))
    return [run_started(steps, includes=includes), kernel_started()]


def failed_in_b(one: Any = X, other: Any = Y, **more: Any) -> list[Event]:
    """Return a run that stopped in the second runbook, after all of the first."""
    history = begun_with(plan(**more), one, other)
    for id_ in ("a-p", "a-i", "a-act", "a-act2", "b-p", "b-i"):
        history += ran(id_)
    failed = [attempt_started("b-act", source="b act"), attempt_failed("b-act")]
    return [*history, *failed, stopped("step_failed", "b-act")]


def chosen(*decision: str) -> list[Event]:
    """Return the events of a decision at a stop."""
    return [decided(*decision), resumed()]


def ran(id_: str, number: int = 1, cause: Any = "script", source: str = "") -> list[Event]:
    """Return the events of an attempt that succeeded."""
    source = source or id_.replace("-", " ")
    return [
        attempt_started(id_, number, cause=cause, source=source),
        attempt_finished(id_, number),
    ]


def again(id_: str) -> NextAttempt:
    return NextAttempt(id_, id_.replace("-", " "), "setup")


def set_again(id_: str) -> list[Event]:
    return ran(id_, 2, cause="setup")


def test_step_of_the_first_runbook_gets_its_own_values_again() -> None:
    history = [*failed_in_b(), *chosen("run", "a-act")]
    assert next_action(*history) == again("a-p")
    history += set_again("a-p")
    assert next_action(*history) == again("a-i")
    history += set_again("a-i")
    assert next_action(*history) == NextAttempt("a-act", "a act", "operator")
    history += ran("a-act", 2, cause="operator")
    assert [each.kind for each in state_of(history).deviations] == ["reran"]
    assert next_action(*history) == NextStop("returned")
    history += [stopped("returned", "b-act"), *chosen("retry")]
    assert next_action(*history) == again("b-p")


def test_script_sets_the_values_again_before_it_goes_on() -> None:
    history = [*failed_in_b(), *chosen("run", "a-act"), *set_again("a-p"), *set_again("a-i")]
    history += [*ran("a-act", 2, cause="operator"), stopped("returned", "b-act"), *chosen("skip")]
    assert next_action(*history) == again("b-p")
    history += [*set_again("b-p"), *set_again("b-i")]
    assert next_action(*history) == NextAttempt("b-act2", "b act2", "script")


def test_jump_back_runs_the_steps_from_there_in_order() -> None:
    history = [*failed_in_b(), *chosen("jump", "a-act"), stopped("moved", "a-act")]
    history += [*chosen("run"), *set_again("a-p"), *set_again("a-i")]
    history += [*ran("a-act", 2, cause="operator"), *ran("a-act2", 2)]
    assert next_action(*history) == NextAttempt("b-p", "b p", "script")


@pytest.mark.parametrize(
    ("one", "other"),
    [({"host": "x"}, {"host": "x"}), ({"host": 1}, {"host": 1})],
)
def test_equal_values_need_not_be_set_again(one: Any, other: Any) -> None:
    history = [*failed_in_b(one, other), *chosen("run", "a-act")]
    assert next_action(*history) == NextAttempt("a-act", "a act", "operator")


@pytest.mark.parametrize(
    ("one", "other"), [({}, {}), ({"host": 1}, {"host": True}), ({"host": 1}, {})]
)
def test_values_that_may_differ_are_set_again(one: Any, other: Any) -> None:
    assert next_action(*failed_in_b(one, other), *chosen("run", "a-act")) == again("a-p")


def test_parameters_and_own_steps_of_the_runbook_run_as_they_are() -> None:
    attempt = NextAttempt("a-p", "a p", "operator")
    assert next_action(*failed_in_b(), *chosen("run", "a-p")) == attempt
    assert next_action(*failed_in_b(), *chosen("run", "a-i")) == again("a-p")
    own = next_action(*failed_in_b(), *chosen("run", "s9"))
    assert own == NextAttempt("s9", "step_9()", "operator")


def test_failure_of_the_parameters_drops_the_decision() -> None:
    history = [*failed_in_b(), *chosen("run", "a-act")]
    history += [attempt_started("a-p", 2, cause="setup", source="a p"), attempt_failed("a-p", 2)]
    assert next_action(*history) == NextStop("step_failed")


def test_edited_parameters_are_set_again_as_they_ran() -> None:
    history = begun_with(plan(), {"host": "x"}, {"host": "y"})
    history += [*ran("a-p"), *ran("a-i", source="host = 'edited'")]
    for id_ in ("a-act", "a-act2", "b-p", "b-i"):
        history += ran(id_)
    history += [attempt_started("b-act", source="b act"), attempt_failed("b-act")]
    history += [stopped("step_failed", "b-act"), *chosen("run", "a-act"), *set_again("a-p")]
    assert next_action(*history) == NextAttempt("a-i", "host = 'edited'", "setup")


def test_new_kernel_has_the_values_of_the_last_runbook() -> None:
    history = [*failed_in_b(), *chosen("restart"), kernel_restarted()]
    for id_ in ("a-p", "a-i", "b-p", "b-i"):
        assert next_action(*history) == again(id_)
        history += set_again(id_)
    history += [stopped("kernel_restarted", "b-act"), *chosen("run", "a-act")]
    assert next_action(*history) == again("a-p")


def test_check_of_a_step_gets_the_values_of_its_runbook() -> None:
    """Nobody saw an attempt end, and the check is asked in a kernel that has other values."""
    history = [*failed_in_b(check=CHECK), *chosen("run", "a-act"), *set_again("a-p")]
    history += [*set_again("a-i"), attempt_started("a-act", 2, cause="operator", source="a act")]
    history += [attempt_indeterminate("a-act", 2), run_interrupted(), run_resumed()]
    history += [kernel_restarted()]
    for id_, number in (("a-p", 3), ("a-i", 3), ("b-p", 2), ("b-i", 2)):
        assert next_action(*history) == again(id_)
        history += ran(id_, number, cause="setup")
    assert next_action(*history) == again("a-p")
    history += [*ran("a-p", 4, cause="setup"), *ran("a-i", 4, cause="setup")]
    assert next_action(*history) == NextAttempt("a-c", "is_there(host)", "check")


def test_unfinished_parameters_of_another_runbook_count_as_set() -> None:
    """Its cell may have assigned the name before it failed."""
    history = begun_with(plan(), X, Y)
    for id_ in ("a-p", "a-i", "a-act", "a-act2", "b-p"):
        history += ran(id_)
    history += [attempt_started("b-i", source="b i"), attempt_failed("b-i")]
    history += [stopped("step_failed", "b-i"), *chosen("run", "a-act")]
    assert next_action(*history) == again("a-p")


class RunWithIncludes(RandomRun):
    """A random run that follows whose value the kernel's variable `host` has."""

    host = ""
    compared = 0

    def emit(self, event: Event) -> None:
        if isinstance(event, ev.RunStarted):
            includes = (include_of("a", X), include_of("b", Y))
            event = msgspec.structs.replace(event, includes=includes)
        super().emit(event)
        match event:
            case ev.KernelStarted() | ev.KernelRestarted():
                self.host = ""
            case ev.AttemptStarted():
                self._began(event)

    def _began(self, event: ev.AttemptStarted) -> None:
        state = self.state
        found = [state.steps.get(event.step), state.checked.get(event.step)]
        owner = next(filter(None, [*found, state.undos.get(event.step)]), None)
        included = owner.step.included if owner is not None else None
        if owner is None or included is None:
            return
        if owner.step.is_setup:
            self.host = included.cell if owner.step.id.endswith("-i") else f"{included.cell}?"
            return
        own = [state.steps[f"{included.cell}-{id_}"] for id_ in "pi"]
        if all(each.passed and each.succeeded and each.attempts for each in own):
            assert self.host == included.cell, event
            self.compared += 1


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**63))
def test_no_step_runs_with_the_values_of_another_runbook(seed: int) -> None:
    chance = random.Random(seed)
    steps = tuple(
        each
        if each.is_setup
        else msgspec.structs.replace(
            each, check=random_check(chance, each.id), undo=random_undo(chance, each)
        )
        for each in plan()
    )
    RunWithIncludes(steps, random_policy(chance), chance, 20).run()


def test_random_runs_compare_many_attempts() -> None:
    compared = 0
    for seed in range(40):
        chance = random.Random(seed)
        run = RunWithIncludes(tuple(plan()), policy(), chance, 20)
        run.run()
        compared += run.compared
    assert compared > 40
