"""Phrases for durations, sizes, times, steps, attempts and decisions, the same in every view.

The output notebook contains some of these texts: `DEVIATIONS`, `FINDINGS`, `run_outcome`,
`why_not_run`, `capped_output`, `interruption`, `reattachment` and what they are made of. `nbrun
verify` makes the notebook of an old record again and compares, so these texts must not change.
"""

import re
from datetime import datetime

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.approval import ApprovalRule, PendingApproval, approvals_of, rule_for
from nbrun.core.deviations import unified_diff
from nbrun.core.planner import NextAttempt, step_label, what_next
from nbrun.core.state import Phase, RunState, StepState
from nbrun.journal.history import LastAttempt
from nbrun.views.text.script_failures import script_failure

_MAX_ERROR_TEXT = 160  # characters of an error's text in the line that says how an attempt ended

OUTCOMES = {
    "ok": "ok",
    "error": "failed",
    "interrupted": "interrupted",
    "timed_out": "timed out",
    "kernel_died": "kernel died",
    "indeterminate": "indeterminate: started, and nobody saw it end",
}

DONE_BY_HAND = "done by hand"

_RAN_TO_END = ", but the cell ran to its end"

DEVIATIONS = {
    "retried": "run again after it had not succeeded",
    "edited": "run with another source than the runbook's",
    "reran": "run again after it had succeeded",
    "out_of_order": "run while an earlier step had not succeeded",
    "skipped": "passed over",
    "inserted": "code that is not in the runbook was run",
    "kernel_restarted": "the kernel was restarted",
    "runbook_replaced": "the runbook's new version was taken",
    "by_hand": "done by a person, not by the runbook's cell",
    "undone": "undone",
}

_STOP_REASONS = {
    "step_failed": "did not succeed",
    "kernel_died": "can't run: the kernel is dead",
    "kernel_restarted": "is next, in a new kernel",
    "fill": "needs to be completed before it runs: choose edit",
    "step_mode": "is next",
    "paused": "is next; the run is paused",
    "returned": "is next; the run has returned here",
    "undone": "is next; nothing runs until you decide",
    "moved": "is next; you moved the run here",
    "confirm": "asks for confirmation",
    "manual": "is done by hand: choose done when you have done it",
    "approval": "needs",
    "indeterminate": "was started, and nobody saw it end",
}

FINDINGS = {
    "happened": "it happened",
    "did_not_happen": "it did not happen",
    "unknown": "nobody knows whether it happened",
}


# ── numbers and times ────────────────────────────────────────────────────────────────────────


def duration(seconds: float) -> str:
    """Return `0.4 s`, `1 min 05 s` or `2 h 03 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: int) -> str:
    """Return a number of bytes as `812 B` or `64.0 MiB`."""
    amount, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):  # noqa: B007  the last unit is used after it
        if amount < 1024:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def time_of_day(at: str) -> str:
    """Return the time of day, in UTC, of a record's `at`: `09:31:04Z`."""
    return at[11:19] + "Z"


def timestamp(at: str) -> str:
    """Return a record's `at` to the second: `2026-11-23 09:31:04 UTC`."""
    return datetime.fromisoformat(at).isoformat(" ", "seconds")[:19] + " UTC"


# ── people and steps ─────────────────────────────────────────────────────────────────────────


def operator(who: model.Operator) -> str:
    """Return `ada (uid 1000, /dev/pts/7)`, or `ada via program (uid 1000, no terminal)`.

    The owner of a key may have no account: `bob (signed with SHA256:…)`.
    """
    uid = f"uid {who.uid}, " if who.uid >= 0 else ""
    return f"{who.label} ({uid}{who.via})"


def refusal(event: ev.DecisionRefused | ev.ConnectionRefused) -> str:
    """Return why something was refused, and how often so far if that is more than once."""
    return event.why if event.times == 1 else f"{event.why}; {event.times} times so far"


def step(state: RunState, id_: str) -> str:
    """Return `step 3 of 12 · Stop it`, `check of step 3 of 12 · Stop it` or `inserted cell 1`."""
    for kind, owners in (("check", state.checked), ("undo", state.undos)):
        if id_ in owners:
            return f"{kind} of {step(state, owners[id_].step.id)}"
    known = state.steps.get(id_)
    if known is None:
        return f"inserted cell {id_.removeprefix('inserted-')}"
    return f"step {known.step.number} of {len(state.steps)} · {known.step.title}"


def impact(state: RunState, id_: str) -> str:
    """Return the impact that the runbook declares: `changes`, `destructive`, or "" for others."""
    known = state.step_of(id_)
    declared = known.step.contract.impact if known else None
    return declared if declared in ("changes", "destructive") else ""


def last_time(last: LastAttempt) -> str:
    """Return `ok · 12.0 s on 2026-11-20`."""
    return f"{OUTCOMES[last.outcome]} · {duration(last.duration)} on {last.at[:10]}"


# ── attempts ─────────────────────────────────────────────────────────────────────────────────


def is_allowed_error(state: RunState, event: ev.AttemptFinished) -> bool:
    """Return True if the attempt failed with an error that the runbook allows."""
    step = state.step_of(event.step)
    return event.outcome == "error" and step is not None and step.succeeded


def attempt_result(state: RunState, event: ev.AttemptFinished) -> str:
    """Return `failed · 1.2 s · ValueError: no such host`."""
    allowed = " as the runbook allows" if is_allowed_error(state, event) else ""
    to_end = _RAN_TO_END if event.ran_to_end else ""
    outcome = _check_answer(event) or OUTCOMES[event.outcome] + allowed
    parts = [outcome + to_end, duration(event.duration)]
    if event.outcome not in ("ok", "kernel_died") and event.ename:
        parts.append(error_line(event.ename, event.evalue or "", _source(state, event)))
    if event.outcome == "ok" and event.shell_exit:
        parts.append(f"a shell command exited with {event.shell_exit}, which is allowed here")
    if event.outcome == "ok" and event.nested_error:
        parts.append(f"{_first_line(event.nested_error)}, which is allowed here")
    if event.ended_run:
        parts.append("the cell ended the run")
    return " · ".join(parts)


def _check_answer(event: ev.AttemptFinished) -> str:
    """Return what a check said, as `does not hold: failed`; "" for an attempt of a step."""
    if event.holds is None:
        return ""
    if event.holds or event.outcome == "ok":
        return "holds" if event.holds else "does not hold"
    said = "does not hold" if event.outcome == "error" else "says nothing"
    return f"{said}: {OUTCOMES[event.outcome]}"


def check_meaning(state: RunState, event: ev.AttemptFinished) -> str:
    """Return what the answer of a check means for its step; "" for an attempt of a step."""
    checked = state.checked.get(event.step)
    if checked is None:
        return ""
    where = f"step {checked.step.number}"
    if checked.already_done:
        return f"{where} is done already: it does not run"
    if checked.passed:
        return f"{where} has worked"
    following = what_next(state) if state.phase is Phase.READY else None
    if isinstance(following, NextAttempt) and following.cause == "check" and following.delay:
        return f"the check runs again in {duration(following.delay)}"
    return f"{where} has not worked" if checked.failed and checked.refuted else ""


def how_to_allow(event: ev.AttemptFinished) -> str:
    """Return how a runbook allows what this attempt failed by; "" for what always fails a step."""
    if event.outcome != "error" or event.ename is None or event.holds is not None:
        return ""
    if event.ename == "ShellError" and event.shell_exit:
        kind, name = "failed shell commands", "shell-errors"
    elif event.nested_error is not None and event.nested_error.startswith(event.ename):
        kind, name = "errors that a cell only shows", "nested-errors"
    else:
        return ""
    return f"to allow {kind}: tag the cell {name}-ok, or start with --{name} ignore"


def _source(state: RunState, event: ev.AttemptFinished) -> str:
    last = state.last_attempt
    is_last = last is not None and (last.step, last.attempt) == (event.step, event.attempt)
    return last.source if last is not None and is_last else ""


def error_line(ename: str, evalue: str, source: str = "") -> str:
    """Return `ValueError: no such host`, on one line, or for a script `bash exited with 2`.

    `source` is the cell's.
    """
    if ename == "StdinNotImplementedError":  # ipykernel's message talks about front ends
        return "the cell asks for input, and nobody is there to answer"
    if ename == "CalledProcessError":
        failure = script_failure(source, evalue)
        if failure:
            return failure
    if ename in _SYNTAX_ERRORS:
        evalue = _CELL_FILE.sub("", evalue)
    return f"{ename}: {_first_line(evalue)}" if evalue else ename


_SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")
# The file that IPython makes of a cell: `invalid syntax (3176723552.py, line 1)`.
_CELL_FILE = re.compile(r" \((?:\d+\.py|<ipython-input-[^>]*>), line \d+\)$")


def _first_line(text: str) -> str:
    """The first line, shortened; the whole text is among the outputs."""
    first, _, rest = text.strip().partition("\n")
    return first[:_MAX_ERROR_TEXT].rstrip() + (" …" if rest or len(first) > _MAX_ERROR_TEXT else "")


def next_retry(state: RunState, step: str) -> str:
    """Return `next attempt in 5.0 s: the runbook declares retries (2 left)`; "" without one."""
    following = what_next(state) if state.phase is Phase.READY and not state.setup_queue else None
    if not isinstance(following, NextAttempt) or following.cause != "retry":
        return ""
    left = state.steps[step].retries_left
    when = f"in {duration(following.delay)}" if following.delay else "at once"
    return f"next attempt {when}: the runbook declares retries ({left} left)"


def capped_output(event: ev.OutputCapped) -> str:
    """Return how much output of an attempt is not in the record."""
    what = "1 output" if event.outputs == 1 else f"{event.outputs} outputs"
    return (
        f"output past {size(event.limit)} is not kept: {what} of {size(event.bytes)} so far, with "
        f"the SHA-256 {event.sha256}"
    )


def finding(state: RunState, event: ev.AttemptSettled) -> str:
    """Return what an operator, or a check, found out: `step 3, attempt 1: it happened`."""
    by_check = ", as its check says" if event.by_check else ""
    where = f"{step_label(state, event.step)}, attempt {event.attempt}"
    return f"{where}: {FINDINGS[event.finding]}{by_check}"


# ── stops, decisions and approvals ───────────────────────────────────────────────────────────


def stop_reason(state: RunState, event: ev.Stopped) -> str:
    """Return `this step failed`, `this step is next; the run is paused`, …"""
    if event.reason in ("step_failed", "kernel_died"):
        unfinished = _unfinished(state)
        if unfinished:
            return unfinished
    detail = ""
    if event.reason == "confirm" and event.detail:
        detail = f": {event.detail}"
    if event.reason == "approval":
        rule = rule_for(state, state.current)
        detail = f" {_approval_of(rule, event.detail)}: nbrun approve {state.plan.run}"
    return f"this step {_STOP_REASONS[event.reason]}{detail}"


def _unfinished(state: RunState) -> str:
    current = state.current
    if current is not None and current.failed and current.refuted:
        who = "you have done this step" if current.done else "this step ran"
        return f"{who}, and its check does not hold"
    if current is None or current.outcome in (None, "ok"):
        return ""
    how = OUTCOMES[current.outcome]
    if current.ran_to_end:
        return f"this step {'was ' if how == 'interrupted' else ''}{how}{_RAN_TO_END}"
    return f"this step {how if current.outcome == 'error' else f'was not finished: {how}'}"


def decision(state: RunState, event: ev.Decided | ev.DecisionProposed) -> str:
    """Return `retry step 3`: the decision, without its reason."""
    if isinstance(event, ev.DecisionProposed) and event.handing is not None:
        return f"{event.decision}: {handing(event.handing)}"
    target = event.step or (state.stop.step if state.stop and event.decision in _ON_STEP else None)
    where = f" {step_label(state, target)}" if target else ""
    return f"{event.decision}{where}"


def handing(what: model.Handing) -> str:
    """Return what the approval of a handover allows."""
    who = f"{what.to} (uid {what.to_uid})"
    return f"{who} will operate this run, and act as {what.acts_as} through its kernel"


_ON_STEP = frozenset({"run", "done", "continue", "retry", "edit", "skip"})


def with_reason(text: str, reason: str) -> str:
    """Return `text (reason)`, or the text alone without a reason."""
    return f"{text} ({reason})" if reason else text


def deviation(state: RunState, event: ev.Deviated) -> str:
    """Return `step 3 run again after it had not succeeded`."""
    where = f"{step_label(state, event.step)} " if event.step and event.kind != "inserted" else ""
    return f"{where}{DEVIATIONS[event.kind]}"


def deviation_and_reason(state: RunState, event: ev.Deviated) -> str:
    """Return `step 3 run again after it had not succeeded (the disk is free again)`."""
    return with_reason(deviation(state, event), event.reason)


def proposed(state: RunState, event: ev.DecisionProposed) -> str:
    """Return `ada via program: retry step 3 (the disk is free again)`, and what it leads to."""
    kinds = "; ".join(DEVIATIONS[kind] for kind in event.kinds)
    leaves = f"\nthis takes the run off script: {kinds}" if kinds else ""
    what = with_reason(decision(state, event), event.reason)
    return f"{event.operator.label}: {what}{leaves}"


def approval_needed(state: RunState, event: ev.DecisionProposed) -> str:
    """Return what a decision waits for, with the command that approves it."""
    if event.operator.is_program:
        name = event.operator.name
        return f"{name} has to approve it: approve or reject, or nbrun approve {state.plan.run}"
    kinds = ", ".join(kind.replace("_", " ") for kind in event.kinds)
    why = f" ({kinds})" if kinds else ""
    rule = ApprovalRule(event.group, event.approvals, event.within)
    needed = _approval_of(rule, event.group)
    return f"it needs {needed}{why}: nbrun approve {state.plan.run}"


def _approval_of(rule: ApprovalRule, group: str) -> str:
    """Return `the approvals of 2 other people, of the group dba, each given at most …`."""
    whose = "approval of another person"
    if rule.count > 1:
        whose = f"approvals of {rule.count} other people"
    of = f", of the group {group}" if group else ""
    each = ", each" if rule.count > 1 else ","
    within = f"{each} given at most {duration(rule.within)} before" if rule.within else ""
    return f"the {whose}{of}{within}"


def approvals_so_far(state: RunState, waiting: PendingApproval | None) -> str:
    """Return `1 of 2 approvals, by bob; expires 2026-11-23 14:05 UTC`; "" if nobody has approved.

    The time is that of the approval that expires first.
    """
    found = approvals_of(state, waiting.binding) if waiting is not None else []
    if waiting is None or not found:
        return ""
    names = ", ".join(each.operator.name for each in found)
    until = min((each.until for each in found if each.until), default="")
    expires = f"; expires {until[:10]} {until[11:16]} UTC" if until else ""
    return f"{len(found)} of {waiting.rule.count} approvals, by {names}{expires}"


def approval_subject(
    state: RunState, event: ev.ApprovalGranted | ev.ApprovalExpired | ev.ApprovalRejected
) -> str:
    """Return what an approval or rejection is about: `step 3`, `skip step 3`, `insert`."""
    where = step_label(state, event.step) if event.step else ""
    return where if event.decision == "run" and where else f"{event.decision} {where}".strip()


def waiting_subject(state: RunState, waiting: PendingApproval) -> str:
    """Return what waits for an approval: a step's title, or `retry step 3`."""
    known = state.steps.get(waiting.step or "")
    if state.proposal is None and known is not None:
        return known.step.title
    if waiting.handing is not None:
        return f"{waiting.decision} to {waiting.handing.to}"
    return f"{waiting.decision} {step_label(state, waiting.step) if waiting.step else ''}".strip()


def source_diff(state: RunState, event: ev.DecisionProposed) -> str:
    """Return the unified diff from the runbook's source to the proposed one; "" without one."""
    known = state.steps.get(event.step or "")
    return (
        ""
        if event.source is None
        else unified_diff(known.step.source if known else "", event.source)
    )


# ── the kernel and the run ───────────────────────────────────────────────────────────────────


def interruption(event: ev.RunInterrupted) -> str:
    """Return why the run was interrupted, and where the torn last line of the journal is kept."""
    if not event.cut:
        return event.why
    return f"{event.why}; a torn last line ({event.cut} bytes) was cut and is in {event.kept_in}"


def reattachment(event: ev.KernelReattached) -> str:
    """Return what is left, and what is lost, of a kernel that survived an interruption.

    The output notebook contains this text: it must not change.
    """
    if event.buffered:
        return (
            f"the kernel can be reached again, after {duration(event.gap)}, with its variables; "
            "some of what it printed in that time may be lost"
        )
    return (
        "the kernel is still there, with its variables; what it printed in the last "
        f"{duration(event.gap)} is lost"
    )


def lost_variables(event: ev.KernelRestarted) -> str:
    """Return which variables the new kernel lacks."""
    if event.lost is None:
        return "the variables of the old kernel are lost, except those of the setup steps"
    if not event.lost:
        return "no variables are lost: the setup steps set all of them again"
    return f"lost with the old kernel: {', '.join(event.lost)}"


def run_outcome(event: ev.RunFinished) -> str:
    """Return `completed, on script`; only a completed run can be on script."""
    if event.off_script:
        return f"{event.outcome}, off script"
    return "completed, on script" if event.outcome == "completed" else event.outcome


_ENDED = {"completed": "was completed", "cancelled": "was cancelled", "failed": "failed"}


def never_run(state: RunState) -> list[StepState]:
    """Return the steps without an attempt that no person has done either, in runbook order."""
    steps = (state.steps[id_] for id_ in state.order)
    return [step for step in steps if not step.attempts and not step.done]


def why_not_run(state: RunState, step: StepState) -> str:
    """Return why a step was never run."""
    if step.declared_skip:
        return "not run: the runbook tags it skip-execution"
    if step.already_done:
        return "not run: its check found it done already"
    if step.skipped:
        return "not run: skipped"
    if state.ended_by is not None:
        return f"not run: the runbook ended itself at {step_label(state, state.ended_by)}"
    if state.finished is not None:
        return f"not run: the run {_ENDED[state.finished.outcome]} before it"
    return "not run yet"
