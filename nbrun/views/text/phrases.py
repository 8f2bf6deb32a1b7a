"""Events told in a few words, the same in every view."""

from datetime import datetime

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.approval import Awaited
from nbrun.core.deviations import diff
from nbrun.core.planner import NextAttempt, label, what_next
from nbrun.core.state import Phase, RunState, StepState
from nbrun.journal.history import LastTime

_BRIEF = 160  # characters of an error's text in the line that says how an attempt ended

OUTCOMES = {
    "ok": "ok",
    "error": "failed",
    "interrupted": "interrupted",
    "timed_out": "timed out",
    "kernel_died": "kernel died",
    "indeterminate": "indeterminate: started, and nobody saw it end",
}

DEVIATIONS = {
    "retried": "run again after it had not succeeded",
    "edited": "run with another source than the runbook's",
    "reran": "run again after it had succeeded",
    "out_of_order": "run while an earlier step had not succeeded",
    "skipped": "passed over",
    "inserted": "code that is not in the runbook was run",
    "kernel_restarted": "the kernel was restarted",
    "runbook_replaced": "the runbook's new version was taken",
}

STOPS = {
    "step_failed": "did not succeed",
    "kernel_died": "can't run: there is no kernel",
    "kernel_restarted": "is next, in a new kernel",
    "fill": "is for you to complete before it runs",
    "step_mode": "is next",
    "paused": "is next; paused",
    "returned": "is where the run stands",
    "moved": "is where you moved the run",
    "confirm": "asks to be confirmed",
    "manual": "is for a person to do; say done when it is",
    "approval": "needs the approval of another person",
    "indeterminate": "was started, and nobody saw it end",
}

FINDINGS = {
    "happened": "it happened",
    "did_not_happen": "it did not happen",
    "unknown": "nobody knows whether it happened",
}


def duration(seconds: float) -> str:
    """`0.4 s`, `1 min 05 s`, `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: int) -> str:
    """Bytes: `812 B`, `64.0 MiB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007  the last is for all beyond
        if amount < 1024:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def capped(event: ev.OutputCapped) -> str:
    """What of an attempt's output is not in the record."""
    what = "1 output" if event.outputs == 1 else f"{event.outputs} outputs"
    return (
        f"output past {size(event.limit)} is not kept: {what} of {size(event.bytes)} so far, with "
        f"the SHA-256 {event.sha256}"
    )


def clock(at: str) -> str:
    """The time of day of a record's `at`, in UTC: `09:31:04Z`."""
    return at[11:19] + "Z"


def moment(at: str) -> str:
    """A record's `at` to the second: `2026-11-23 09:31:04 UTC`."""
    return datetime.fromisoformat(at).isoformat(" ", "seconds")[:19] + " UTC"


def operator(who: model.Operator) -> str:
    return f"{who.name} (uid {who.uid}, {who.via})"


def step(state: RunState, id_: str) -> str:
    """`step 3 of 12 · Stop the service`, or `inserted cell`."""
    known = state.steps.get(id_)
    if known is None:
        return f"inserted cell {id_.removeprefix('inserted-')}"
    return f"step {known.step.number} of {len(state.steps)} · {known.step.title}"


def impact(state: RunState, id_: str) -> str:
    """What the runbook says that a step does to the world: `changes`, `destructive`, or nothing."""
    known = state.steps.get(id_)
    said = known.step.contract.impact if known else None
    return said if said in ("changes", "destructive") else ""


def last_time(last: LastTime) -> str:
    """`ok · 12.0 s on 2026-11-20`."""
    return f"{OUTCOMES[last.outcome]} · {duration(last.duration)} on {last.at[:10]}"


def is_expected(state: RunState, event: ev.AttemptFinished) -> bool:
    """Whether the runbook itself allows the error that the attempt ended in."""
    step = state.steps.get(event.step)
    return event.outcome == "error" and step is not None and step.succeeded


def finished(state: RunState, event: ev.AttemptFinished) -> str:
    """`failed · 1.2 s · ValueError: no such host`."""
    expected = " as the runbook allows" if is_expected(state, event) else ""
    parts = [OUTCOMES[event.outcome] + expected, duration(event.duration)]
    if event.outcome not in ("ok", "kernel_died") and event.ename:
        parts.append(error(event.ename, event.evalue or ""))
    if event.outcome == "ok" and event.shell_exit:
        parts.append(f"a shell command exited with {event.shell_exit}, which is allowed here")
    if event.ended_run:
        parts.append("the cell ended the run")
    return " · ".join(parts)


def error(ename: str, evalue: str) -> str:
    """`ValueError: no such host`, on one line."""
    if ename == "StdinNotImplementedError":  # ipykernel's words are about front ends
        return "the cell asks for input, and nobody is there to answer"
    return f"{ename}: {_brief(evalue)}" if evalue else ename


def again(state: RunState, step: str) -> str:
    """`once more in 5.0 s, as the runbook says (2 times left)`; empty when it is not run again."""
    following = what_next(state) if state.phase is Phase.READY and not state.rebuild else None
    if not isinstance(following, NextAttempt) or following.cause != "retry":
        return ""
    left = state.steps[step].retries_left
    when = f"in {duration(following.after)}" if following.after else "at once"
    return f"once more {when}, as the runbook says ({left} {'time' if left == 1 else 'times'} left)"


def stop(state: RunState, event: ev.Stopped) -> str:
    """`this step failed`, `this step is next; paused`, …"""
    current = state.current
    unfinished = current is not None and current.outcome not in (None, "ok")
    if (
        current
        and current.outcome
        and unfinished
        and event.reason in ("step_failed", "kernel_died")
    ):
        how = OUTCOMES[current.outcome]
        return f"this step {how if current.outcome == 'error' else f'was not finished: {how}'}"
    asked = f": {event.detail}" if event.reason == "confirm" and event.detail else ""
    if event.reason == "approval":
        asked = f", of the group {event.detail}" if event.detail else ""
        asked += f": nbrun approve {state.plan.run}"
    return f"this step {STOPS[event.reason]}{asked}"


def with_reason(text: str, reason: str) -> str:
    """Return `text (reason)`, or the text alone without a reason."""
    return f"{text} ({reason})" if reason else text


def settled(state: RunState, event: ev.AttemptSettled) -> str:
    """Return `step 3, attempt 1: it happened`."""
    return f"{label(state, event.step)}, attempt {event.attempt}: {FINDINGS[event.finding]}"


def interrupted(event: ev.RunInterrupted) -> str:
    if not event.cut:
        return event.why
    return f"{event.why}; a torn last line ({event.cut} bytes) was cut and is in {event.kept_in}"


def reattached(event: ev.KernelReattached) -> str:
    return (
        "the kernel is still there, with its variables; what it printed in the last "
        f"{duration(event.gap)} is lost"
    )


def lost_variables(event: ev.KernelRestarted) -> str:
    """What a new kernel lacks of the one before."""
    if event.lost is None:
        return "what the steps had made in the old kernel is lost, but for its setup steps"
    if not event.lost:
        return "nothing that the steps had made is lost: the setup steps make it again"
    return f"lost with the old kernel: {', '.join(event.lost)}"


def _brief(text: str) -> str:
    """The first line; the whole is among the outputs."""
    first, _, rest = text.strip().partition("\n")
    return first[:_BRIEF].rstrip() + (" …" if rest or len(first) > _BRIEF else "")


def deviation_and_reason(state: RunState, event: ev.Deviated) -> str:
    """Return `step 3 run again after it had not succeeded (the disk is free again)`."""
    return with_reason(deviation(state, event), event.reason)


def deviation(state: RunState, event: ev.Deviated) -> str:
    where = f"{label(state, event.step)} " if event.step and event.kind != "inserted" else ""
    return f"{where}{DEVIATIONS[event.kind]}"


def approval_subject(state: RunState, event: ev.ApprovalGranted | ev.ApprovalRejected) -> str:
    """Return what was approved or rejected: `step 3`, `skip step 3`, `insert`."""
    where = label(state, event.step) if event.step else ""
    return where if event.decision == "run" and where else f"{event.decision} {where}".strip()


def about(state: RunState, waiting: Awaited) -> str:
    """What waits for an approval, in a few words: a step's title; `retry step 3`."""
    known = state.steps.get(waiting.step or "")
    if state.proposal is None and known is not None:
        return known.step.title
    return f"{waiting.decision} {label(state, waiting.step) if waiting.step else ''}".strip()


def change(state: RunState, event: ev.DecisionProposed) -> str:
    """How the source that it sends differs from the runbook's; empty when it does not."""
    known = state.steps.get(event.step or "")
    return "" if event.source is None else diff(known.step.source if known else "", event.source)


def approval_needed(state: RunState, event: ev.DecisionProposed) -> str:
    """What a decision waits for: `it needs the approval of another person, of the group dba:
    nbrun approve …`."""
    group = f", of the group {event.group}" if event.group else ""
    kinds = ", ".join(kind.replace("_", " ") for kind in event.kinds)
    why = f" ({kinds})" if kinds else ""
    return f"it needs the approval of another person{group}{why}: nbrun approve {state.plan.run}"


def decision(state: RunState, event: ev.Decided | ev.DecisionProposed) -> str:
    """Return `retry step 3`: the decision, without its reason."""
    target = event.step or (state.stop.step if state.stop and event.decision in _ON_STEP else None)
    where = f" {label(state, target)}" if target else ""
    return f"{event.decision}{where}"


_ON_STEP = frozenset({"run", "done", "continue", "retry", "edit", "skip"})


def outcome(event: ev.RunFinished) -> str:
    """`completed, on script`; an end that is no completion is on nobody's script."""
    if event.off_script:
        return f"{event.outcome}, off script"
    return "completed, on script" if event.outcome == "completed" else event.outcome


_ENDED = {"completed": "was completed", "cancelled": "was cancelled", "failed": "failed"}


def not_run(state: RunState) -> list[StepState]:
    """The steps that no attempt was made of and that no person has done, in runbook order."""
    steps = (state.steps[id_] for id_ in state.order)
    return [step for step in steps if not step.attempts and not step.done]


def why_not_run(state: RunState, step: StepState) -> str:
    """The reason that a step was never run."""
    if step.declared_skip:
        return "not run: the runbook tags it skip-execution"
    if step.skipped:
        return "not run: skipped"
    if state.ended_by is not None:
        return f"not run: the runbook ended itself at {label(state, state.ended_by)}"
    if state.finished is not None:
        return f"not run: the run {_ENDED[state.finished.outcome]} before it"
    return "not run yet"
