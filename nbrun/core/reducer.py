"""The reducer: a table of the legal transitions of a run, and how each event changes the state."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from nbrun.core import checks, includes, undo
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.core.state import RUNS_STEP, Phase, RunState, StepState
from nbrun.errors import IllegalEventError

_LIVE = (Phase.READY, Phase.RUNNING, Phase.STOPPED)


def _stay(*phases: Phase) -> dict[Phase, Phase]:
    return {phase: phase for phase in phases}


# The events that are legal in each phase, and the phase that each leads to. All others are illegal.
TRANSITIONS: dict[type[Event], dict[Phase, Phase]] = {
    ev.RunStarted: {Phase.NEW: Phase.READY},
    ev.KernelStarted: _stay(Phase.READY),
    ev.KernelRestarted: _stay(Phase.READY),
    ev.KernelDied: _stay(*_LIVE),
    ev.KernelDisconnected: _stay(*_LIVE),
    ev.KernelReattached: _stay(*_LIVE),  # a remote kernel may be lost and found at any time
    ev.KernelIdle: _stay(*_LIVE),
    ev.GatewayFailed: _stay(*_LIVE),
    ev.KernelInterrupted: _stay(Phase.READY, Phase.RUNNING),
    ev.AttemptStarted: {Phase.READY: Phase.RUNNING},
    ev.Output: _stay(*_LIVE),  # also after its attempt has ended
    ev.OutputUpdated: _stay(*_LIVE),
    ev.OutputCleared: _stay(*_LIVE),
    ev.WidgetsChanged: _stay(*_LIVE),
    ev.InputRequested: _stay(Phase.RUNNING),
    ev.InputAnswered: _stay(Phase.RUNNING),
    ev.AttemptFinished: {Phase.RUNNING: Phase.READY},
    ev.AttemptIndeterminate: {Phase.RUNNING: Phase.READY},
    ev.AttemptSettled: _stay(Phase.READY, Phase.STOPPED),  # READY: by the step's check
    ev.Stopped: {Phase.READY: Phase.STOPPED},
    ev.Resumed: {Phase.STOPPED: Phase.READY},
    ev.Decided: _stay(*_LIVE),
    ev.DecisionRefused: _stay(*_LIVE),
    ev.ConnectionRefused: _stay(*_LIVE),
    ev.DecisionProposed: _stay(Phase.STOPPED),
    ev.Deviated: _stay(*_LIVE),
    ev.OperatorAttached: _stay(*_LIVE),
    ev.OperatorDetached: _stay(*_LIVE),
    ev.RunInterrupted: _stay(Phase.READY, Phase.STOPPED),
    ev.RunResumed: {Phase.READY: Phase.READY, Phase.STOPPED: Phase.READY},
    ev.RunbookReplaced: _stay(Phase.READY),
    ev.ApprovalGranted: _stay(Phase.STOPPED),
    ev.ApprovalExpired: _stay(Phase.READY, Phase.STOPPED),
    ev.ApprovalRejected: _stay(Phase.STOPPED),
    ev.HandoverOffered: _stay(*_LIVE),
    ev.HandoverAccepted: _stay(*_LIVE),
    ev.HandoverWithdrawn: _stay(*_LIVE),
    ev.NoteAdded: _stay(*_LIVE),
    ev.RunFinished: {Phase.READY: Phase.FINISHED, Phase.STOPPED: Phase.FINISHED},
    ev.OutputCapped: _stay(*_LIVE),
    ev.SealFailed: _stay(*_LIVE),
    ev.IndexFailed: _stay(*_LIVE),
    ev.ForwardingFailed: _stay(*_LIVE),
    ev.ForwardingResumed: _stay(*_LIVE),
    ev.NotificationSent: _stay(*_LIVE),
    ev.NotificationFailed: _stay(*_LIVE),
    ev.TraceFailed: _stay(*_LIVE),
    ev.KernelSuspended: _stay(*_LIVE),
    ev.KernelContinued: _stay(*_LIVE),
    ev.KernelUnresponsive: _stay(*_LIVE),
    ev.KernelResponded: _stay(*_LIVE),
    ev.InterruptUnheeded: _stay(Phase.READY, Phase.RUNNING),
    ev.ProcessesLeft: _stay(*_LIVE),
    ev.BackgroundEnded: _stay(*_LIVE),
    ev.RoleRefreshed: _stay(*_LIVE),
    ev.RoleNotRefreshed: _stay(*_LIVE),
}


def fold(events: Iterable[Event]) -> RunState:
    """Return the state that `events`, in order from the first, lead to.

    Raises:
        IllegalEventError: an event is illegal in the state that it meets.
    """
    state = RunState()
    for event in events:
        apply(state, event)
    return state


def fold_records(records: Iterable[Record]) -> RunState:
    """Return the state that `records` lead to, with its `seq`. Raises as `fold` does."""
    state = RunState()
    for record in records:
        apply_record(state, record)
    return state


def apply_record(state: RunState, record: Record) -> RunState:
    """Apply the event of `record` to `state` in place, and note where the run stands then.

    Raises as `apply` does.
    """
    own = _is_of_program(state, record.event)
    apply(state, record.event)
    if type(record.event) in _CHANGES and not isinstance(record.event, _MOVES_NOTHING):
        state.seq = record.seq
        state.course_seq = state.course_seq if own else record.seq
    return state


# Events that change the state, and nothing that a decision is about.
_MOVES_NOTHING = (
    ev.OperatorAttached,
    ev.OperatorDetached,
    ev.Deviated,
    ev.KernelSuspended,
    ev.KernelContinued,
    ev.ApprovalExpired,
    ev.NotificationSent,
)


def _is_of_program(state: RunState, event: Event) -> bool:
    """Return True for a program's proposal, and for its end without being carried out."""
    match event:
        case ev.DecisionProposed(operator=operator):
            return operator.is_program
        case ev.ApprovalRejected() | ev.Decided(decision="withdraw"):
            return _is_program_waiting(state)
    return False


def _is_program_waiting(state: RunState) -> bool:
    return state.proposal is not None and state.proposal.operator.is_program


def apply(state: RunState, event: Event) -> RunState:
    """Apply `event` to `state` in place and return `state`.

    In place, since a copy of 10,000 steps per event would make a fold quadratic.

    Raises:
        IllegalEventError: the event is illegal here; `state` is unchanged.
    """
    kind = type(event)
    change = _CHANGES.get(kind)
    if change is not None:
        phase = check_transition(state, event)
        change(state, event)
        state.phase = phase
    elif state.phase not in TRANSITIONS[kind]:  # it raises
        check_transition(state, event)
    return state


def check_transition(state: RunState, event: Event) -> Phase:
    """Return the phase that `event` leads to.

    Raises:
        IllegalEventError: the event is illegal in this state.
    """
    kind = type(event)
    phase = TRANSITIONS[kind].get(state.phase)
    if phase is None:
        raise IllegalEventError(
            f"{event.__struct_config__.tag} can't happen in a run that is {state.phase.value}"
        )
    check = _CHECKS.get(kind)
    if check is not None:
        check(state, event)
    return phase


# Checks beyond the phase. Each raises IllegalEventError.


def _check_is_next(state: RunState, event: ev.AttemptStarted) -> None:
    expected = state.attempts_of(event.step) + 1
    if event.attempt != expected:
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} where {expected} is next")


def _check_is_running(state: RunState, event: ev.AttemptFinished | ev.AttemptIndeterminate) -> None:
    running = state.attempt
    if running is None or (running.step, running.attempt) != (event.step, event.attempt):
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} is not running")


def _check_is_unsettled(state: RunState, event: ev.AttemptSettled) -> None:
    unsettled = state.unsettled[0] if state.unsettled else None
    if unsettled is None or (unsettled.step, unsettled.attempt) != (event.step, event.attempt):
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} was not asked for")


def _check_was_asked(state: RunState, _event: ev.InputAnswered) -> None:
    if state.input_wanted is None:
        raise IllegalEventError("an answer to a question that was not asked")


_CHECKS: dict[type[Event], Callable[[RunState, Any], None]] = {
    ev.AttemptStarted: _check_is_next,
    ev.AttemptFinished: _check_is_running,
    ev.AttemptIndeterminate: _check_is_running,
    ev.AttemptSettled: _check_is_unsettled,
    ev.InputAnswered: _check_was_asked,
}


def _run_started(state: RunState, event: ev.RunStarted) -> None:
    state.started = event
    state.steps = {step.id: StepState(step) for step in event.steps}
    state.order = tuple(state.steps)
    _attach_cells(state)
    state.includes = includes.by_cell(event.includes)
    state.step_mode = event.policy.step
    for step in state.steps.values():
        step.passed = step.declared_skip or (event.policy.by_hand and step.step.sets_parameters)


def _attach_cells(state: RunState) -> None:
    """Index the steps by their checks and undos, and give each undo a state of its own."""
    steps = state.steps.values()
    state.checked = {step.step.check.id: step for step in steps if step.step.check is not None}
    for step in steps:
        known, planned = step.undo, step.step.undo
        if planned is None:
            step.undo = None
        elif known is not None and known.step.id == planned.id:
            known.step = planned  # a new runbook may have another one for a step that did not run
        else:
            step.undo = StepState(planned)
    state.undos = {step.undo.step.id: step for step in steps if step.undo is not None}


def _kernel_started(state: RunState, event: ev.KernelStarted) -> None:
    state.kernel = "alive"
    state.kernel_info = event
    state.generation = event.generation
    state.prepared = []
    _set_place(state, event)
    state.attempts_sent = 0
    state.resumed = False


def _set_place(state: RunState, event: ev.KernelStarted | ev.KernelRestarted) -> None:
    state.process, state.remote = event.process, event.remote
    state.kernel_may_run = False
    if event.process is not None:
        state.kernels.append(event.process)


def _kernel_died(state: RunState, event: ev.KernelDied) -> None:
    """Forget decisions not yet carried out: they were made for a kernel that is gone.

    A resumed run starts one new kernel by itself; if that dies too, the run stops. It also stops
    while the old kernel may still run: whether another one may start beside it is not for nbrun to
    say.
    """
    state.resumed = state.resumed and state.may_have_kernel and not event.may_run
    state.kernel, state.kernel_may_run = "dead", event.may_run
    state.suspended = False
    state.decision = None
    _void_proposal(state)
    state.kernel_busy = state.disconnected = False


def _kernel_restarted(state: RunState, event: ev.KernelRestarted) -> None:
    state.kernel = "alive"
    state.generation = event.generation
    state.prepared = []
    _set_place(state, event)
    state.attempts_sent = 0
    state.suspended = False
    state.restarted = True
    state.resumed = False
    state.decision = None
    state.setup_queue = deque(
        step.step.id
        for step in state.steps.values()
        if step.passed and step.succeeded and step.attempts
        if step.step.is_setup
    )


def _kernel_disconnected(state: RunState, _event: ev.KernelDisconnected) -> None:
    """Let no step begin until the kernel is found and idle, or given up."""
    state.disconnected = state.kernel_busy = True


def _kernel_reattached(state: RunState, _event: ev.KernelReattached) -> None:
    state.kernel = "alive"
    state.resumed = state.disconnected = state.kernel_may_run = False
    state.kernel_busy = True


def _kernel_idle(state: RunState, event: ev.KernelIdle) -> None:
    state.kernel_busy = False
    state.kernel_report = event.told


def _kernel_suspended(state: RunState, _event: ev.KernelSuspended) -> None:
    state.suspended = True


def _kernel_continued(state: RunState, _event: ev.KernelContinued) -> None:
    state.suspended = False


def _kernel_interrupted(state: RunState, event: ev.KernelInterrupted) -> None:
    state.timed_out = state.timed_out or event.timeout
    state.interrupted = state.interrupted or not event.timeout


def _attempt_started(state: RunState, event: ev.AttemptStarted) -> None:
    state.attempt = event
    state.interrupted = state.timed_out = False
    if event.cause != "setup":  # a setup step prepares the kernel for what was decided
        state.decision = None
    state.attempts_sent += 1
    if event.cause == "check":
        state.checked[event.step].checks += 1
        return
    if event.cause == "undo":
        undo.started(state, state.undos[event.step], event)
        return
    current = state.current
    state.last_attempt = event
    state.ran_aside = event.cause == "operator" and (
        current is None or current.step.id != event.step
    )
    step = state.steps.get(event.step)
    if step is None:
        state.inserted += 1
        return
    step.attempts += 1
    _note_effect(state, step)
    _note_setup(state, step)
    own = step.step.source  # one shared string saves memory when it equals the runbook's
    step.last_source = own if event.source == own else event.source
    step.rerun_requested = step.settled_as_happened = False
    step.done = step.already_done = False
    checks.forget(state, step)
    step.retries_left = _retries_left(step, event.cause)


def _note_effect(state: RunState, step: StepState) -> None:
    state.runs += 1
    step.had_effect = step.may_have_effect
    step.last_run, step.may_have_effect = state.runs, True


def _retries_left(step: StepState, cause: ev.AttemptCause) -> int:
    """Return how many automatic retries remain.

    Only an attempt by the script is retried automatically: an operator who runs a step decides
    about its failure.
    """
    if cause == "script":
        return step.step.contract.retries
    return step.retries_left - 1 if cause == "retry" else 0


def _attempt_finished(state: RunState, event: ev.AttemptFinished) -> None:
    attempt, state.attempt, state.input_wanted = state.attempt, None, None
    if not event.sent:
        state.attempts_sent -= 1
    if event.step in state.checked:
        checks.finished(state, state.checked[event.step], event)
        return
    if event.step in state.undos:
        undo.finished(state, state.undos[event.step], event)
        return
    step = state.steps.get(event.step)
    if step is None:
        return
    if event.ended_run and event.outcome == "ok":
        state.ended_by = event.step
    step.outcome, step.ran_to_end = event.outcome, event.ran_to_end
    step.skipped = False
    if step.succeeded:
        _use_up_approvals(state, step)
        checks.pass_if_holds(state, step)
        return
    state.mark_not_passed(step)
    state.setup_failed = attempt is not None and attempt.cause == "setup"
    state.decision = None


def _note_setup(state: RunState, step: StepState) -> None:
    """Remember which included runbook has begun last to prepare the kernel."""
    if step.step.included is not None and step.step.is_setup:
        state.prepared = [id_ for id_ in state.prepared if id_ != step.step.id] + [step.step.id]


def _attempt_indeterminate(state: RunState, event: ev.AttemptIndeterminate) -> None:
    state.attempt, state.input_wanted, state.decision = None, None, None
    if event.step in state.checked:  # it changed nothing, and runs again
        return
    state.unsettled.append(event)
    if event.step in state.undos:
        undo.indeterminate(state.undos[event.step])
    step = state.steps.get(event.step)
    if step is not None:
        step.outcome, step.ran_to_end = "indeterminate", False
        state.mark_not_passed(step)


def _attempt_settled(state: RunState, event: ev.AttemptSettled) -> None:
    state.unsettled.popleft()
    if event.step in state.undos:
        undo.settled(state, state.undos[event.step], event)
    step = state.steps.get(event.step)
    if step is None:
        return
    if event.finding == "happened":
        step.passed = step.settled_as_happened = True
        state.mark_setup_done(step)
    elif event.finding == "did_not_happen":
        step.may_have_effect = step.had_effect


def _input_requested(state: RunState, event: ev.InputRequested) -> None:
    state.input_wanted = event


def _input_answered(state: RunState, _event: ev.InputAnswered) -> None:
    state.input_wanted = None


def _stopped(state: RunState, event: ev.Stopped) -> None:
    """Forget what led to the stop, so that it is announced once, and any older decision."""
    state.stop = event
    state.decision = None
    state.paused = state.ran_aside = state.jumped = False
    # The question about an attempt may follow the restart that its check needed.
    state.restarted = state.restarted and event.reason == "indeterminate"
    state.setup_failed = False
    place = (event.step, state.attempts_of(event.step or ""))
    if place != state.notified_at:
        state.notified_at, state.notified = place, set()


def _notification_sent(state: RunState, event: ev.NotificationSent) -> None:
    if event.on == "stopped" and state.stop is not None:
        state.notified.add(event.target)


def _resumed(state: RunState, _event: ev.Resumed) -> None:
    state.stop = None
    _void_proposal(state)
    state.notified_at = None  # a later stop is another one, also at the same place


def _attached(state: RunState, event: ev.OperatorAttached) -> None:
    state.operators.append(event.operator)
    state.participants |= event.operator.person_uids


def _detached(state: RunState, event: ev.OperatorDetached) -> None:
    with suppress(ValueError):
        state.operators.remove(event.operator)
    # A run at a stop waits anyway, unless another person approves what was decided there.
    proposal = state.proposal
    goes_on = state.phase is not Phase.STOPPED or (proposal is not None and not proposal.handing)
    if event.lost and goes_on and state.plan.policy.attended and not state.operators:
        state.paused = True


def _run_interrupted(state: RunState, _event: ev.RunInterrupted) -> None:
    state.operators.clear()


def _run_resumed(state: RunState, event: ev.RunResumed) -> None:
    """Drop decisions not yet carried out, and stop again where the run waited.

    A stop in `_ONE_TIME_STOPS` does not follow from the state: `paused` makes the run stop again.
    """
    waited = state.decision is not None or (state.stop and state.stop.reason in _ONE_TIME_STOPS)
    state.paused = state.paused or bool(waited)
    state.resumed = True
    state.resumed_by, state.offer, state.handed_to = event.operator, None, None
    state.stop = state.decision = None
    _void_proposal(state)


_ONE_TIME_STOPS = frozenset({"paused", "returned", "undone", "moved", "kernel_restarted"})


def _runbook_replaced(state: RunState, event: ev.RunbookReplaced) -> None:
    old_steps, state.steps = state.steps, {}
    for step in event.steps:
        state.steps[step.id] = old_steps.get(step.id, StepState(step))
        state.steps[step.id].step = step
        state.steps[step.id].passed |= state.steps[step.id].declared_skip
    _attach_cells(state)
    state.includes = includes.by_cell(event.includes)
    state.order = tuple(state.steps)
    state.position = 0
    state.setup_queue = deque(id_ for id_ in state.setup_queue if id_ in state.steps)


def _proposed(state: RunState, event: ev.DecisionProposed) -> None:
    state.proposal = event
    state.proposals += 1
    state.participants |= event.operator.person_uids


def _approval_granted(state: RunState, event: ev.ApprovalGranted) -> None:
    """Keep the approval. One for other code of the same step replaces those before."""
    if _is_program_waiting(state):  # a person of the same account: not the approval of a step
        return

    def is_replaced(other: ev.ApprovalGranted) -> bool:
        same = other.step == event.step and _runs_step(other) == _runs_step(event)
        return same and other.binding != event.binding

    state.approvals = [each for each in state.approvals if not is_replaced(each)]
    state.approvals.append(event)


def _runs_step(approval: ev.ApprovalGranted) -> bool:
    return approval.decision in RUNS_STEP


def _approval_expired(state: RunState, event: ev.ApprovalExpired) -> None:
    state.approvals = [
        each
        for each in state.approvals
        if (each.binding, each.operator) != (event.binding, event.approver)
    ]


def _approval_rejected(state: RunState, event: ev.ApprovalRejected) -> None:
    if not _is_program_waiting(state):
        _drop_approvals(state, event.step, event.decision)
    state.proposal = None


def _void_proposal(state: RunState) -> None:
    """Drop a proposal that was not carried out, with the approvals that it has so far."""
    proposal, state.proposal = state.proposal, None
    if proposal is not None and not proposal.operator.is_program:
        _drop_approvals(state, proposal.step, proposal.decision)


def _drop_approvals(state: RunState, step: str | None, decision: str) -> None:
    state.approvals = [
        each for each in state.approvals if (each.step, each.decision) != (step, decision)
    ]


def _use_up_approvals(state: RunState, step: StepState) -> None:
    """Drop the approvals to run `step`: another attempt needs others."""
    if step.step.contract.approve is not None:
        state.approvals_used[step.step.id] += 1
    state.approvals = [
        each for each in state.approvals if each.step != step.step.id or not _runs_step(each)
    ]


def _decided(state: RunState, event: ev.Decided) -> None:
    state.participants |= event.operator.person_uids
    if event.decision in RUNS_STEP:  # an approval to run a step holds until the step succeeds
        state.proposal = None
    _void_proposal(state)
    match event.decision:
        case "cancel":
            state.cancel = event
        case "interrupt":
            state.paused = state.phase is Phase.READY
            checks.give_up(state)
        case "skip":
            _skip(state, state.current)
        case "done":
            _done(state, state.current)
        case "jump":
            _jump(state, event.step)
        case "note" | "kill" | "answer" | "withdraw":
            pass
        case _:
            state.decision = event
            state.step_mode = state.step_mode and event.decision != "continue"


def _skip(state: RunState, step: StepState | None) -> None:
    if step is not None:
        step.passed = step.skipped = True
        checks.end(state, step)
        state.mark_setup_done(step)


def _done(state: RunState, step: StepState | None) -> None:
    if step is not None:
        step.done = True
        _note_effect(state, step)
        step.skipped = step.rerun_requested = step.already_done = False
        _use_up_approvals(state, step)
        checks.forget(state, step)
        checks.pass_if_holds(state, step)


def _jump(state: RunState, target: str | None) -> None:
    """Skip the steps before `target`, or let the run execute those from `target` on again."""
    destination = state.steps[str(target)].step.number
    for step in map(state.steps.__getitem__, state.order):
        if step.step.number < destination and not step.passed:
            _skip(state, step)
        elif step.step.number >= destination and step.passed and not step.declared_skip:
            step.rerun_requested = True
            checks.forget(state, step)
            state.mark_not_passed(step)
    state.jumped = True


def _handover_offered(state: RunState, event: ev.HandoverOffered) -> None:
    state.offer = event
    if event.binding:  # it was proposed, and its approvals are used
        _void_proposal(state)


def _handover_withdrawn(state: RunState, _event: ev.HandoverWithdrawn) -> None:
    state.offer = None


def _handover_accepted(state: RunState, event: ev.HandoverAccepted) -> None:
    """Let another person operate. What they approved before, an operator may not have approved."""
    state.offer = None
    if state.proposal is not None and state.proposal.handing is not None:
        _void_proposal(state)  # whoever proposed to hand the run over operates it no longer
    who = event.operator
    state.handed_to = None if who.uid == state.owner.uid else who
    state.participants |= who.person_uids
    state.approvals = [
        each for each in state.approvals if not each.operator.person_uids & who.person_uids
    ]


def _deviated(state: RunState, event: ev.Deviated) -> None:
    state.deviations.append(event)


def _run_finished(state: RunState, event: ev.RunFinished) -> None:
    state.finished = event
    state.stop = None


# Each value takes the state and an event of its key's type, which `Callable` can't express.
_CHANGES: dict[type[Event], Callable[[RunState, Any], None]] = {
    ev.RunStarted: _run_started,
    ev.KernelStarted: _kernel_started,
    ev.KernelDied: _kernel_died,
    ev.KernelRestarted: _kernel_restarted,
    ev.KernelDisconnected: _kernel_disconnected,
    ev.KernelReattached: _kernel_reattached,
    ev.KernelIdle: _kernel_idle,
    ev.KernelInterrupted: _kernel_interrupted,
    ev.KernelSuspended: _kernel_suspended,
    ev.KernelContinued: _kernel_continued,
    ev.AttemptStarted: _attempt_started,
    ev.AttemptFinished: _attempt_finished,
    ev.AttemptIndeterminate: _attempt_indeterminate,
    ev.AttemptSettled: _attempt_settled,
    ev.InputRequested: _input_requested,
    ev.InputAnswered: _input_answered,
    ev.Stopped: _stopped,
    ev.Resumed: _resumed,
    ev.Decided: _decided,
    ev.DecisionProposed: _proposed,
    ev.ApprovalGranted: _approval_granted,
    ev.ApprovalExpired: _approval_expired,
    ev.ApprovalRejected: _approval_rejected,
    ev.HandoverOffered: _handover_offered,
    ev.HandoverAccepted: _handover_accepted,
    ev.HandoverWithdrawn: _handover_withdrawn,
    ev.Deviated: _deviated,
    ev.OperatorAttached: _attached,
    ev.OperatorDetached: _detached,
    ev.NotificationSent: _notification_sent,
    ev.RunInterrupted: _run_interrupted,
    ev.RunResumed: _run_resumed,
    ev.RunbookReplaced: _runbook_replaced,
    ev.RunFinished: _run_finished,
}


def changes_state(event: Event) -> bool:
    """Return True if `event` changes the state. Outputs, the bulk of a journal, do not."""
    return type(event) in _CHANGES
