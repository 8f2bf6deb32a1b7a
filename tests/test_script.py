"""What a run does next, what may be decided, and what leaves the script."""

import random
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbrun import approval, decisions, terms
from nbrun import events as ev
from nbrun.approval import binding
from nbrun.decisions import Decision
from nbrun.events import Deviated, Event
from nbrun.script import (
    ALLOWED,
    NextAttempt,
    NextFinish,
    NextRestart,
    NextStop,
    attempt_started,
    consequences,
    deviations_of,
    diff,
    label,
    lacks,
    refusal,
    unattended_end,
    waits,
    what_next,
)
from nbrun.state import Phase, RunState, apply, fold
from nbrun.terms import Step
from tests.build import (
    approval_granted,
    approval_rejected,
    attempt_failed,
    attempt_finished,
    attempted,
    begun,
    crashed,
    decided,
    input_requested,
    kernel_died,
    kernel_idle,
    kernel_interrupted,
    kernel_reattached,
    kernel_restarted,
    kernel_started,
    operator,
    operator_attached,
    policy,
    resumed,
    run_resumed,
    run_started,
    step,
    steps,
    stopped,
    uneventful,
    with_deviations,
)
from tests.build import attempt_started as started
from tests.drive import Drive, some_policy, some_steps
from tests.drive import decided as as_decided

SAMPLES: tuple[Decision, ...] = (
    decisions.Run(),
    decisions.Continue(),
    decisions.Retry(),
    decisions.Done(),
    decisions.Edit(source="other()"),
    decisions.Skip(),
    decisions.Jump(step="s3"),
    decisions.Insert(source="look()"),
    decisions.RestartKernel(),
    decisions.AddNote(text="called the on-call"),
    decisions.Approve(binding=""),
    decisions.Reject(),
    decisions.Settle(finding="happened"),
    decisions.Detach(),
    decisions.Cancel(),
    decisions.Interrupt(),
    decisions.KillKernel(),
    decisions.Answer(text="db2"),
)

RUNNING_ON = (
    decisions.Run,
    decisions.Continue,
    decisions.Retry,
    decisions.Edit,
    decisions.Skip,
    decisions.Jump,
    decisions.Insert,
    decisions.RestartKernel,
)


def state_of(events: Iterable[Event]) -> RunState:
    return fold(with_deviations(events))


def failed(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Stopped at step `number`, which failed; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    id_ = f"s{number}"
    return [
        *begun(plan, policy(**rules)),
        *before,
        started(id_),
        attempt_failed(id_),
        stopped("step_failed", id_),
    ]


def waiting(number: int = 1, plan: Any = 3, **rules: Any) -> list[Event]:
    """Stopped before step `number` in step mode; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    where = stopped("step_mode", f"s{number}")
    return [*begun(plan, policy(step=True, **rules)), *before, where]


def carried_out(state: RunState, decision: Decision) -> list[Deviated]:
    """What is recorded as deviations when `decision` is taken and, at once, carried out."""
    seen: list[Deviated] = []

    def emit(event: Event) -> None:
        for each in (event, *deviations_of(state, event)):
            apply(state, each)
            if isinstance(each, Deviated):
                seen.append(each)

    emit(as_decided(decision))
    emit(resumed())
    match what_next(state):
        case NextAttempt() as planned if planned.cause == "operator":
            emit(attempt_started(state, planned))
        case NextRestart(why=why):
            emit(kernel_restarted(state.generation + 1, why))
    return seen


def kinds(deviations: Iterable[Deviated]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.step) for each in deviations]


# ── Off script ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("events", "decision", "expected"),
    [
        pytest.param(failed(2), decisions.Retry(), [("retried", "s2")], id="retried"),
        pytest.param(
            failed(2),
            decisions.Edit(source="other()"),
            [("retried", "s2"), ("edited", "s2")],
            id="a failed step, edited",
        ),
        pytest.param(waiting(2), decisions.Edit(source="other()"), [("edited", "s2")], id="edited"),
        pytest.param(waiting(2), decisions.Run(step="s1"), [("reran", "s1")], id="reran"),
        pytest.param(
            waiting(2), decisions.Run(step="s3"), [("out_of_order", "s3")], id="out of order"
        ),
        pytest.param(
            waiting(1),
            decisions.Edit(source="other()", step="s2"),
            [("out_of_order", "s2"), ("edited", "s2")],
            id="out of order and edited",
        ),
        pytest.param(waiting(2), decisions.Skip(), [("skipped", "s2")], id="skipped"),
        pytest.param(
            waiting(1, 4),
            decisions.Jump(step="s3"),
            [("skipped", "s1"), ("skipped", "s2")],
            id="skipped by a jump",
        ),
        pytest.param(
            waiting(1),
            decisions.Insert(source="look()"),
            [("inserted", "inserted-1")],
            id="inserted",
        ),
        pytest.param(
            waiting(1), decisions.RestartKernel(), [("kernel_restarted", None)], id="restarted"
        ),
        pytest.param(waiting(2), decisions.Run(), [], id="the next step"),
        pytest.param(waiting(2), decisions.Continue(), [], id="on with it"),
        pytest.param(waiting(2), decisions.Edit(source="step_2()"), [], id="edited to what it was"),
        pytest.param(waiting(3), decisions.Jump(step="s1"), [], id="a jump back runs nothing yet"),
        pytest.param(failed(1), decisions.Cancel(), [], id="cancelled"),
    ],
)
def test_a_decision_leaves_the_script_as_the_design_says(
    events: list[Event], decision: Decision, expected: list[tuple[str, str | None]]
) -> None:
    state = state_of(events)
    assert refusal(state, decision) is None
    assert kinds(consequences(state, decision)) == expected
    assert kinds(carried_out(state, decision)) == expected
    assert kinds(state.deviations) == expected


@pytest.mark.parametrize("outcome", ["error", "interrupted", "timed_out", "kernel_died"])
def test_a_retry_of_a_step_that_did_not_succeed_marks_the_run_off_script(
    outcome: ev.Outcome,
) -> None:
    told = [*begun(), *attempted("s1", outcome=outcome), stopped(), decided("retry"), resumed()]
    state = state_of([*told, started(attempt=2, cause="operator")])
    assert kinds(state.deviations) == [("retried", "s1")]
    assert state.off_script


def test_a_step_whose_expected_error_came_was_run_successfully_before() -> None:
    plan = steps(2, s1=["raises-exception"])
    told = [*begun(plan, policy(step=True)), *attempted("s1", outcome="error")]
    state = state_of([*told, stopped("step_mode", "s2")])
    assert kinds(consequences(state, decisions.Run(step="s1"))) == [("reran", "s1")]


def test_what_the_runbook_declares_is_on_script() -> None:
    plan = steps(3, s1=["skip-execution"], s2=["raises-exception"])
    told = [*begun(plan), *attempted("s2", outcome="error"), *attempted("s3")]
    assert not state_of(told).off_script


def test_completing_a_fill_step_is_on_script() -> None:
    plan = steps(2, s1=["fill"])
    state = state_of([*begun(plan), stopped("fill", "s1")])
    assert carried_out(state, decisions.Edit(source="host = 'db2'")) == []
    assert state.attempt == started(source="host = 'db2'", edited=True, cause="operator")


def test_a_step_already_skipped_is_not_out_of_order_for_those_after_it() -> None:
    told = [*waiting(1), decided("skip"), resumed(), stopped("step_mode", "s2")]
    assert consequences(state_of(told), decisions.Run()) == []


def test_rebuilding_a_new_kernel_is_no_deviation_of_its_own() -> None:
    told = [*failed(2, steps(2, s1=["setup"])), decided("restart"), resumed(), kernel_restarted()]
    state = state_of([*told, started("s1", 2, cause="setup")])
    assert kinds(state.deviations) == [("kernel_restarted", None)]


def test_a_step_that_comes_again_after_a_jump_back_was_rerun() -> None:
    told = [*waiting(3), decided("jump", "s1"), resumed(), stopped("moved", "s1")]
    going_on = [decided("continue"), resumed(), started("s1", 2, cause="operator")]
    state = state_of([*told, *going_on, attempt_finished("s1", 2), started("s2", 2)])
    assert kinds(state.deviations) == [("reran", "s1"), ("reran", "s2")]


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Retry(reason="the replica was behind"),
        decisions.Edit(source="other()", reason="the replica was behind"),
        decisions.Skip(reason="the replica was behind"),
        decisions.Jump(step="s3", reason="the replica was behind"),
        decisions.Insert(source="look()", reason="the replica was behind"),
        decisions.RestartKernel(reason="the replica was behind"),
    ],
    ids=lambda decision: type(decision).__name__,
)
def test_a_deviation_carries_the_reason_of_the_decision(decision: Decision) -> None:
    recorded = carried_out(state_of(failed(1)), decision)
    assert recorded
    assert {each.reason for each in recorded} == {"the replica was behind"}


def test_an_edit_shows_what_was_changed_as_a_unified_diff() -> None:
    plan = [step(source="a = 1\nb = 2\n")]
    state = state_of(waiting(1, plan))
    (edited,) = carried_out(state, decisions.Edit(source="a = 1\nb = 3\n"))
    assert edited.diff.splitlines() == [
        "--- runbook",
        "+++ run",
        "@@ -1,2 +1,2 @@",
        " a = 1",
        "-b = 2",
        "+b = 3",
    ]


@given(st.text(), st.text())
def test_the_diff_of_two_sources_is_empty_only_where_their_lines_are_the_same(
    old: str, new: str
) -> None:
    assert (diff(old, new) == "") == (old.splitlines() == new.splitlines())


def as_foreseen(deviations: Iterable[Deviated]) -> list[tuple[str, str | None, str]]:
    return [(each.kind, each.step, each.diff) for each in deviations]


class Foreseeing(Drive):
    """Compares what was foretold of each decision with what its carrying out records."""

    compared = 0

    def foreseen(self, decision: Decision) -> None:
        if self.state.phase is not Phase.STOPPED or isinstance(decision, decisions.AddNote):
            return
        told = consequences(self.state, decision)
        done = carried_out(deepcopy(self.state), decision)
        assert as_foreseen(told) == as_foreseen(done), decision
        self.compared += 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**63))
def test_what_is_told_of_a_decision_beforehand_is_what_it_then_records(seed: int) -> None:
    chance = random.Random(seed)
    drive = Foreseeing(some_steps(chance), some_policy(chance), chance, 20)
    drive.run()
    stops = [event for event in drive.events if isinstance(event, ev.Resumed)]
    assert drive.compared >= len(stops)


# ── What may be decided ──────────────────────────────────────────────────────────────────────


SHARED = step(1, contract=terms.Contract(approve="dba"))
BY_HAND = step(1, source="Call the bank.", contract=terms.Contract(manual=True))
PHASES: dict[Phase, list[Event]] = {
    Phase.NEW: [],
    Phase.READY: begun(),
    Phase.RUNNING: [*begun(), started(), input_requested()],
    Phase.STOPPED: waiting(1),
    Phase.FINISHED: uneventful(),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("decision", SAMPLES, ids=lambda decision: type(decision).__name__)
def test_a_decision_is_heard_in_its_phases_alone(decision: Decision, phase: Phase) -> None:
    told = PHASES[phase]
    if isinstance(decision, decisions.Retry) and phase is Phase.STOPPED:
        told = failed(1)
    if isinstance(decision, decisions.Done) and phase is Phase.STOPPED:
        told = [*begun([BY_HAND]), stopped("manual")]
    if isinstance(decision, decisions.Settle) and phase is Phase.STOPPED:
        told = [*begun(), started(), *crashed(running="s1"), run_resumed()]
        told.append(stopped("indeterminate"))
    if isinstance(decision, decisions.KillKernel) and phase is Phase.READY:
        told = [*begun(), *crashed(), run_resumed(), kernel_reattached()]
    if isinstance(decision, decisions.Approve | decisions.Reject) and phase is Phase.STOPPED:
        told = [*begun([SHARED]), stopped("approval")]
        decision = decisions.Approve(binding=binding(fold(told), fold(told).steps["s1"]))
    why_not = refusal(fold(told), decision)
    if phase in ALLOWED[type(decision)]:
        assert why_not is None
    else:
        assert why_not is not None
        assert phase.value in why_not


def test_every_decision_has_its_phases() -> None:
    assert set(ALLOWED) == set(get_args(Decision)) == {type(sample) for sample in SAMPLES}
    assert all(Phase.FINISHED not in phases for phases in ALLOWED.values())


@pytest.mark.parametrize(
    ("events", "decision", "why"),
    [
        (failed(1), decisions.Run(), "step 1 has failed: use retry"),
        (failed(1), decisions.Continue(), "step 1 has failed: use retry"),
        (waiting(1), decisions.Retry(), "step 1 has not failed: use run"),
        (waiting(1), decisions.Edit(source=" \n"), "no code"),
        (waiting(1), decisions.Insert(source=""), "no code"),
        (waiting(1), decisions.AddNote(text="  "), "empty"),
        (waiting(1), decisions.Run(step="s9"), "no step 's9'"),
        (waiting(1), decisions.Edit(source="x", step="s9"), "no step 's9'"),
        (waiting(1), decisions.Jump(step="s9"), "no step 's9'"),
        (waiting(2), decisions.Jump(step="s2"), "already stands at step 2"),
        ([*begun(), started()], decisions.Answer(text="db2"), "no cell is asking"),
        ([*failed(1), kernel_died()], decisions.Retry(), "restart it first"),
        ([*waiting(1), kernel_died()], decisions.Run(), "restart it first"),
        ([*waiting(1), kernel_died()], decisions.Continue(), "restart it first"),
        ([*waiting(1), kernel_died()], decisions.Edit(source="x"), "restart it first"),
        ([*waiting(1), kernel_died()], decisions.Insert(source="x"), "restart it first"),
    ],
)
def test_a_decision_that_makes_no_sense_here_is_refused_with_the_reason(
    events: list[Event], decision: Decision, why: str
) -> None:
    assert why in str(refusal(state_of(events), decision))


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(step="s2"), decisions.Edit(source="x", step="s2"), decisions.Jump(step="s2")],
)
def test_a_step_that_the_runbook_skips_is_never_run_by_hand(decision: Decision) -> None:
    state = state_of(waiting(1, steps(3, s2=["skip-execution"])))
    assert "skip-execution" in str(refusal(state, decision))


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Skip(),
        decisions.Jump(step="s3"),
        decisions.RestartKernel(),
        decisions.AddNote(text="!"),
        decisions.Cancel(),
    ],
)
def test_without_a_kernel_the_run_can_still_be_moved_mended_and_ended(decision: Decision) -> None:
    assert refusal(state_of([*failed(1), kernel_died()]), decision) is None


@pytest.mark.parametrize(
    ("events", "decision", "kind"),
    [
        (failed(2, strict=True), decisions.Retry(), "retried"),
        (waiting(1, strict=True), decisions.Edit(source="other()"), "edited"),
        (waiting(2, strict=True), decisions.Run(step="s1"), "reran"),
        (waiting(1, strict=True), decisions.Run(step="s2"), "out_of_order"),
        (waiting(1, strict=True), decisions.Skip(), "skipped"),
        (waiting(1, strict=True), decisions.Jump(step="s3"), "skipped"),
        (waiting(3, strict=True), decisions.Jump(step="s1"), "reran"),
        (waiting(1, strict=True), decisions.Insert(source="look()"), "inserted"),
        (waiting(1, strict=True), decisions.RestartKernel(), "kernel_restarted"),
    ],
)
def test_a_strict_run_refuses_what_would_leave_the_script(
    events: list[Event], decision: Decision, kind: str
) -> None:
    why_not = str(refusal(state_of(events), decision))
    assert kind in why_not
    assert "--strict" in why_not


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="step_2()"), decisions.Cancel()],
)
def test_a_strict_run_allows_what_stays_on_script(decision: Decision) -> None:
    assert refusal(state_of(waiting(2, strict=True)), decision) is None


def test_a_strict_run_allows_a_fill_step_to_be_completed() -> None:
    told = [*begun(steps(2, s1=["fill"]), policy(strict=True)), stopped("fill", "s1")]
    assert refusal(state_of(told), decisions.Edit(source="host = 'db2'")) is None


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="x"), decisions.Run(step="s1")],
)
def test_a_persons_step_is_never_run(decision: Decision) -> None:
    told = [*begun([BY_HAND, step(2)]), stopped("manual")]
    assert "is for a person to do" in str(refusal(state_of(told), decision))


def test_only_a_persons_step_is_said_to_be_done() -> None:
    assert "use run or skip" in str(refusal(state_of(waiting(1)), decisions.Done()))
    assert (
        refusal(state_of([*begun([BY_HAND]), stopped("manual"), kernel_died()]), decisions.Done())
        is None
    )


def test_a_persons_step_done_again_after_a_jump_back_is_off_script() -> None:
    plan = [BY_HAND, step(2), step(3)]
    told = [*begun(plan), stopped("manual"), decided("done"), resumed()]
    assert following(*told) == NextAttempt("s2", "step_2()", "script")
    told += [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    back = state_of([*told, decided("jump", "s1"), resumed(), stopped("moved", "s1")])
    assert kinds(consequences(back, decisions.Done())) == [("reran", "s1")]
    assert kinds(carried_out(back, decisions.Done())) == [("reran", "s1")]


GATED = step(1, contract=terms.Contract(confirm="Drop db1?", typed="db1"))


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Run(),
        decisions.Continue(),
        decisions.Edit(source="x"),
        decisions.Run(step="s1"),
        decisions.Run(typed="DB1 "),
    ],
)
def test_whoever_runs_a_gated_step_types_what_it_asks_for(decision: Decision) -> None:
    state = state_of([*begun([GATED]), stopped("confirm")])
    assert refusal(state, decision) is None
    assert lacks(state, decision) == "type 'db1' to confirm it"
    typed = msgspec.structs.replace(decision, typed="db1")
    assert lacks(state, typed) is None


@pytest.mark.parametrize(
    ("impact", "rules", "asked"),
    [
        (None, {}, True),
        ("none", {}, True),
        (None, {"yes": True}, False),
        ("none", {"yes": True}, False),
        ("changes", {"yes": True}, False),
        ("destructive", {"yes": True}, True),
        ("destructive", {"yes_destructive": True}, False),
        ("changes", {"yes_destructive": True}, True),
    ],
)
def test_yes_answers_beforehand_what_destroys_nothing(
    impact: Any, rules: dict[str, Any], asked: bool
) -> None:
    plan = [step(1, contract=terms.Contract(confirm="Sure?", impact=impact))]
    expected = NextStop("confirm", "Sure?") if asked else NextAttempt("s1", "step_1()", "script")
    assert following(*begun(plan, policy(**rules))) == expected


def test_a_team_allows_some_deviations_and_wants_reasons_for_others() -> None:
    state = state_of(failed(1, allow=("retried", "edited"), need_reason=("edited",)))
    assert "nbrun.toml does not allow it" in str(refusal(state, decisions.Skip()))
    assert refusal(state, decisions.Retry()) is None
    assert lacks(state, decisions.Retry()) is None
    assert lacks(state, decisions.Edit(source="x", reason=" ")) == "a reason is needed: edited"
    assert lacks(state, decisions.Edit(source="x", reason="the host moved")) is None


# ── Approvals ────────────────────────────────────────────────────────────────────────────────


def asked_for_approval(**fields: Any) -> list[Event]:
    return [run_started((SHARED, step(2)), **fields), kernel_started(), stopped("approval")]


def granted(told: list[Event]) -> list[Event]:
    """`told`, and that the step it stands at is approved."""
    state = fold(with_deviations(told))
    step_ = state.current
    assert step_ is not None
    return [*told, approval_granted(step_.step.id, binding(state, step_)), resumed()]


def test_a_step_that_needs_an_approval_runs_when_it_has_it() -> None:
    told = asked_for_approval()
    assert following(*told[:-1]) == NextStop("approval", "dba")
    assert following(*granted(told)) == NextAttempt("s1", "step_1()", "script")


@pytest.mark.parametrize(
    "decision",
    [
        decisions.Run(),
        decisions.Continue(),
        decisions.Run(step="s1"),
        decisions.Edit(source="x"),
        decisions.Retry(),
    ],
)
def test_nobody_runs_it_without(decision: Decision) -> None:
    assert refusal(state_of(asked_for_approval()), decision)
    assert refusal(state_of(asked_for_approval()), decisions.Skip()) is None


def test_an_approval_does_not_hold_for_an_edit() -> None:
    told = [*granted(asked_for_approval()), started(), attempt_failed(), stopped()]
    state = state_of(told)
    assert refusal(state, decisions.Retry()) is None
    assert "for its source as it stands" in str(refusal(state, decisions.Edit(source="other()")))


def test_an_approval_is_used_up_by_a_success() -> None:
    told = [*granted(asked_for_approval()), started(), attempt_finished(), started("s2")]
    told += [attempt_failed("s2"), stopped("step_failed", "s2"), decided("jump", "s1"), resumed()]
    told += [stopped("moved")]
    assert "needs an approval" in str(refusal(state_of(told), decisions.Run()))


def test_an_edit_of_the_parameters_voids_an_approval() -> None:
    plan = (step(1, ["parameters"]), step(2, contract=terms.Contract(approve="")), step(3))
    ran = [run_started(plan), kernel_started(), started(), attempt_finished()]
    told = granted([*ran, stopped("approval", "s2")])
    assert following(*told) == NextAttempt("s2", "step_2()", "script")
    edit = [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    edit += [decided("edit", "s1", "db = 'other'"), resumed()]
    edit += [started("s1", 2, "db = 'other'", True, "operator"), attempt_finished("s1", 2)]
    edit += [stopped("returned", "s2")]
    assert "needs an approval" in str(refusal(state_of([*told, *edit]), decisions.Retry()))


def test_what_has_changed_since_it_was_looked_at_is_not_approved() -> None:
    state = state_of(asked_for_approval())
    assert "have changed since you looked" in str(refusal(state, decisions.Approve(binding="old")))
    other = state_of(asked_for_approval(parameters={"db": "blue"}))
    first = state.steps["s1"]
    assert binding(state, first) != binding(other, other.steps["s1"])
    assert binding(state, first) == binding(state_of(asked_for_approval()), first)


def test_a_rejection_leaves_the_run_waiting() -> None:
    told = [*asked_for_approval(), approval_rejected()]
    assert state_of(told).phase is Phase.STOPPED
    assert "needs an approval" in str(refusal(state_of(told), decisions.Run()))


@pytest.mark.parametrize(
    ("who", "groups", "why"),
    [
        (operator("grace", 1001), {"dba", "users"}, None),
        (operator("grace", 1001), {"users"}, "is not in the group dba"),
        (operator("ada", 1000), {"dba"}, "has a hand in this run"),
        (operator("eve", 1002), {"dba"}, "has a hand in this run"),
        (operator("kay", 1003), {"dba"}, "has a hand in this run"),
    ],
)
def test_another_person_of_the_group_approves(who: Any, groups: set[str], why: str | None) -> None:
    told: list[Event] = [run_started((SHARED,)), kernel_started()]
    told += [operator_attached(operator("eve", 1002)), stopped("approval")]
    told += [decided("interrupt", by=operator("kay", 1003))]
    found = approval.refusal(state_of(told), who, groups)
    assert found is None if why is None else why in str(found)


# ── Automatic retries ────────────────────────────────────────────────────────────────────────


STUBBORN = step(1, contract=terms.Contract(retries=2, retry_delay=5.0))
AGAIN = NextAttempt("s1", "step_1()", "retry", after=5.0)


def test_a_step_is_retried_as_often_as_the_runbook_says_and_stays_on_script() -> None:
    told = [*begun([STUBBORN]), started(), attempt_failed()]
    for attempt in (2, 3):
        assert following(*told) == AGAIN
        told += [started(attempt=attempt, cause="retry"), attempt_failed(attempt=attempt)]
    assert following(*told) == NextStop("step_failed")
    assert state_of(told).deviations == []


def test_a_time_out_is_retried_and_what_was_interrupted_or_lost_is_not() -> None:
    told = [*begun([STUBBORN]), started()]
    assert following(*told, attempt_finished(outcome="timed_out")) == AGAIN
    for outcome in ("interrupted", "kernel_died"):
        assert following(*told, attempt_finished(outcome=outcome)) == NextStop("step_failed")


def test_what_the_operator_runs_is_retried_by_the_operator_alone() -> None:
    told = [*begun([STUBBORN]), started(), attempt_finished(outcome="interrupted"), stopped()]
    told += [decided("retry"), resumed(), started(attempt=2, cause="operator")]
    assert following(*told, attempt_failed(attempt=2)) == NextStop("step_failed")


def test_ctrl_c_while_a_retry_waits_stops_the_run() -> None:
    told = [*begun([STUBBORN]), started(), attempt_failed(), decided("interrupt")]
    assert following(*told) == NextStop("step_failed")


# ── What comes next ──────────────────────────────────────────────────────────────────────────


def following(*events: Event) -> Any:
    return what_next(state_of(events))


def test_a_run_goes_through_its_steps_and_completes() -> None:
    events = uneventful(2)
    assert following(*events[:2]) == NextAttempt("s1", "step_1()", "script")
    assert following(*events[:4]) == NextAttempt("s2", "step_2()", "script")
    assert following(*events[:6]) == NextFinish("completed", "every step was passed")


def test_a_failed_step_stops_the_run() -> None:
    assert following(*failed(2)[:-1]) == NextStop("step_failed")


def test_without_a_kernel_nothing_runs() -> None:
    assert following(run_started()) == NextStop("kernel_died")
    assert following(*begun(), kernel_died()) == NextStop("kernel_died")


def test_a_kernel_that_dies_when_all_is_done_changes_nothing() -> None:
    assert following(*begun(1), *attempted(), kernel_died()).outcome == "completed"


def test_step_mode_stops_before_every_step_until_continue() -> None:
    told = waiting(2)
    assert following(*told[:-1]) == NextStop("step_mode")
    ran = [
        *told,
        decided("run"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert following(*ran) == NextStop("step_mode")
    going = [
        decided("continue"),
        resumed(),
        started("s2", cause="operator"),
        attempt_finished("s2"),
    ]
    assert following(*told, *going) == NextAttempt("s3", "step_3()", "script")


def test_a_fill_step_stops_the_run_until_it_succeeded() -> None:
    plan = begun(steps(2, s1=["fill"]))
    assert following(*plan) == NextStop("fill")
    filled = [stopped("fill"), decided("edit", source="x = 1"), resumed()]
    ran = [*filled, started(source="x = 1", edited=True, cause="operator"), attempt_finished()]
    assert following(*plan, *ran) == NextAttempt("s2", "step_2()", "script")


def test_ctrl_c_between_steps_pauses_before_the_next() -> None:
    assert following(*begun(), decided("interrupt")) == NextStop("paused")


def test_what_was_run_aside_comes_back_to_where_the_run_stood() -> None:
    run = [decided("run", "s3"), resumed()]
    ran = [started("s3", cause="operator"), attempt_finished("s3")]
    insert = [decided("insert", source="look()"), resumed()]
    looked = [started("inserted-1", cause="operator"), attempt_failed("inserted-1")]
    for stop in (failed(1), [*begun(), stopped("paused")], waiting(1)):
        assert following(*stop, *run, *ran) == NextStop("returned")
        assert following(*stop, *insert, *looked) == NextStop("returned")


def test_a_step_that_was_run_ahead_is_passed_when_the_run_comes_to_it() -> None:
    ahead = [decided("run", "s2"), resumed(), started("s2", cause="operator")]
    told = [*failed(1), *ahead, attempt_finished("s2"), stopped("returned"), decided("retry")]
    again = [resumed(), started("s1", 2, cause="operator"), attempt_finished("s1", 2)]
    assert following(*told, *again) == NextAttempt("s3", "step_3()", "script")


def test_an_earlier_step_that_fails_aside_is_where_the_run_then_stands() -> None:
    aside = [decided("run", "s1"), resumed(), started("s1", 2, cause="operator")]
    assert following(*failed(2), *aside, attempt_failed("s1", 2)) == NextStop("step_failed")


def test_a_move_stops_at_its_destination_even_if_that_had_failed() -> None:
    told = [*failed(2), decided("jump", "s1"), resumed()]
    assert following(*told) == NextStop("moved")


def test_cancel_and_a_cell_that_ends_the_run_end_it() -> None:
    assert following(*failed(1), decided("cancel"), resumed()).outcome == "cancelled"
    ended = following(*begun(), started(), attempt_finished(ended_run=True))
    assert (ended.outcome, "step 1" in ended.why) == ("completed", True)


def test_run_takes_the_runbooks_source_and_retry_what_was_last_run() -> None:
    edited = [decided("edit", source="other()"), resumed()]
    ran = [started(attempt=2, source="other()", edited=True, cause="operator")]
    told = [*failed(1), *edited, *ran, attempt_failed(attempt=2), stopped()]
    again = following(*told, decided("retry"), resumed())
    assert again == NextAttempt("s1", "other()", "operator")
    assert attempt_started(state_of(told), again).edited
    assert attempt_started(state_of(told), again).attempt == 3
    plain = following(*told, decided("run", "s1"), resumed())
    assert plain == NextAttempt("s1", "step_1()", "operator")
    assert not attempt_started(state_of(told), plain).edited


def test_inserted_cells_have_ids_that_nothing_else_has() -> None:
    plan: list[Step] = [step(1, id="inserted-1"), step(2, id="inserted-3")]
    events: list[Event] = [*begun(plan), stopped("paused", "inserted-1")]
    seen = []
    for _ in range(3):
        events += [decided("insert", source="look()"), resumed()]
        planned = following(*events)
        seen.append(planned.step)
        events += [attempt_started(state_of(events), planned), attempt_finished(planned.step)]
        events.append(stopped("returned", "inserted-1"))
    assert seen == ["inserted-2", "inserted-4", "inserted-5"]


def test_a_restart_runs_the_setup_steps_again_and_then_stops() -> None:
    plan = steps(3, s1=["parameters"])
    told = [*failed(3, plan), decided("restart", reason="out of memory"), resumed()]
    assert following(*told) == NextRestart("out of memory")
    told += [kernel_restarted()]
    assert following(*told) == NextAttempt("s1", "step_1()", "setup")
    told += [started("s1", 2, cause="setup"), attempt_finished("s1", 2)]
    assert following(*told) == NextStop("kernel_restarted")


def test_a_rebuild_that_fails_stops_at_the_step_that_failed() -> None:
    plan = steps(3, s1=["setup"], s2=["setup"])
    told = [*failed(3, plan), decided("restart"), resumed(), kernel_restarted()]
    told += [started("s1", 2, cause="setup"), attempt_failed("s1", 2)]
    assert following(*told) == NextStop("step_failed")


# ── Who is there to decide ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rules", "reason", "expected"),
    [
        ({}, "step_failed", True),
        ({"attended": False}, "step_failed", False),
        ({"attended": False}, "fill", False),
        ({"on_failure": "stop"}, "step_failed", False),
        ({"on_failure": "stop"}, "kernel_died", False),
        ({"on_failure": "stop"}, "step_mode", True),
        ({"on_failure": "stop"}, "fill", True),
    ],
)
def test_a_stop_waits_where_somebody_is_there_and_wants_to_be_asked(
    rules: dict[str, Any], reason: ev.StopReason, expected: bool
) -> None:
    assert waits(fold(begun(3, policy(**rules))), NextStop(reason)) is expected


def test_an_operator_who_interrupted_is_there_even_if_a_failure_is_to_end_the_run() -> None:
    told = [*begun(3, policy(on_failure="stop")), started(), kernel_interrupted()]
    state = state_of([*told, attempt_finished(outcome="interrupted")])
    assert waits(state, NextStop("step_failed"))


@pytest.mark.parametrize(
    ("attended", "reason", "words"),
    [
        (False, "step_failed", ("step 1 did not succeed", "nobody was there")),
        (True, "step_failed", ("step 1 did not succeed", "--on-failure is stop")),
        (False, "kernel_died", ("no kernel for step 1", "nobody")),
        (False, "fill", ("step 1 is for an operator", "nobody")),
        (False, "confirm", ("step 1 asks to be confirmed", "nobody")),
        (False, "manual", ("step 1 is for a person", "nobody")),
        (False, "step_mode", ("stopped at step 1", "nobody")),
    ],
)
def test_a_run_that_nobody_decides_about_fails_and_says_why(
    attended: bool, reason: ev.StopReason, words: tuple[str, str]
) -> None:
    rules = policy(attended=attended, on_failure="stop" if attended else "ask")
    end = unattended_end(fold(begun(3, rules)), NextStop(reason))
    assert end.outcome == "failed"
    assert all(word in end.why for word in words)


def test_a_step_is_named_by_its_number_and_other_code_by_its_id() -> None:
    state = fold(begun())
    assert label(state, "s2") == "step 2"
    assert label(state, "inserted-1") == "cell inserted-1"


# ── Waiting for somebody, and what nobody saw end ────────────────────────────────────────────


def test_a_run_that_nobody_attends_waits_when_it_is_told_to_or_somebody_has_come() -> None:
    stop = NextStop("step_failed")
    assert not waits(fold(begun(3, policy(attended=False))), stop)
    assert waits(fold(begun(3, policy(attended=False, on_failure="wait"))), stop)
    assert waits(fold([*begun(3, policy(attended=False)), operator_attached()]), stop)


def test_a_stop_that_nobody_came_to_ends_the_run_as_failed() -> None:
    end = unattended_end(fold(failed(1, on_failure="wait", wait_for=60.0)), NextStop("step_failed"))
    assert "nobody was there to decide" in end.why


@pytest.mark.parametrize("decision", [each for each in SAMPLES if type(each) in RUNNING_ON])
def test_nothing_goes_on_before_an_indeterminate_attempt_is_settled(decision: Decision) -> None:
    told = [*begun(), started(), *crashed(running="s1"), run_resumed(), kernel_reattached()]
    state = fold([*told, kernel_idle(), stopped("indeterminate")])
    assert "nobody saw end" in str(refusal(state, decision))
    assert refusal(state, decisions.Cancel()) is None
    assert refusal(state, decisions.AddNote(text="asked the vendor")) is None
