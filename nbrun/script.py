"""The script and leaving it: what a run does next, what may be decided, and what is a deviation."""

import difflib
from dataclasses import dataclass
from itertools import count, islice

import msgspec

from nbrun import decisions, terms
from nbrun import events as ev
from nbrun.approval import binding, is_awaited
from nbrun.decisions import Decision
from nbrun.events import Cause, Deviated, Event, RunOutcome, StopReason
from nbrun.state import Phase, RunState, StepState
from nbrun.terms import DeviationKind

# ── What comes next ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class NextAttempt:
    """`after`: seconds since the last attempt ended that have to pass first."""

    step: str
    source: str
    cause: Cause
    after: float = 0.0


@dataclass(frozen=True)
class NextRestart:
    why: str


@dataclass(frozen=True)
class NextStop:
    reason: StopReason
    detail: str = ""
    step: str | None = None  # that it is about, if not the one the run stands at


@dataclass(frozen=True)
class NextFinish:
    outcome: RunOutcome
    why: str


Next = NextAttempt | NextRestart | NextStop | NextFinish


def what_next(state: RunState) -> Next:
    """What the engine does with a run that is ready: one rule a line, the first that fits."""
    current = state.current
    if state.cancel is not None:
        why = state.cancel.reason or "no reason was given"
        return NextFinish("cancelled", f"cancelled by {state.cancel.operator.name}: {why}")
    if state.ended_by is not None:
        return NextFinish(
            "completed", f"the runbook ended itself at {label(state, state.ended_by)}"
        )
    if state.unsettled:
        return NextStop("indeterminate", state.told, step=state.unsettled[0].step)
    if state.decision is not None:
        return _as_decided(state, state.decision)
    if current is None and not state.rebuild:
        return NextFinish("completed", "every step was passed")
    if state.kernel != "alive":
        return NextRestart(_KERNEL_GONE) if state.resumed else NextStop("kernel_died")
    if state.rebuild and state.steps[state.rebuild[0]].passed and not state.setup_failed:
        return _rebuilding(state.steps[state.rebuild[0]])
    return _retry(state, current) or _halt(state, current) or _scripted(_known(current), "script")


_KERNEL_GONE = "the kernel was gone when the run was resumed"


def _as_decided(state: RunState, decided: ev.Decided) -> Next:
    if decided.decision == "restart":
        return NextRestart(decided.reason)
    if state.kernel != "alive":
        return NextStop("kernel_died")
    return _attempt_for(state, decided.decision, decided.step, decided.source)


def _retry(state: RunState, current: StepState | None) -> NextAttempt | None:
    """The attempt that the runbook itself declares after one that did not succeed."""
    if current is None or not current.failed or not current.retries_left:
        return None
    if current.outcome not in ("error", "timed_out") or _waits_anyway(state):
        return None
    source = current.last_source or current.step.source
    return NextAttempt(current.step.id, source, "retry", after=current.step.contract.retry_delay)


def _waits_anyway(state: RunState) -> bool:
    """Something has happened since the last attempt that the operator has to be told first."""
    return state.paused or state.restarted or state.moved or state.aside or state.setup_failed


def _halt(state: RunState, current: StepState | None) -> NextStop | None:
    """Why the run waits here rather than going on by itself, if it does."""
    told = state.restarted or state.moved or _came_back(state, current)
    if state.setup_failed or (current and current.failed and not told):
        return NextStop("step_failed")
    if state.restarted:
        return NextStop("kernel_restarted")
    if state.moved:
        return NextStop("moved")
    if state.aside:
        return NextStop("returned")
    if state.paused:
        return NextStop("paused")
    if current and is_awaited(state, current):
        return NextStop("approval", current.step.contract.approve or "")
    if current and current.step.contract.manual:
        return NextStop("manual")
    if current and "fill" in current.step.tags:
        return NextStop("fill")
    if current and is_gated(state, current):
        return NextStop("confirm", current.step.contract.confirm or "")
    return NextStop("step_mode") if state.stepping else None


def is_gated(state: RunState, step: StepState) -> bool:
    """Whether the runbook asks for a confirmation that was not given beforehand.

    A step that says nothing of its impact is taken to change something.
    """
    policy, contract = state.plan.policy, step.step.contract
    if contract.confirm is None:
        return False
    destructive = contract.impact == "destructive"
    return not (policy.yes_destructive if destructive else policy.yes)


def _came_back(state: RunState, current: StepState | None) -> bool:
    """A step was run aside, and it is not the one that the run now stands at."""
    last = state.last_attempt
    return state.aside and not (current and last and last.step == current.step.id)


def _known(step: StepState | None) -> StepState:
    assert step is not None  # noqa: S101  what_next has finished a run with nothing left
    return step


def _scripted(step: StepState, cause: Cause) -> NextAttempt:
    return NextAttempt(step.step.id, step.step.source, cause)


def _rebuilding(step: StepState) -> NextAttempt:
    """A setup step for a new kernel, as it succeeded in the old one: perhaps filled or edited."""
    return NextAttempt(step.step.id, step.last_source or step.step.source, "setup")


def _attempt_for(
    state: RunState, decision: str, step: str | None, source: str | None
) -> NextAttempt:
    """The attempt that a decision to run something leads to."""
    if decision == "insert":
        return NextAttempt(_inserted_id(state), source or "", "operator")
    target = state.steps[step] if step else _known(state.current)
    if decision == "retry":
        source = target.last_source
    return NextAttempt(target.step.id, source or target.step.source, "operator")


def _inserted_id(state: RunState) -> str:
    """One that neither a step nor an earlier inserted cell has."""
    free = (f"inserted-{number}" for number in count(1) if f"inserted-{number}" not in state.steps)
    return next(islice(free, state.inserted, None))


def attempt_started(state: RunState, planned: NextAttempt) -> ev.AttemptStarted:
    """The event that `planned` begins with."""
    step = state.steps.get(planned.step)
    return ev.AttemptStarted(
        step=planned.step,
        attempt=step.attempts + 1 if step else 1,
        source=planned.source,
        edited=step is not None and planned.source != step.step.source,
        cause=planned.cause,
    )


def waits(state: RunState, stop: NextStop) -> bool:
    """Whether somebody is there to decide at this stop; else it ends the run as failed."""
    policy = state.plan.policy
    if policy.on_failure == "wait" or (state.operators and not policy.attended):
        return True
    if not policy.attended:
        return False
    asked_to_end = policy.on_failure == "stop" and stop.reason in ("step_failed", "kernel_died")
    return not asked_to_end or state.interrupted


def unattended_end(state: RunState, stop: NextStop) -> NextFinish:
    """How a run ends at a stop where nobody decides, or nobody has for as long as it may wait."""
    current = state.current
    step = label(state, current.step.id) if current else "the run"
    if current is not None and current.outcome == "kernel_died":
        step = f"{step}, in which the kernel died,"
    what = {
        "step_failed": f"{step} did not succeed",
        "kernel_died": f"there was no kernel for {step}",
        "fill": f"{step} is for an operator to complete",
        "confirm": f"{step} asks to be confirmed",
        "manual": f"{step} is for a person to do",
        "approval": f"{step} waits for an approval",
    }.get(stop.reason, f"the run stopped at {step}")
    asked_to_end = state.plan.policy.attended and state.plan.policy.on_failure == "stop"
    ends = "--on-failure is stop" if asked_to_end else "nobody was there to decide"
    return NextFinish("failed", f"{what}, and {ends}")


# ── What may be decided ──────────────────────────────────────────────────────────────────────

# The phases in which each decision is heard at all; `refusal` knows the finer conditions.
ALLOWED: dict[type[Decision], frozenset[Phase]] = {
    decisions.Run: frozenset({Phase.STOPPED}),
    decisions.Continue: frozenset({Phase.STOPPED}),
    decisions.Retry: frozenset({Phase.STOPPED}),
    decisions.Done: frozenset({Phase.STOPPED}),
    decisions.Edit: frozenset({Phase.STOPPED}),
    decisions.Skip: frozenset({Phase.STOPPED}),
    decisions.Jump: frozenset({Phase.STOPPED}),
    decisions.Insert: frozenset({Phase.STOPPED}),
    decisions.RestartKernel: frozenset({Phase.STOPPED}),
    decisions.Approve: frozenset({Phase.STOPPED}),
    decisions.Reject: frozenset({Phase.STOPPED}),
    decisions.Settle: frozenset({Phase.STOPPED}),
    decisions.AddNote: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Detach: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Cancel: frozenset({Phase.READY, Phase.RUNNING, Phase.STOPPED}),
    decisions.Interrupt: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.KillKernel: frozenset({Phase.READY, Phase.RUNNING}),
    decisions.Answer: frozenset({Phase.RUNNING}),
}
_RUNS_CODE = (
    decisions.Run | decisions.Continue | decisions.Retry | decisions.Edit | decisions.Insert
)
_CHANGES_COURSE = (
    _RUNS_CODE | decisions.Done | decisions.Skip | decisions.Jump | decisions.RestartKernel
)


def refusal(state: RunState, decision: Decision) -> str | None:
    """Why `decision` is not allowed where the run stands; None when it is."""
    if state.phase not in ALLOWED[type(decision)]:
        return f"{name(decision)} is not possible now: the run is {state.phase.value}"
    if state.unsettled and isinstance(decision, _CHANGES_COURSE):
        return "say first what came of the attempt that nobody saw end"
    if isinstance(decision, _RUNS_CODE) and state.kernel != "alive":
        return "the kernel is dead: restart it first"
    return (
        _misplaced(state, decision)
        or _by_hand(state, decision)
        or _unapproved(state, decision)
        or _not_allowed(state, decision)
    )


def _by_hand(state: RunState, decision: Decision) -> str | None:
    """A person's step can't be run, and another can't be said to be done."""
    if isinstance(decision, decisions.Insert):
        return None
    target = target_of(state, decision)
    if isinstance(decision, decisions.Done):
        if target is not None and not target.step.contract.manual:
            return f"{label(state, target.step.id)} is not for a person to do: use run or skip"
        return None if target is not None else "there is no step left"
    if target is not None and target.step.contract.manual:
        return f"{label(state, target.step.id)} is for a person to do: use done or skip"
    return None


def _unapproved(state: RunState, decision: Decision) -> str | None:
    """What needs an approval is not run without one, nor with another source than was approved."""
    if isinstance(decision, decisions.Approve | decisions.Reject):
        return _misdirected(state, decision)
    target = target_of(state, decision)
    if target is None or target.step.contract.approve is None:
        return None
    told = label(state, target.step.id)
    if isinstance(decision, decisions.Edit) and decision.source != target.step.source:
        return f"{told} needs an approval, which is for its source as it stands: skip it instead"
    return f"{told} needs an approval: see nbrun approve" if is_awaited(state, target) else None


def _misdirected(state: RunState, decision: decisions.Approve | decisions.Reject) -> str | None:
    stop, current = state.stop, state.current
    if stop is None or stop.reason != "approval" or current is None:
        return "nothing waits for an approval"
    if isinstance(decision, decisions.Approve) and decision.binding != binding(state, current):
        return "the source or the parameters have changed since you looked: look again"
    return None


def target_of(state: RunState, decision: Decision) -> StepState | None:
    """The step of the runbook that `decision` runs or says to be done; None when it does not."""
    match decision:
        case decisions.Run(step=str(step)) | decisions.Edit(step=str(step)):
            return state.steps.get(step)
        case (
            decisions.Run()
            | decisions.Continue()
            | decisions.Retry()
            | decisions.Edit()
            | decisions.Done()
        ):
            return state.current
    return None


def lacks(state: RunState, decision: Decision) -> str | None:
    """What an otherwise allowed decision still needs: a text to be typed, or a reason."""
    target = target_of(state, decision)
    typed = target.step.contract.typed if target is not None and _asks(state, target) else ""
    if typed and getattr(decision, "typed", "") != typed:
        return f"type {typed!r} to confirm it"
    needed = set(state.plan.policy.need_reason) & kinds_of(state, decision)
    if needed and not decision.reason.strip():
        return f"a reason is needed: {', '.join(sorted(needed))}"
    return None


def _asks(state: RunState, step: StepState) -> bool:
    return step.step.contract.manual or is_gated(state, step)


def _misplaced(state: RunState, decision: Decision) -> str | None:
    current = state.current
    match decision:
        case decisions.Settle() if not state.unsettled:
            return "every attempt was seen to end"
        case decisions.KillKernel() if state.phase is Phase.READY and not state.busy:
            return "the kernel is doing nothing that could be ended"
        case decisions.Cancel() if state.cancelled:
            return "the run is being cancelled already"
        case decisions.Answer() if state.input_wanted is None:
            return "no cell is asking for input"
        case decisions.Edit(source=source) | decisions.Insert(source=source) if not source.strip():
            return "there is no code in it"
        case decisions.AddNote(text=text) if not text.strip():
            return "the note is empty"
        case (
            decisions.Run(step=str(step))
            | decisions.Edit(step=str(step))
            | decisions.Jump(step=step)
        ):
            return _bad_target(state, step, jump=isinstance(decision, decisions.Jump))
        case decisions.Retry() if current is not None and not current.failed:
            return f"{label(state, current.step.id)} has not failed: use run"
        case decisions.Run() | decisions.Continue() if current is not None and current.failed:
            return f"{label(state, current.step.id)} has failed: use retry, edit or skip"
    return None


def _bad_target(state: RunState, step: str, *, jump: bool) -> str | None:
    if step not in state.steps:
        return f"there is no step {step!r}"
    if state.steps[step].declared_skip:
        return f"{label(state, step)} is tagged skip-execution: the runbook says not to run it"
    if jump and state.current is state.steps[step]:
        return f"the run already stands at {label(state, step)}"
    return None


def _not_allowed(state: RunState, decision: Decision) -> str | None:
    """A deviation that `--strict`, or the team's policy, does not allow."""
    policy = state.plan.policy
    allowed = () if policy.strict else policy.allow
    if allowed is None:
        return None
    kinds = sorted(kinds_of(state, decision) - set(allowed))
    if not kinds:
        return None
    by = "this run is --strict" if policy.strict else "the policy in nbrun.toml does not allow it"
    return f"{name(decision)} would leave the script ({', '.join(kinds)}), and {by}"


def kinds_of(state: RunState, decision: Decision) -> set[DeviationKind]:
    """How `decision`, an otherwise allowed one, leaves the script, at once or as soon as anything
    is run."""
    kinds = {each.kind for each in consequences(state, decision)}
    if isinstance(decision, decisions.Jump) and state.steps[decision.step].passed:
        kinds.add("reran")
    return kinds


def name(decision: Decision) -> str:
    """The decision's tag: `retry`, `skip`, …"""
    return str(decision.__struct_config__.tag)


def label(state: RunState, step: str) -> str:
    """How a step is named to a person: its number, or its id when it is not of the runbook."""
    known = state.steps.get(step)
    return f"step {known.step.number}" if known else f"cell {step}"


# ── What is a deviation ──────────────────────────────────────────────────────────────────────


def deviations_of(state: RunState, event: Event) -> list[Deviated]:
    """The ways in which `event`, about to happen to `state`, leaves the script.

    The only place that decides what is off script (DESIGN, "Off script").
    """
    reason = _reason(state, event)
    return [
        msgspec.structs.replace(departure, reason=reason) for departure in _departures(state, event)
    ]


def _reason(state: RunState, event: Event) -> str:
    """What the operator said when deciding what leads to `event`."""
    match event:
        case ev.Decided(reason=reason) | ev.KernelRestarted(why=reason):
            return reason
        case ev.AttemptStarted(cause="operator") if state.decision is not None:
            return state.decision.reason
    return ""


def _departures(state: RunState, event: Event) -> list[Deviated]:
    match event:
        case ev.AttemptStarted():
            return _of_attempt(state, event)
        case ev.Decided(decision="skip") if state.current is not None:
            return [Deviated(kind="skipped", step=state.current.step.id)]
        case ev.Decided(decision="done") if state.current is not None and state.current.done:
            return [Deviated(kind="reran", step=state.current.step.id)]
        case ev.Decided(decision="jump", step=str(step)):
            return [Deviated(kind="skipped", step=passed) for passed in _between(state, step)]
        case ev.KernelRestarted():
            return [Deviated(kind="kernel_restarted")]
        case ev.RunbookReplaced(diff=changed):
            return [Deviated(kind="runbook_replaced", diff=changed)]
    return []


def _between(state: RunState, step: str) -> list[str]:
    """The steps not passed that a jump forward to `step` passes over."""
    upto = state.steps[step].step.number - 1
    return [id_ for id_ in state.order[state.position : upto] if not state.steps[id_].passed]


def _of_attempt(state: RunState, event: ev.AttemptStarted) -> list[Deviated]:
    step = state.steps.get(event.step)
    if step is None:
        return [Deviated(kind="inserted", step=event.step)]
    if event.cause in ("setup", "retry"):  # a part of the restart; declared by the runbook
        return []
    kinds: list[DeviationKind] = []
    if step.attempts:
        kinds.append("reran" if step.succeeded else "retried")
    current = state.current
    if current is not None and current.step.number < step.step.number:
        kinds.append("out_of_order")
    found = [Deviated(kind=kind, step=event.step) for kind in kinds]
    return found + _edit(step, event)


def _edit(step: StepState, event: ev.AttemptStarted) -> list[Deviated]:
    """An edit, unless it is what a `fill` step asks for."""
    if event.source == step.step.source or "fill" in step.step.tags:
        return []
    return [Deviated(kind="edited", step=event.step, diff=diff(step.step.source, event.source))]


def diff(old: str, new: str) -> str:
    """A unified diff from the runbook's source to what ran."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "runbook", "run", lineterm="", n=3
    )
    return "\n".join(lines)


def consequences(state: RunState, decision: Decision) -> list[Deviated]:
    """The deviations that `decision`, an allowed one, leads to at once."""
    match decision:
        case decisions.Run(step=step):
            return _of_planned(state, "run", step, None)
        case decisions.Continue() | decisions.Retry():
            return _of_planned(state, name(decision), None, None)
        case decisions.Edit(source=source, step=step):
            return _of_planned(state, "edit", step, source)
        case decisions.Insert(source=source):
            return _of_planned(state, "insert", None, source)
        case decisions.Skip() | decisions.Done():
            return deviations_of(state, ev.Decided(operator=_NOBODY, decision=name(decision)))
        case decisions.Jump(step=step):
            jump = ev.Decided(operator=_NOBODY, decision="jump", step=step)
            return deviations_of(state, jump)
        case decisions.RestartKernel():
            return [Deviated(kind="kernel_restarted")]
    return []


_NOBODY = terms.Operator(uid=-1, name="", via="")


def _of_planned(
    state: RunState, decision: str, step: str | None, source: str | None
) -> list[Deviated]:
    planned = _attempt_for(state, decision, step, source)
    return deviations_of(state, attempt_started(state, planned))
