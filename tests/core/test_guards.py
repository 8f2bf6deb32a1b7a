"""Tests of which decisions are allowed, and of what they need."""

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
from tests.support.run_states import (
    kinds_and_steps,
    next_action,
    recorded_deviations,
    state_of,
    stopped_before,
    stopped_by_failure,
)

SAMPLES: tuple[Decision, ...] = (
    decisions.Run(),
    decisions.Continue(),
    decisions.Retry(),
    decisions.Done(),
    decisions.Edit(source="other()"),
    decisions.Skip(),
    decisions.Jump(step="s3"),
    decisions.Insert(source="look()"),
    decisions.Undo(step="s1"),
    decisions.RestartKernel(),
    decisions.AddNote(text="called the on-call"),
    decisions.Withdraw(),
    decisions.Approve(binding=""),
    decisions.Reject(),
    decisions.Settle(finding="happened"),
    decisions.Handover(to="grace"),
    decisions.AcceptHandover(),
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
    Phase.STOPPED: stopped_before(1),
    Phase.FINISHED: uneventful(),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("decision", SAMPLES, ids=lambda decision: type(decision).__name__)
def test_decision_is_refused_outside_its_phases(decision: Decision, phase: Phase) -> None:
    history = PHASES[phase]
    if isinstance(decision, decisions.Retry) and phase is Phase.STOPPED:
        history = stopped_by_failure(1)
    if isinstance(decision, decisions.Done) and phase is Phase.STOPPED:
        history = [*begun([BY_HAND]), stopped("manual")]
    if isinstance(decision, decisions.Settle) and phase is Phase.STOPPED:
        history = [*begun(), started(), *crashed(running="s1"), run_resumed()]
        history.append(stopped("indeterminate"))
    if isinstance(decision, decisions.Undo) and phase is Phase.STOPPED:
        undone_by = msgspec.structs.replace(step(1), id="u1")
        history = stopped_by_failure(1, [msgspec.structs.replace(step(1), undo=undone_by)])
    if isinstance(decision, decisions.KillKernel) and phase is Phase.READY:
        history = [*begun(), *crashed(), run_resumed(), kernel_reattached()]
    if isinstance(decision, decisions.Approve | decisions.Reject) and phase is Phase.STOPPED:
        history = [*begun([SHARED]), stopped("approval")]
        decision = decisions.Approve(binding=binding(fold(history), "run", "s1", "step_1()"))
    if isinstance(decision, decisions.Withdraw) and phase is Phase.STOPPED:
        history = [*history, decision_proposed()]
    why_not = decision_refusal(fold(history), decision)
    if phase in ALLOWED_PHASES[type(decision)]:
        assert why_not is None
    else:
        assert why_not is not None
        assert phase.value in why_not


def test_every_decision_type_has_phases() -> None:
    assert set(ALLOWED_PHASES) == set(get_args(Decision)) == {type(sample) for sample in SAMPLES}
    assert all(Phase.FINISHED not in phases for phases in ALLOWED_PHASES.values())


@pytest.mark.parametrize(
    ("events", "decision", "why"),
    [
        (stopped_by_failure(1), decisions.Run(), "step 1 has failed: use retry"),
        (stopped_by_failure(1), decisions.Continue(), "step 1 has failed: use retry"),
        (stopped_before(1), decisions.Retry(), "step 1 has not failed: use run"),
        (stopped_before(1), decisions.Edit(source=" \n"), "no code"),
        (stopped_before(1), decisions.Insert(source=""), "no code"),
        (stopped_before(1), decisions.AddNote(text="  "), "empty"),
        (stopped_before(1), decisions.Run(step="s9"), "no step 's9'"),
        (stopped_before(1), decisions.Edit(source="x", step="s9"), "no step 's9'"),
        (stopped_before(1), decisions.Jump(step="s9"), "no step 's9'"),
        (stopped_before(2), decisions.Jump(step="s2"), "already stands at step 2"),
        ([*begun(), started()], decisions.Answer(text="db2"), "no cell is asking"),
        ([*stopped_by_failure(1), kernel_died()], decisions.Retry(), "restart it first"),
        ([*stopped_before(1), kernel_died()], decisions.Run(), "restart it first"),
        ([*stopped_before(1), kernel_died()], decisions.Continue(), "restart it first"),
        ([*stopped_before(1), kernel_died()], decisions.Edit(source="x"), "restart it first"),
        ([*stopped_before(1), kernel_died()], decisions.Insert(source="x"), "restart it first"),
    ],
)
def test_senseless_decision_is_refused_with_reason(
    events: list[Event], decision: Decision, why: str
) -> None:
    assert why in str(decision_refusal(state_of(events), decision))


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(step="s2"), decisions.Edit(source="x", step="s2"), decisions.Jump(step="s2")],
)
def test_declared_skip_cannot_be_run_by_operator(decision: Decision) -> None:
    state = state_of(stopped_before(1, steps(3, s2=["skip-execution"])))
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
def test_dead_kernel_still_allows_jump_restart_and_cancel(decision: Decision) -> None:
    assert decision_refusal(state_of([*stopped_by_failure(1), kernel_died()]), decision) is None


@pytest.mark.parametrize(
    ("events", "decision", "kind"),
    [
        (stopped_by_failure(2, strict=True), decisions.Retry(), "retried"),
        (stopped_before(1, strict=True), decisions.Edit(source="other()"), "edited"),
        (stopped_before(2, strict=True), decisions.Run(step="s1"), "reran"),
        (stopped_before(1, strict=True), decisions.Run(step="s2"), "out_of_order"),
        (stopped_before(1, strict=True), decisions.Skip(), "skipped"),
        (stopped_before(1, strict=True), decisions.Jump(step="s3"), "skipped"),
        (stopped_before(3, strict=True), decisions.Jump(step="s1"), "reran"),
        (stopped_before(1, strict=True), decisions.Insert(source="look()"), "inserted"),
        (stopped_before(1, strict=True), decisions.RestartKernel(), "kernel_restarted"),
    ],
)
def test_strict_run_refuses_deviations(events: list[Event], decision: Decision, kind: str) -> None:
    why_not = str(decision_refusal(state_of(events), decision))
    assert kind in why_not
    assert "--strict" in why_not


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="step_2()"), decisions.Cancel()],
)
def test_strict_run_allows_on_script_decisions(decision: Decision) -> None:
    assert decision_refusal(state_of(stopped_before(2, strict=True)), decision) is None


def test_strict_run_allows_completing_fill_step() -> None:
    history = [*begun(steps(2, s1=["fill"]), policy(strict=True)), stopped("fill", "s1")]
    assert decision_refusal(state_of(history), decisions.Edit(source="host = 'db2'")) is None


@pytest.mark.parametrize(
    "decision",
    [decisions.Run(), decisions.Continue(), decisions.Edit(source="x"), decisions.Run(step="s1")],
)
def test_manual_step_cannot_be_run(decision: Decision) -> None:
    history = [*begun([BY_HAND, step(2)]), stopped("manual")]
    assert "is for a person to do" in str(decision_refusal(state_of(history), decision))


def test_any_step_may_be_done_by_hand() -> None:
    assert decision_refusal(state_of(stopped_before(1)), decisions.Done()) is None
    assert (
        decision_refusal(
            state_of([*begun([BY_HAND]), stopped("manual"), kernel_died()]), decisions.Done()
        )
        is None
    )


def test_manual_step_done_again_after_jump_back_is_off_script() -> None:
    plan = [BY_HAND, step(2), step(3)]
    history = [*begun(plan), stopped("manual"), decided("done"), resumed()]
    assert next_action(*history) == NextAttempt("s2", "step_2()", "script")
    history += [started("s2"), attempt_failed("s2"), stopped("step_failed", "s2")]
    back = state_of([*history, decided("jump", "s1"), resumed(), stopped("moved", "s1")])
    assert kinds_and_steps(implied_deviations(back, decisions.Done())) == [("reran", "s1")]
    assert kinds_and_steps(recorded_deviations(back, decisions.Done())) == [("reran", "s1")]


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
def test_step_with_confirmation_needs_its_typed_text(decision: Decision) -> None:
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
def test_yes_confirms_only_non_destructive_steps(
    impact: Any, rules: dict[str, Any], asked: bool
) -> None:
    plan = [step(1, contract=model.Contract(confirm="Sure?", impact=impact))]
    expected = NextStop("confirm", "Sure?") if asked else NextAttempt("s1", "step_1()", "script")
    assert next_action(*begun(plan, policy(**rules))) == expected


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
def test_policy_limits_new_runbook_at_resume(rules: Any, reason: str, said: str | None) -> None:
    found = new_runbook_refusal(state_of(stopped_by_failure(1, **rules)), reason)
    assert found is None if said is None else said in str(found)


def test_policy_allows_deviations_and_requires_reasons() -> None:
    state = state_of(stopped_by_failure(1, allow=("retried", "edited"), need_reason=("edited",)))
    assert "nbrun.toml does not allow it" in str(decision_refusal(state, decisions.Skip()))
    assert decision_refusal(state, decisions.Retry()) is None
    assert missing_input(state, decisions.Retry()) is None
    assert (
        missing_input(state, decisions.Edit(source="x", reason=" ")) == "a reason is needed: edited"
    )
    assert missing_input(state, decisions.Edit(source="x", reason="the host moved")) is None


@pytest.mark.parametrize("decision", [each for each in SAMPLES if type(each) in RUNNING_ON])
def test_decisions_refused_until_indeterminate_attempt_settled(decision: Decision) -> None:
    history = [*begun(), started(), *crashed(running="s1"), run_resumed(), kernel_reattached()]
    state = fold([*history, kernel_idle(), stopped("indeterminate")])
    assert "nobody saw end" in str(decision_refusal(state, decision))
    assert decision_refusal(state, decisions.Cancel()) is None
    assert decision_refusal(state, decisions.AddNote(text="asked the vendor")) is None
