"""How events change where a run stands: every legal transition in one table, and what each does."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.state import RUNS_STEP, Phase, RunState, StepState
from nbrun.errors import IllegalEventError

SETUP_TAGS = frozenset({"setup", "parameters", "injected-parameters"})
_LIVE = (Phase.READY, Phase.RUNNING, Phase.STOPPED)


def _stay(*phases: Phase) -> dict[Phase, Phase]:
    return {phase: phase for phase in phases}


# What may happen where, and the phase it leads to. Anything not here is illegal.
TRANSITIONS: dict[type[Event], dict[Phase, Phase]] = {
    ev.RunStarted: {Phase.NEW: Phase.READY},
    ev.KernelStarted: _stay(Phase.READY),
    ev.KernelRestarted: _stay(Phase.READY),
    ev.KernelDied: _stay(*_LIVE),
    ev.KernelReattached: _stay(Phase.READY),
    ev.KernelIdle: _stay(Phase.READY),
    ev.KernelInterrupted: _stay(Phase.READY, Phase.RUNNING),
    ev.AttemptStarted: {Phase.READY: Phase.RUNNING},
    ev.Output: _stay(*_LIVE),  # an output may be late
    ev.OutputUpdated: _stay(*_LIVE),
    ev.OutputCleared: _stay(*_LIVE),
    ev.WidgetsChanged: _stay(*_LIVE),
    ev.InputRequested: _stay(Phase.RUNNING),
    ev.InputAnswered: _stay(Phase.RUNNING),
    ev.AttemptFinished: {Phase.RUNNING: Phase.READY},
    ev.AttemptIndeterminate: {Phase.RUNNING: Phase.READY},
    ev.AttemptSettled: _stay(Phase.STOPPED),
    ev.Stopped: {Phase.READY: Phase.STOPPED},
    ev.Resumed: {Phase.STOPPED: Phase.READY},
    ev.Decided: _stay(*_LIVE),
    ev.DecisionRefused: _stay(*_LIVE),
    ev.DecisionProposed: _stay(Phase.STOPPED),
    ev.Deviated: _stay(*_LIVE),
    ev.OperatorAttached: _stay(*_LIVE),
    ev.OperatorDetached: _stay(*_LIVE),
    ev.RunInterrupted: _stay(Phase.READY, Phase.STOPPED),
    ev.RunResumed: {Phase.READY: Phase.READY, Phase.STOPPED: Phase.READY},
    ev.RunbookReplaced: _stay(Phase.READY),
    ev.ApprovalGranted: _stay(Phase.STOPPED),
    ev.ApprovalRejected: _stay(Phase.STOPPED),
    ev.NoteAdded: _stay(*_LIVE),
    ev.RunFinished: {Phase.READY: Phase.FINISHED, Phase.STOPPED: Phase.FINISHED},
    ev.OutputCapped: _stay(*_LIVE),
    ev.SealFailed: _stay(*_LIVE),
    ev.ForwardingFailed: _stay(*_LIVE),
    ev.ForwardingResumed: _stay(*_LIVE),
    ev.KernelSuspended: _stay(*_LIVE),
    ev.KernelContinued: _stay(*_LIVE),
    ev.KernelUnresponsive: _stay(*_LIVE),
    ev.KernelResponded: _stay(*_LIVE),
    ev.InterruptUnheeded: _stay(Phase.READY, Phase.RUNNING),
    ev.ProcessesLeft: _stay(*_LIVE),
    ev.RoleRefreshed: _stay(*_LIVE),
    ev.RoleNotRefreshed: _stay(*_LIVE),
}


def fold(events: Iterable[Event]) -> RunState:
    """The state that `events`, in order from the first, lead to.

    Raises:
        IllegalEventError: an event can't happen where it stands.
    """
    state = RunState()
    for event in events:
        apply(state, event)
    return state


def apply(state: RunState, event: Event) -> RunState:
    """Let `event` happen to `state`, which is changed in place (a copy of 10,000 steps an event
    would make the fold quadratic) and returned.

    Raises:
        IllegalEventError: it can't happen here; the state is as it was.
    """
    kind = type(event)
    change = _CHANGES.get(kind)
    if change is not None:
        phase = check_transition(state, event)
        change(state, event)
        state.phase = phase
    elif state.phase not in TRANSITIONS[kind]:  # where it may happen, it leads nowhere
        check_transition(state, event)
    return state


def check_transition(state: RunState, event: Event) -> Phase:
    """The phase that `event` leads to.

    Raises:
        IllegalEventError: it can't happen here.
    """
    kind = type(event)
    phase = TRANSITIONS[kind].get(state.phase)
    if phase is None:
        raise IllegalEventError(
            f"{event.__struct_config__.tag} can't happen in a run that is {state.phase.value}"
        )
    place = _PLACES.get(kind)
    if place is not None:
        place(state, event)
    return phase


# What the phase alone does not tell of an event's place. Each raises IllegalEventError.


def _is_next(state: RunState, event: ev.AttemptStarted) -> None:
    expected = state.steps[event.step].attempts + 1 if event.step in state.steps else 1
    if event.attempt != expected:
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} where {expected} is next")


def _is_running(state: RunState, event: ev.AttemptFinished | ev.AttemptIndeterminate) -> None:
    running = state.attempt
    if running is None or (running.step, running.attempt) != (event.step, event.attempt):
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} is not running")


def _is_asked_for(state: RunState, event: ev.AttemptSettled) -> None:
    asked = state.unsettled[0] if state.unsettled else None
    if asked is None or (asked.step, asked.attempt) != (event.step, event.attempt):
        raise IllegalEventError(f"attempt {event.attempt} of {event.step} was not asked for")


def _was_asked(state: RunState, _event: ev.InputAnswered) -> None:
    if state.input_wanted is None:
        raise IllegalEventError("an answer to a question that was not asked")


_PLACES: dict[type[Event], Callable[[RunState, Any], None]] = {
    ev.AttemptStarted: _is_next,
    ev.AttemptFinished: _is_running,
    ev.AttemptIndeterminate: _is_running,
    ev.AttemptSettled: _is_asked_for,
    ev.InputAnswered: _was_asked,
}


def _run_started(state: RunState, event: ev.RunStarted) -> None:
    state.started = event
    state.steps = {step.id: StepState(step) for step in event.steps}
    state.order = tuple(state.steps)
    state.stepping = event.policy.step
    for step in state.steps.values():
        step.passed = step.declared_skip


def _kernel_started(state: RunState, event: ev.KernelStarted) -> None:
    state.kernel = "alive"
    state.kernel_info = event
    state.generation = event.generation
    state.process = event.process
    state.sent = 0
    state.resumed = False


def _kernel_died(state: RunState, _event: ev.KernelDied) -> None:
    """What was decided but not begun is forgotten: it was decided for a kernel that is gone.

    A resumed run makes one attempt at a new kernel by itself: a second death ends that.
    """
    state.resumed = state.resumed and state.kernel == "alive"
    state.kernel = "dead"
    state.suspended = False
    state.decision = state.proposal = None
    state.busy = False


def _kernel_restarted(state: RunState, event: ev.KernelRestarted) -> None:
    state.kernel = "alive"
    state.generation = event.generation
    state.process = event.process
    state.sent = 0
    state.suspended = False
    state.restarted = True
    state.resumed = False
    state.decision = None
    state.rebuild = deque(
        step.step.id
        for step in state.steps.values()
        if step.passed and step.succeeded and step.attempts
        if SETUP_TAGS.intersection(step.step.tags)
    )


def _kernel_reattached(state: RunState, _event: ev.KernelReattached) -> None:
    state.resumed = False
    state.busy = True


def _kernel_idle(state: RunState, event: ev.KernelIdle) -> None:
    state.busy = False
    state.told = event.told


def _kernel_suspended(state: RunState, _event: ev.KernelSuspended) -> None:
    state.suspended = True


def _kernel_continued(state: RunState, _event: ev.KernelContinued) -> None:
    state.suspended = False


def _kernel_interrupted(state: RunState, event: ev.KernelInterrupted) -> None:
    state.timed_out = state.timed_out or event.timeout
    state.interrupted = state.interrupted or not event.timeout


def _attempt_started(state: RunState, event: ev.AttemptStarted) -> None:
    current = state.current
    state.attempt = state.last_attempt = event
    state.interrupted = state.timed_out = False
    state.decision = None
    state.sent += 1
    state.aside = event.cause == "operator" and (current is None or current.step.id != event.step)
    step = state.steps.get(event.step)
    if step is None:
        state.inserted += 1
        return
    step.attempts += 1
    own = step.step.source  # one text, where it is the runbook's: there may be very many
    step.last_source = own if event.source == own else event.source
    step.redo = step.vouched = False
    step.retries_left = _retries_left(step, event.cause)


def _retries_left(step: StepState, cause: ev.AttemptCause) -> int:
    """Only what the script runs is retried by it: who decides to run a step sees it through."""
    if cause == "script":
        return step.step.contract.retries
    return step.retries_left - 1 if cause == "retry" else 0


def _attempt_finished(state: RunState, event: ev.AttemptFinished) -> None:
    attempt, state.attempt, state.input_wanted = state.attempt, None, None
    step = state.steps.get(event.step)
    if step is None:
        return
    if event.ended_run and event.outcome == "ok":
        state.ended_by = event.step
    step.outcome = event.outcome
    step.skipped = False
    if step.succeeded:
        step.passed = True
        step.approved = None  # used up: another time needs another
        _rebuilt(state, step)
        return
    state.unpass(step)
    state.setup_failed = attempt is not None and attempt.cause == "setup"


def _attempt_indeterminate(state: RunState, event: ev.AttemptIndeterminate) -> None:
    state.attempt, state.input_wanted = None, None
    state.unsettled.append(event)
    step = state.steps.get(event.step)
    if step is not None:
        step.outcome = "indeterminate"
        state.unpass(step)


def _attempt_settled(state: RunState, event: ev.AttemptSettled) -> None:
    state.unsettled.popleft()
    step = state.steps.get(event.step)
    if step is not None and event.finding == "happened":
        step.passed = step.vouched = True
        _rebuilt(state, step)


def _input_requested(state: RunState, event: ev.InputRequested) -> None:
    state.input_wanted = event


def _input_answered(state: RunState, _event: ev.InputAnswered) -> None:
    state.input_wanted = None


def _stopped(state: RunState, event: ev.Stopped) -> None:
    """A stop is said once: what led to it is forgotten, and no old decision outlives it."""
    state.stop = event
    state.decision = None
    state.paused = state.aside = state.moved = False
    state.restarted = state.setup_failed = False


def _resumed(state: RunState, _event: ev.Resumed) -> None:
    state.stop = state.proposal = None


def _attached(state: RunState, event: ev.OperatorAttached) -> None:
    state.operators.append(event.operator)
    state.hands.add(event.operator.uid)


def _detached(state: RunState, event: ev.OperatorDetached) -> None:
    with suppress(ValueError):
        state.operators.remove(event.operator)


def _run_interrupted(state: RunState, _event: ev.RunInterrupted) -> None:
    state.operators.clear()


def _run_resumed(state: RunState, _event: ev.RunResumed) -> None:
    """What was decided but not begun is not done now. The run stops again where it waited, unless
    its state says so anyway."""
    waited = state.decision is not None or (state.stop and state.stop.reason in _SAID_ONCE)
    state.paused = state.paused or bool(waited)
    state.resumed = True
    state.stop = state.decision = state.proposal = None


_SAID_ONCE = frozenset({"paused", "returned", "moved", "kernel_restarted"})


def _runbook_replaced(state: RunState, event: ev.RunbookReplaced) -> None:
    known, state.steps = state.steps, {}
    for step in event.steps:
        state.steps[step.id] = known.get(step.id, StepState(step))
        state.steps[step.id].step = step
        state.steps[step.id].passed |= state.steps[step.id].declared_skip
    state.order = tuple(state.steps)
    state.position = 0
    state.rebuild = deque(id_ for id_ in state.rebuild if id_ in state.steps)


def _proposed(state: RunState, event: ev.DecisionProposed) -> None:
    state.proposal = event
    state.hands.add(event.operator.uid)


def _approval_granted(state: RunState, event: ev.ApprovalGranted) -> None:
    if event.step is not None and event.decision in RUNS_STEP:
        state.steps[event.step].approved = event


def _approval_rejected(state: RunState, _event: ev.ApprovalRejected) -> None:
    state.proposal = None


def _decided(state: RunState, event: ev.Decided) -> None:
    state.hands.add(event.operator.uid)
    state.proposal = None
    match event.decision:
        case "cancel":
            state.cancel = event
        case "interrupt":
            state.paused = state.phase is Phase.READY
        case "skip":
            _skip(state, state.current)
        case "done":
            _done(state.current)
        case "jump":
            _jump(state, event.step)
        case "note" | "kill" | "answer" | "withdraw":
            pass
        case _:
            state.decision = event
            state.stepping = state.stepping and event.decision != "continue"


def _skip(state: RunState, step: StepState | None) -> None:
    if step is not None:
        step.passed = step.skipped = True
        _rebuilt(state, step)


def _done(step: StepState | None) -> None:
    if step is not None:
        step.passed = step.done = True
        step.skipped = step.redo = False
        step.approved = None


def _rebuilt(state: RunState, step: StepState) -> None:
    """The new kernel has of `step` what it will have, whoever ran it or passed over it."""
    with suppress(ValueError):
        state.rebuild.remove(step.step.id)


def _jump(state: RunState, target: str | None) -> None:
    """Forward: pass over what lies between. Back: what was passed from there on comes again."""
    destination = state.steps[str(target)].step.number
    for step in map(state.steps.__getitem__, state.order):
        if step.step.number < destination and not step.passed:
            _skip(state, step)
        elif step.step.number >= destination and step.passed and not step.declared_skip:
            step.redo = True
            state.unpass(step)
    state.moved = True


def _deviated(state: RunState, event: ev.Deviated) -> None:
    state.deviations.append(event)


def _run_finished(state: RunState, event: ev.RunFinished) -> None:
    state.finished = event
    state.stop = None


# Each takes the state and the event of its key; the one union type can't say that.
_CHANGES: dict[type[Event], Callable[[RunState, Any], None]] = {
    ev.RunStarted: _run_started,
    ev.KernelStarted: _kernel_started,
    ev.KernelDied: _kernel_died,
    ev.KernelRestarted: _kernel_restarted,
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
    ev.ApprovalRejected: _approval_rejected,
    ev.Deviated: _deviated,
    ev.OperatorAttached: _attached,
    ev.OperatorDetached: _detached,
    ev.RunInterrupted: _run_interrupted,
    ev.RunResumed: _run_resumed,
    ev.RunbookReplaced: _runbook_replaced,
    ev.RunFinished: _run_finished,
}


def changes_state(event: Event) -> bool:
    """Whether where the run stands depends on it. On outputs, the most of a long record, it does
    not."""
    return type(event) in _CHANGES
