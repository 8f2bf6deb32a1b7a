"""Tests of the transition table, of the fold, and of rules that hold for every run."""

import random
from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import approvals_of, is_approved
from nbrun.core.events import Event
from nbrun.core.planner import (
    NextAttempt,
    NextRestart,
    NextStop,
    needs_confirmation,
    step_label,
    what_next,
)
from nbrun.core.reducer import TRANSITIONS, apply, changes_state, check_transition, fold
from nbrun.core.state import Phase, RunState
from nbrun.errors import IllegalEventError
from tests.support.build_events import (
    BUILDERS,
    Build,
    attempt_failed,
    attempt_finished,
    attempt_indeterminate,
    attempt_settled,
    attempt_started,
    attempted,
    begun,
    crashed,
    decided,
    input_answered,
    input_requested,
    kernel_died,
    kernel_idle,
    kernel_interrupted,
    kernel_reattached,
    kernel_restarted,
    kernel_started,
    operator,
    operator_attached,
    operator_detached,
    policy,
    resumed,
    run_finished,
    run_resumed,
    run_started,
    runbook_replaced,
    step,
    steps,
    stopped,
    uneventful,
    with_deviations,
)
from tests.support.engine_driver import RandomRun, random_policy, random_steps

# The events that lead to each phase; the attempt that runs or stopped is the first of s1.
LEADING: dict[Phase, list[Event]] = {
    Phase.NEW: [],
    Phase.READY: begun(),
    Phase.RUNNING: [*begun(), attempt_started()],
    Phase.STOPPED: [*begun(), attempt_started(), attempt_failed(), stopped()],
    Phase.FINISHED: uneventful(),
}


def snapshot(state: RunState) -> dict[str, Any]:
    return deepcopy(vars(state))


def after(*events: Event, begin: list[Event] | None = None) -> RunState:
    """Return the state after a run of three plain steps began and `events` happened."""
    return fold(with_deviations([*(begun() if begin is None else begin), *events]))


def failed_at(number: int, begin: list[Event] | None = None) -> list[Event]:
    """Return a run stopped at step `number`, which failed; those before it succeeded."""
    before = [event for n in range(1, number) for event in attempted(f"s{n}")]
    ids = f"s{number}"
    return [
        *(begun() if begin is None else begin),
        *before,
        attempt_started(ids),
        attempt_failed(ids),
        stopped("step_failed", ids),
    ]


def passed(state: RunState) -> list[str]:
    return [id_ for id_, each in state.steps.items() if each.passed]


def current(state: RunState) -> str | None:
    return state.current.step.id if state.current else None


# ── The transition table ─────────────────────────────────────────────────────────────────────


def test_every_event_has_transitions_and_builder() -> None:
    assert set(TRANSITIONS) == set(get_args(Event))
    assert Counter(type(build()) for build in BUILDERS) == Counter(get_args(Event))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_event_is_legal_only_in_listed_phases(build: Build, phase: Phase) -> None:
    event, state = build(), fold(LEADING[phase])
    if isinstance(event, ev.AttemptStarted | ev.AttemptFinished) and phase is Phase.STOPPED:
        event = build(attempt=2)
    if isinstance(event, ev.InputAnswered) and phase is Phase.RUNNING:
        apply(state, input_requested())
    if isinstance(event, ev.AttemptSettled) and phase in (Phase.READY, Phase.STOPPED):
        state.unsettled.append(attempt_indeterminate())
    before = snapshot(state)
    leads_to = TRANSITIONS[type(event)].get(phase)
    if leads_to is not None:
        assert apply(state, event).phase is leads_to
        return
    with pytest.raises(IllegalEventError) as raised:
        apply(state, event)
    assert type(event).__struct_config__.tag in str(raised.value)
    assert phase.value in str(raised.value)
    assert vars(state) == before


@pytest.mark.parametrize(
    ("phase", "event"),
    [
        (Phase.READY, attempt_started(attempt=0)),
        (Phase.READY, attempt_started(attempt=2)),
        (Phase.READY, attempt_started("not of the runbook", attempt=2)),
        (Phase.RUNNING, attempt_finished(attempt=2)),
        (Phase.RUNNING, attempt_finished("s2")),
        (Phase.RUNNING, attempt_indeterminate("s2")),
        (Phase.RUNNING, attempt_indeterminate(attempt=2)),
        (Phase.RUNNING, input_answered()),
        (Phase.STOPPED, attempt_settled()),
    ],
)
def test_event_of_wrong_attempt_raises_and_changes_nothing(phase: Phase, event: Event) -> None:
    state = fold(LEADING[phase])
    before = snapshot(state)
    with pytest.raises(IllegalEventError):
        apply(state, event)
    assert vars(state) == before


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("phase", Phase)
def test_stateless_event_keeps_the_phase(phase: Phase, build: Build) -> None:
    """`apply` relies on this to skip such events."""
    event = build()
    if changes_state(event):
        return
    state = fold(LEADING[phase])
    before = snapshot(state)
    if phase in TRANSITIONS[type(event)]:
        assert check_transition(state, event) is phase
        assert snapshot(apply(state, event)) == before
    else:
        with pytest.raises(IllegalEventError):
            apply(state, event)


@pytest.mark.parametrize("build", BUILDERS[1:], ids=lambda build: build.__name__)
def test_record_must_begin_with_run_started(build: Build) -> None:
    with pytest.raises(IllegalEventError):
        fold([build()])


def test_no_event_is_legal_after_run_finished() -> None:
    assert all(Phase.FINISHED not in row for row in TRANSITIONS.values())


def test_plan_raises_before_run_started() -> None:
    with pytest.raises(IllegalEventError, match=r"run\.started"):
        _ = RunState().plan


# ── The fold ─────────────────────────────────────────────────────────────────────────────────


def test_uneventful_run_passes_every_step() -> None:
    events = uneventful(3)
    seen = [current(fold(events[:count])) for count in range(2, len(events) + 1)]
    assert seen == ["s1", "s1", "s2", "s2", "s3", "s3", None, None]
    state = fold(events)
    assert passed(state) == ["s1", "s2", "s3"]
    assert state.finished == events[-1]
    assert not state.off_script


def test_fold_equals_apply_one_by_one() -> None:
    state = RunState()
    for event in uneventful():
        assert apply(state, event) is state
    assert vars(state) == vars(fold(uneventful()))


def test_current_step_is_first_without_skip_execution() -> None:
    begin = begun(steps(3, s1=["skip-execution"]))
    assert current(fold(begin)) == "s2"
    assert current(after(*attempted("s2"), *attempted("s3"), begin=begin)) is None


def test_run_of_only_declared_skips_has_no_current_step() -> None:
    assert current(fold(begun([step(tags=["skip-execution"])]))) is None


def test_failed_step_stays_current() -> None:
    state = after(attempt_started(), attempt_failed())
    assert current(state) == "s1"
    assert state.steps["s1"].failed
    assert not state.steps["s2"].failed


@pytest.mark.parametrize("outcome", ["interrupted", "timed_out", "kernel_died"])
def test_any_outcome_except_ok_fails_step(outcome: ev.Outcome) -> None:
    assert after(*attempted("s1", outcome=outcome)).steps["s1"].failed


def test_error_passes_step_tagged_raises_exception() -> None:
    begin = begun(steps(2, s1=["raises-exception"]))
    assert current(after(*attempted("s1", outcome="error"), begin=begin)) == "s2"


@pytest.mark.parametrize("outcome", ["interrupted", "timed_out", "kernel_died"])
def test_raises_exception_tag_excuses_only_errors(outcome: ev.Outcome) -> None:
    begin = begun(steps(2, s1=["raises-exception"]))
    assert after(*attempted("s1", outcome=outcome), begin=begin).steps["s1"].failed


def test_indeterminate_attempt_leaves_step_failed() -> None:
    state = after(attempt_started(), attempt_indeterminate())
    assert state.attempt is None
    assert state.steps["s1"].outcome == "indeterminate"
    assert state.steps["s1"].failed


def test_attempts_are_counted_per_step() -> None:
    state = after(
        *failed_at(2)[2:],
        decided("retry"),
        resumed(),
        attempt_started("s2", 2, cause="operator"),
        attempt_finished("s2", 2),
    )
    assert [each.attempts for each in state.steps.values()] == [1, 2, 0]
    assert current(state) == "s3"


def test_last_source_of_step_is_kept() -> None:
    state = after(attempt_started(source="other()", edited=True, cause="operator"))
    assert state.steps["s1"].last_source == "other()"
    assert state.steps["s2"].last_source is None


def test_inserted_cell_changes_no_step() -> None:
    before = after()
    state = after(*attempted("inserted-1", outcome="error"))
    assert state.inserted == 1
    assert state.steps == before.steps


def test_input_request_lasts_until_answered() -> None:
    asked = [attempt_started(), input_requested()]
    assert after(*asked).input_wanted == input_requested()
    assert after(*asked, input_answered()).input_wanted is None


def test_input_request_ends_with_its_attempt() -> None:
    assert after(attempt_started(), input_requested(), attempt_failed()).input_wanted is None


def test_interrupt_applies_only_to_running_attempt() -> None:
    met = [attempt_started(), kernel_interrupted(), attempt_finished(outcome="interrupted")]
    assert after(*met).interrupted
    again = [*met, stopped(), decided("retry"), resumed(), attempt_started(attempt=2)]
    assert not after(*again).interrupted


def test_ended_run_counts_only_with_outcome_ok() -> None:
    assert after(attempt_started(), attempt_finished(ended_run=True)).ended_by == "s1"
    interrupted = attempt_finished(outcome="interrupted", ended_run=True)
    assert after(attempt_started(), interrupted).ended_by is None


# ── Stops ────────────────────────────────────────────────────────────────────────────────────


def test_stop_ends_with_resumed() -> None:
    stop = failed_at(1)
    assert fold(stop).stop == stop[-1]
    assert after(decided("skip"), resumed(), begin=stop).stop is None


def test_stop_ends_with_run_finished() -> None:
    assert fold([*failed_at(1), run_finished("failed")]).stop is None


def test_decision_is_cleared_by_next_stop() -> None:
    history = [*failed_at(1), decided("retry"), resumed()]
    assert fold(with_deviations(history)).decision is not None
    assert after(stopped("kernel_died"), begin=history).decision is None


def test_kernel_death_clears_decision() -> None:
    state = after(decided("retry"), resumed(), kernel_died(), begin=failed_at(1))
    assert state.kernel == "dead"
    assert state.decision is None


def test_interrupt_pauses_only_between_steps() -> None:
    assert after(decided("interrupt")).paused
    assert not after(attempt_started(), decided("interrupt")).paused


def test_stop_clears_its_causes() -> None:
    assert not after(decided("interrupt"), stopped("paused")).paused


def test_step_mode_ends_with_continue() -> None:
    begin = [*begun(policy=policy(step=True)), stopped("step_mode")]
    assert fold(begin).step_mode
    assert after(decided("run"), resumed(), begin=begin).step_mode
    assert not after(decided("continue"), resumed(), begin=begin).step_mode


def test_run_without_step_mode_stays_so_after_decisions() -> None:
    assert not after(decided("run"), resumed(), begin=failed_at(1)).step_mode


def test_ran_aside_is_set_for_other_than_current_step() -> None:
    assert after(attempt_started("s3", cause="operator")).ran_aside
    assert after(attempt_started("inserted-1", cause="operator")).ran_aside
    assert not after(attempt_started("s1", cause="operator")).ran_aside
    assert not after(attempt_started("s1")).ran_aside


# ── Skip and jump ────────────────────────────────────────────────────────────────────────────


def test_skip_passes_current_step() -> None:
    state = after(decided("skip"), begin=failed_at(2))
    assert current(state) == "s3"
    assert [each.skipped for each in state.steps.values()] == [False, True, False]


def test_jump_forward_skips_only_steps_between() -> None:
    state = after(decided("jump", "s4"), begin=failed_at(2, begun(5)))
    assert current(state) == "s4"
    assert [id_ for id_, each in state.steps.items() if each.skipped] == ["s2", "s3"]
    assert state.jumped


def test_jump_back_requests_rerun_of_passed_steps() -> None:
    state = after(decided("jump", "s2"), begin=failed_at(4, begun(5)))
    assert current(state) == "s2"
    assert passed(state) == ["s1"]
    assert [id_ for id_, each in state.steps.items() if each.rerun_requested] == ["s2", "s3"]


def test_jump_back_requests_no_rerun_of_failed_step() -> None:
    state = after(decided("jump", "s1"), begin=failed_at(2))
    assert not state.steps["s1"].failed
    assert state.steps["s2"].failed


def test_jump_back_leaves_declared_skip_passed() -> None:
    begin = begun(steps(3, s2=["skip-execution"]))
    history = [*begin, *attempted("s1"), attempt_started("s3"), attempt_failed("s3"), stopped()]
    assert passed(after(decided("jump", "s1"), begin=history)) == ["s2"]


def test_step_rerun_after_jump_is_passed() -> None:
    state = after(
        decided("jump", "s1"),
        resumed(),
        stopped("moved"),
        decided("run"),
        resumed(),
        attempt_started("s1", 2, cause="operator"),
        attempt_finished("s1", 2),
        begin=failed_at(2),
    )
    assert not state.steps["s1"].rerun_requested
    assert current(state) == "s2"


def test_skipped_step_run_later_is_not_skipped() -> None:
    state = after(
        decided("skip"),
        resumed(),
        stopped("step_mode", "s2"),
        decided("run", "s1"),
        resumed(),
        attempt_started("s1", 2, cause="operator"),
        attempt_finished("s1", 2),
        begin=failed_at(1),
    )
    assert not state.steps["s1"].skipped
    assert current(state) == "s2"


def test_earlier_step_failing_aside_becomes_current() -> None:
    state = after(
        decided("run", "s1"),
        resumed(),
        attempt_started("s1", 2, cause="operator"),
        attempt_failed("s1", 2),
        begin=failed_at(3),
    )
    assert current(state) == "s1"
    assert passed(state) == ["s2"]


def test_later_step_succeeding_aside_is_passed() -> None:
    aside = [attempt_started("s2", cause="operator"), attempt_finished("s2")]
    again = [attempt_started("s1", 2, cause="operator"), attempt_finished("s1", 2)]
    history = [decided("run", "s2"), resumed(), *aside, stopped(), decided("retry"), resumed()]
    assert current(after(*history, begin=failed_at(1))) == "s1"
    assert current(after(*history, *again, begin=failed_at(1))) == "s3"


# ── Kernels ──────────────────────────────────────────────────────────────────────────────────


def test_kernel_state_follows_start_death_and_restart() -> None:
    assert fold([run_started()]).kernel == "none"
    assert after().kernel == "alive"
    assert after(kernel_died()).kernel == "dead"
    state = after(kernel_died(), kernel_restarted(3))
    assert (state.kernel, state.generation, state.kernel_info) == ("alive", 3, kernel_started())


def test_restart_queues_setup_steps_that_succeeded() -> None:
    tags = {"s1": ["parameters"], "s2": ["setup"], "s4": ["injected-parameters"], "s5": ["setup"]}
    history = [*failed_at(5, begun(steps(6, **tags))), decided("restart"), resumed()]
    state = after(kernel_restarted(), begin=history)
    assert list(state.setup_queue) == ["s1", "s2", "s4"]
    assert state.restarted
    assert state.decision is None


def test_restart_does_not_queue_failed_and_skipped_setup_step() -> None:
    begin = failed_at(1, begun(steps(2, s1=["setup"])))
    state = after(decided("skip"), resumed(), kernel_died(), kernel_restarted(), begin=begin)
    assert list(state.setup_queue) == []


def setup_failed_in_new_kernel(*events: Event) -> RunState:
    """Return the state of a new kernel in which s1 failed and s2 is queued, after `events`."""
    begin = [*begun(steps(4, s1=["setup"], s2=["setup"])), *attempted("s1"), *attempted("s2")]
    restarted = [kernel_died(), stopped("kernel_died", "s3"), decided("restart"), resumed()]
    again = [attempt_started("s1", 2, cause="setup"), attempt_failed("s1", 2)]
    failed = [kernel_restarted(), *again, stopped("step_failed", "s1")]
    return after(*restarted, *failed, *events, begin=begin)


def test_setup_step_failing_after_restart_is_current() -> None:
    state = setup_failed_in_new_kernel()
    assert current(state) == "s1"
    assert list(state.setup_queue) == ["s1", "s2"]


def test_setup_queue_waits_for_its_failed_step() -> None:
    retry = [decided("retry"), resumed(), attempt_started("s1", 3, cause="operator")]
    insert = [decided("insert", source="look()"), resumed()]
    look = [attempt_started("inserted-1", cause="operator"), attempt_finished("inserted-1")]
    second = NextAttempt("s2", "step_2()", "setup")
    assert what_next(setup_failed_in_new_kernel(*insert, *look)) == NextStop("returned")
    assert what_next(setup_failed_in_new_kernel(*retry, attempt_failed("s1", 3))) == NextStop(
        "step_failed"
    )
    assert what_next(setup_failed_in_new_kernel(*retry, attempt_finished("s1", 3))) == second
    assert what_next(setup_failed_in_new_kernel(decided("skip"), resumed())) == second


def test_setup_step_run_by_operator_leaves_the_queue() -> None:
    state = setup_failed_in_new_kernel(
        decided("run", "s2"),
        resumed(),
        attempt_started("s2", 2, cause="operator"),
        attempt_finished("s2", 2),
    )
    assert list(state.setup_queue) == ["s1"]


def test_jump_over_failed_setup_step_removes_it_from_queue() -> None:
    state = setup_failed_in_new_kernel(decided("jump", "s3"))
    assert list(state.setup_queue) == ["s2"]
    assert current(state) == "s3"


def test_script_failure_is_not_setup_failure() -> None:
    begin = begun(steps(2, s1=["setup"]))
    assert not after(attempt_started(), attempt_failed(), begin=begin).setup_failed


# ── Rules of every run ───────────────────────────────────────────────────────────────────────


def any_run(seed: int) -> RandomRun:
    """Return a random run of a random runbook under a random policy."""
    chance = random.Random(seed)
    patience = chance.choice((2, 6, 20, 40))
    return RandomRun(random_steps(chance), random_policy(chance), chance, patience).run()


def of(drive: RandomRun, *kinds: type[Any]) -> list[Any]:
    return [event for event in drive.events if isinstance(event, kinds)]


@example(81_926_875_354)  # runs a step whose check has found it done already
@settings(max_examples=600, deadline=None)
@given(st.integers(0, 2**63))
def test_random_run_keeps_every_rule(seed: int) -> None:
    drive = any_run(seed)
    assert_run_ends(drive)
    assert_fold_agrees(drive)
    assert_off_script_means_a_deviation(drive)
    assert_every_attempt_ends_and_is_numbered(drive)
    assert_reruns_are_requested(drive)
    assert_a_run_without_deviations_ran_each_step_once(drive)
    assert_declared_skips_never_run(drive)
    assert_attempts_need_a_kernel(drive)
    assert_confirmations_are_kept(drive)
    assert_manual_steps_never_run(drive)
    assert_approvals_are_kept(drive)
    assert_policy_is_kept(drive)
    assert_checks_are_kept(drive)


def assert_run_ends(drive: RandomRun) -> None:
    assert drive.state.phase is Phase.FINISHED
    assert isinstance(drive.events[-1], ev.RunFinished)


def assert_fold_agrees(drive: RandomRun) -> None:
    assert vars(fold(drive.events)) | {"position": 0} == vars(drive.state) | {"position": 0}


def assert_off_script_means_a_deviation(drive: RandomRun) -> None:
    deviations = of(drive, ev.Deviated)
    assert drive.events[-1].off_script == bool(deviations)
    chosen = [each for each in deviations if not _restarted_by_resume(each)]
    if drive.state.plan.policy.strict:
        assert chosen == []
    if not of(drive, ev.Decided):
        assert chosen == []


def _restarted_by_resume(deviation: ev.Deviated) -> bool:
    """Return True if a resume restarted the kernel: nobody decided that."""
    return deviation.kind == "kernel_restarted" and "resumed" in deviation.reason


def assert_every_attempt_ends_and_is_numbered(drive: RandomRun) -> None:
    begun_ = [(each.step, each.attempt) for each in of(drive, ev.AttemptStarted)]
    ends = ev.AttemptFinished | ev.AttemptIndeterminate
    ended = [(each.step, each.attempt) for each in drive.events if isinstance(each, ends)]
    assert begun_ == ended
    for id_ in {id_ for id_, _ in begun_}:
        numbers = [number for each, number in begun_ if each == id_]
        assert numbers == list(range(1, len(numbers) + 1))


def assert_reruns_are_requested(drive: RandomRun) -> None:
    """A jump back requests every step from its target on."""
    state, asked = RunState(), set[str]()
    for event in drive.events:
        match event:
            case ev.Decided(decision="jump", step=str(target)):
                asked |= {*state.order[state.order.index(target) :]}
            case ev.AttemptStarted(cause="script", step=id_):
                assert state.steps[id_].attempts == 0 or id_ in asked, step_label(state, id_)
                assert not state.steps[id_].failed
                asked.discard(id_)
            case ev.AttemptStarted(cause="retry", step=id_):
                assert (
                    state.steps[id_].outcome in ("error", "timed_out") or state.steps[id_].refuted
                )
                assert 0 < state.steps[id_].retries_left <= state.steps[id_].step.contract.retries
            case ev.AttemptStarted(cause="setup", step=id_):
                assert state.steps[id_].step.is_setup
                assert state.steps[id_].succeeded
            case ev.AttemptStarted(cause="check", step=id_):
                assert not state.checked[id_].passed
            case ev.AttemptStarted():
                assert state.decision is not None
                asked.discard(event.step)
        apply(state, event)


def assert_a_run_without_deviations_ran_each_step_once(drive: RandomRun) -> None:
    end = drive.events[-1]
    if end.outcome != "completed" or end.off_script or drive.state.ended_by is not None:
        return
    again = ("retry", "check")
    ran = [each.step for each in of(drive, ev.AttemptStarted) if each.cause not in again]
    plan = [
        each.id
        for each in drive.state.plan.steps
        if "skip-execution" not in each.tags and not each.contract.manual
        if not drive.state.steps[each.id].already_done
    ]
    if drive.state.plan.policy.by_hand:
        plan = []
    assert ran == plan


def assert_declared_skips_never_run(drive: RandomRun) -> None:
    skipped = {each.id for each in drive.state.plan.steps if "skip-execution" in each.tags}
    assert not skipped & {each.step for each in of(drive, ev.AttemptStarted)}


def assert_confirmations_are_kept(drive: RandomRun) -> None:
    """The script passes only steps confirmed in advance; an operator typed the step's text."""
    state = RunState()
    for event in drive.events:
        match event:
            case ev.AttemptStarted(cause="script", step=id_):
                assert not needs_confirmation(state, state.steps[id_])
            case ev.Decided(decision="run" | "continue" | "retry" | "edit" | "done"):
                target = state.steps[event.step] if event.step else state.current
                if target is not None and needs_confirmation(state, target):
                    assert target.step.contract.typed in ("", event.typed)
        apply(state, event)


def assert_approvals_are_kept(drive: RandomRun) -> None:
    """Check both a step's own contract, for any source, and the deviations of the policy."""
    state, before = RunState(), None
    for event in drive.events:
        match event:
            case ev.AttemptStarted(step=id_, cause=cause) if id_ in state.steps:
                approved = is_approved(state, state.steps[id_], event.source)
                assert approved or cause == "setup"
            case ev.Decided(decision=decision) if state.proposal and decision not in _ENDS_WAITING:
                assert isinstance(before, ev.ApprovalGranted)
                assert before.operator.uid not in state.participants
                assert (before.decision, before.step) == (event.decision, event.step)
                by = {each.operator.name for each in approvals_of(state, before.binding)}
                assert len(by) >= state.proposal.approvals
        apply(state, event)
        before = event
    wanted = {*drive.state.plan.policy.need_approval}
    approved_kinds = {
        kind
        for each, after in pairwise(of(drive, ev.DecisionProposed, ev.ApprovalGranted))
        if isinstance(each, ev.DecisionProposed) and isinstance(after, ev.ApprovalGranted)
        for kind in each.kinds
    }
    chosen = {each.kind for each in of(drive, ev.Deviated) if not _restarted_by_resume(each)}
    assert chosen & wanted <= approved_kinds


_ENDS_WAITING = ("cancel", "withdraw")


def assert_manual_steps_never_run(drive: RandomRun) -> None:
    by_hand = {each.id for each in drive.state.plan.steps if each.contract.manual}
    assert not by_hand & {each.step for each in of(drive, ev.AttemptStarted)}


def assert_policy_is_kept(drive: RandomRun) -> None:
    policy = drive.state.plan.policy
    chosen = [each for each in of(drive, ev.Deviated) if not _restarted_by_resume(each)]
    if policy.allow is not None:
        assert {each.kind for each in chosen} <= {*policy.allow}
    for each in chosen:
        assert each.kind not in policy.need_reason or each.reason


def assert_checks_are_kept(drive: RandomRun) -> None:
    """A step is passed by its check alone, and a check is no deviation."""
    state = RunState()
    for event in drive.events:
        apply(state, event)
        running = state.attempt.step if state.attempt else None
        for step_ in state.checked.values():
            if (
                step_.passed
                and step_.step.id != running
                and not (step_.skipped or step_.settled_as_happened)
            ):
                by_hand = state.plan.policy.by_hand
                assert step_.check_answer or step_.declared_skip or by_hand
        if isinstance(event, ev.AttemptSettled) and event.by_check:
            check = state.steps[event.step].step.check
            assert check is not None
            assert check.settles
    assert not {each.step for each in of(drive, ev.Deviated)} & {*state.checked}


def assert_attempts_need_a_kernel(drive: RandomRun) -> None:
    state = RunState()
    for before, event in pairwise(drive.events):
        apply(state, before)
        if isinstance(event, ev.AttemptStarted):
            assert state.kernel == "alive"


def test_random_runs_cover_every_rule() -> None:
    """A rule that no random run exercises proves nothing."""
    chance = random.Random(7)
    drives = [
        RandomRun(random_steps(chance), random_policy(chance), chance, 30).run() for _ in range(500)
    ]
    seen = Counter(type(event) for drive in drives for event in drive.events)
    kinds = Counter(each.kind for drive in drives for each in of(drive, ev.Deviated))
    causes = Counter(each.cause for drive in drives for each in of(drive, ev.AttemptStarted))
    outcomes = Counter(drive.events[-1].outcome for drive in drives)
    assert set(kinds) == set(get_args(model.DeviationKind)) - {"runbook_replaced"}  # tested below
    assert set(causes) == set(get_args(ev.AttemptCause))
    assert set(outcomes) == set(get_args(ev.RunOutcome))
    reasons = {each.reason for drive in drives for each in of(drive, ev.Stopped)}
    assert reasons == set(get_args(ev.StopReason))
    of_checks = sum(
        each.step in drive.state.checked
        for drive in drives
        for each in of(drive, ev.AttemptIndeterminate)
    )
    assert seen[ev.AttemptIndeterminate] - of_checks == seen[ev.AttemptSettled] + sum(
        len(drive.state.unsettled) for drive in drives
    )
    assert {each.finding for drive in drives for each in of(drive, ev.AttemptSettled)} == set(
        get_args(decisions.Settlement)
    )
    assert seen[ev.KernelReattached]
    put_up = {each.decision for drive in drives for each in of(drive, ev.DecisionProposed)}
    assert put_up >= {"run", "continue", "retry", "edit", "skip", "jump", "insert"}
    assert put_up >= {"restart", "undo"}
    assert "withdraw" in {each.decision for drive in drives for each in of(drive, ev.Decided)}
    assert seen[ev.ApprovalGranted]
    assert seen[ev.ApprovalRejected]
    assert seen[ev.KernelRestarted]
    assert any(not drive.events[-1].off_script and of(drive, ev.Decided) for drive in drives), (
        "no attended run kept to the script"
    )


# ── Interrupted runs ─────────────────────────────────────────────────────────────────────────


def interrupted_and_resumed(*more: Event) -> list[Event]:
    """Return a run interrupted in the first attempt of s1, and resumed."""
    return [*begun(), attempt_started(), *crashed(running="s1"), run_resumed(), *more]


REATTACHED = (kernel_reattached(), kernel_idle(told="it ended: ok"))


@pytest.mark.parametrize(
    ("finding", "where"), [("happened", "s2"), ("did_not_happen", "s1"), ("unknown", "s1")]
)
def test_settled_step_is_passed_only_if_it_happened(
    finding: decisions.Settlement, where: str
) -> None:
    asked = stopped("indeterminate", "s1")
    settled = attempt_settled(finding=finding)
    state = fold(interrupted_and_resumed(*REATTACHED, asked, settled, resumed()))
    assert current(state) == where
    assert state.steps["s1"].outcome == "indeterminate"
    assert not state.off_script


def test_indeterminate_attempt_is_asked_about_first() -> None:
    state = fold(interrupted_and_resumed())
    assert what_next(state) == NextStop("indeterminate", step="s1")


def test_reattached_kernel_keeps_generation_and_report() -> None:
    state = fold(interrupted_and_resumed(kernel_reattached()))
    assert (state.kernel, state.generation, state.kernel_busy) == ("alive", 1, True)
    apply(state, kernel_idle(told="it ended: ok"))
    assert not state.kernel_busy
    assert what_next(state) == NextStop("indeterminate", "it ended: ok", step="s1")


def test_resumed_run_restarts_kernel_once_then_stops() -> None:
    state = fold([*begun(), *crashed(), run_resumed(), kernel_died()])
    assert isinstance(what_next(state), NextRestart)
    apply(state, kernel_died(2, "it did not start"))
    assert what_next(state) == NextStop("kernel_died")


@pytest.mark.parametrize("reason", ["paused", "returned", "moved", "kernel_restarted"])
def test_resumed_run_stops_again_where_it_waited(reason: ev.StopReason) -> None:
    state = fold([*begun(), stopped(reason), *crashed(), run_resumed(), *REATTACHED])
    assert what_next(state) == NextStop("paused")


def test_resume_drops_decision_not_carried_out() -> None:
    history = [*begun(), stopped("paused"), decided("run", step="s3"), resumed(), *crashed()]
    state = fold([*history, run_resumed(), *REATTACHED])
    assert what_next(state) == NextStop("paused")


def test_resumed_run_continues_if_it_was_not_waiting() -> None:
    state = fold([*begun(), *attempted("s1"), *crashed(), run_resumed(), *REATTACHED])
    assert what_next(state) == NextAttempt("s2", "step_2()", "script")


def test_attached_operators_are_cleared_by_interruption() -> None:
    state = fold([*begun(), operator_attached(), operator_attached(operator("grace", 1001))])
    assert [each.name for each in state.operators] == ["ada", "grace"]
    apply(state, operator_detached())
    assert [each.name for each in state.operators] == ["grace"]
    for event in crashed():
        apply(state, event)
    assert state.operators == []


def test_new_runbook_keeps_steps_done_and_replaces_others() -> None:
    new = (step(1), step(2, source="other()"), step(3, id="s9"), step(4, id="s3"))
    history = [*begun(), *attempted("s1"), *crashed(), run_resumed(), runbook_replaced(new)]
    state = fold(with_deviations(history))
    assert state.order == ("s1", "s2", "s9", "s3")
    assert passed(state) == ["s1"]
    assert current(state) == "s2"
    assert state.steps["s2"].step.source == "other()"
    assert [each.kind for each in state.deviations] == ["runbook_replaced"]
