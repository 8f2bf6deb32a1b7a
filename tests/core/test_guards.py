"""What may be decided, and what a decision needs."""

from typing import Any, get_args

import msgspec
import pytest

from nbrun.core import decisions, model
from nbrun.core.approval import binding
from nbrun.core.decisions import Decision
from nbrun.core.deviations import implied_deviations
from nbrun.core.events import Event
from nbrun.core.guards import ALLOWED_PHASES, decision_refusal, missing_input, new_runbook_refusal
from nbrun.core.planner import NextAttempt, NextStop
from nbrun.core.reducer import fold
from nbrun.core.state import Phase
from tests.support.build_events import (
    attempt_failed,
    begun,
    crashed,
    decided,
    decision_proposed,
    input_requested,
    kernel_died,
    kernel_idle,
    kernel_reattached,
    policy,
    resumed,
    run_resumed,
    step,
    steps,
    stopped,
    uneventful,
)
from tests.support.build_events import attempt_started as started
from tests.support.run_states import carried_out, failed, following, kinds, state_of, waiting

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
    decisions.Withdraw(),
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


SHARED = step(1, contract=model.Contract(approve="dba"))
BY_HAND = step(1, source="Call the bank.", contract=model.Contract(manual=True))
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
        decision = decisions.Approve(binding=binding(fold(told), "run", "s1", "step_1()"))
    if isinstance(decision, decisions.Withdraw) and phase is Phase.STOPPED:
        told = [*told, decision_proposed()]
    why_not = decision_refusal(fold(told), decision)
    if phase in ALLOWED_PHASES[type(decision)]:
        assert why_not is None
    else:
        assert why_not is not None
        assert phase.value in why_not


def test_every_decision_has_its_phases() -> None:
    assert set(ALLOWED_PHASES) == set(get_args(Decision)) == {type(sample) for sample in SAMPLES}
    assert all(Phase.FINISHED not in phases for phases in ALLOWED_PHASES.values())


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
    assert why in str(decision_refusal(state_of(events), decision))


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(step="s2"), decisions.Edit(source="x", step="s2"), decisions.Jump(step="s2")],
)
def test_a_step_that_the_runbook_skips_is_never_run_by_hand(decision: Decision) -> None:
    state = state_of(waiting(1, steps(3, s2=["skip-execution"])))
    assert "skip-execution" in str(decision_refusal(state, decision))


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
    assert decision_refusal(state_of([*failed(1), kernel_died()]), decision) is None


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
    why_not = str(decision_refusal(state_of(events), decision))
    assert kind in why_not
    assert "--strict" in why_not


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="step_2()"), decisions.Cancel()],
)
def test_a_strict_run_allows_what_stays_on_script(decision: Decision) -> None:
    assert decision_refusal(state_of(waiting(2, strict=True)), decision) is None


def test_a_strict_run_allows_a_fill_step_to_be_completed() -> None:
    told = [*begun(steps(2, s1=["fill"]), policy(strict=True)), stopped("fill", "s1")]
    assert decision_refusal(state_of(told), decisions.Edit(source="host = 'db2'")) is None


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="x"), decisions.Run(step="s1")],
)
def test_a_persons_step_is_never_run(decision: Decision) -> None:
    told = [*begun([BY_HAND, step(2)]), stopped("manual")]
    assert "is for a person to do" in str(decision_refusal(state_of(told), decision))


def test_only_a_persons_step_is_said_to_be_done() -> None:
    assert "use run or skip" in str(decision_refusal(state_of(waiting(1)), decisions.Done()))
    assert (
        decision_refusal(
            state_of([*begun([BY_HAND]), stopped("manual"), kernel_died()]), decisions.Done()
        )
        is None
    )


def test_a_persons_step_done_again_after_a_jump_back_is_off_script() -> None:
    plan = [BY_HAND, step(2), step(3)]
    told = [*begun(plan), stopped("manual"), decided("done"), resumed()]
    assert following(*told) == NextAttempt("s2", "step_2()", "script")
    told += [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    back = state_of([*told, decided("jump", "s1"), resumed(), stopped("moved", "s1")])
    assert kinds(implied_deviations(back, decisions.Done())) == [("reran", "s1")]
    assert kinds(carried_out(back, decisions.Done())) == [("reran", "s1")]


GATED = step(1, contract=model.Contract(confirm="Drop db1?", typed="db1"))


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
    assert decision_refusal(state, decision) is None
    assert missing_input(state, decision) == "type 'db1' to confirm it"
    typed = msgspec.structs.replace(decision, typed="db1")
    assert missing_input(state, typed) is None


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
    plan = [step(1, contract=model.Contract(confirm="Sure?", impact=impact))]
    expected = NextStop("confirm", "Sure?") if asked else NextAttempt("s1", "step_1()", "script")
    assert following(*begun(plan, policy(**rules))) == expected


@pytest.mark.parametrize(
    ("rules", "reason", "said"),
    [
        ({}, "", None),
        ({"strict": True}, "", "the new runbook would leave the script (runbook_replaced), and"),
        ({"allow": ("edited",)}, "", "the policy in nbrun.toml does not allow it"),
        ({"allow": ("runbook_replaced",)}, "", None),
        ({"need_reason": ("runbook_replaced",)}, " ", "a reason is needed"),
        ({"need_reason": ("runbook_replaced",)}, "fixed", None),
        ({"need_approval": ("runbook_replaced",)}, "fixed", "wants an approval"),
    ],
)
def test_a_resume_takes_a_new_runbook_as_far_as_the_policy_lets_it(
    rules: Any, reason: str, said: str | None
) -> None:
    found = new_runbook_refusal(state_of(failed(1, **rules)), reason)
    assert found is None if said is None else said in str(found)


def test_a_team_allows_some_deviations_and_wants_reasons_for_others() -> None:
    state = state_of(failed(1, allow=("retried", "edited"), need_reason=("edited",)))
    assert "nbrun.toml does not allow it" in str(decision_refusal(state, decisions.Skip()))
    assert decision_refusal(state, decisions.Retry()) is None
    assert missing_input(state, decisions.Retry()) is None
    assert (
        missing_input(state, decisions.Edit(source="x", reason=" ")) == "a reason is needed: edited"
    )
    assert missing_input(state, decisions.Edit(source="x", reason="the host moved")) is None


@pytest.mark.parametrize("decision", [each for each in SAMPLES if type(each) in RUNNING_ON])
def test_nothing_goes_on_before_an_indeterminate_attempt_is_settled(decision: Decision) -> None:
    told = [*begun(), started(), *crashed(running="s1"), run_resumed(), kernel_reattached()]
    state = fold([*told, kernel_idle(), stopped("indeterminate")])
    assert "nobody saw end" in str(decision_refusal(state, decision))
    assert decision_refusal(state, decisions.Cancel()) is None
    assert decision_refusal(state, decisions.AddNote(text="asked the vendor")) is None
