"""Builders of events and of whole records for tests: every field has a plain default."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from pathlib import Path
from typing import Any

import msgspec

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import AttemptCause, Event, Outcome, Record
from nbrun.core.model import Identity, Narration, Operator, Policy, Step
from nbrun.core.reducer import apply, check_transition
from nbrun.core.state import RunState
from nbrun.journal.codec import GENESIS, digest, encode
from nbrun.journal.writer import Clock, Journal

OPERATOR = Operator(uid=1000, name="ada", via="/dev/pts/7")
BEGAN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


# ── The plan ─────────────────────────────────────────────────────────────────────────────────


def operator(name: str = "ada", uid: int = 1000, via: str = "/dev/pts/7") -> Operator:
    return Operator(uid=uid, name=name, via=via)


def step(
    number: int = 1,
    tags: Iterable[str] = (),
    source: str | None = None,
    id: str | None = None,
    **fields: Any,
) -> Step:
    """Return step `number`, by default `s<number>` with the source `step_<number>()`."""
    return Step(
        id=f"s{number}" if id is None else id,
        number=number,
        source=f"step_{number}()" if source is None else source,
        tags=tuple(tags),
        **{"title": f"Step {number}"} | fields,
    )


def steps(many: int = 3, **tags: Iterable[str]) -> tuple[Step, ...]:
    """Return `many` steps `s1`, `s2`, …; `s2=["fill"]` gives one of them tags."""
    return tuple(step(number, tags.get(f"s{number}", ())) for number in range(1, many + 1))


def narration(
    source: str = "## Before", id: str = "m1", kind: Any = "markdown", **fields: Any
) -> Narration:
    return Narration(id=id, kind=kind, source=source, **fields)


def policy(**fields: Any) -> Policy:
    return Policy(**fields)


def run_started(
    steps: Iterable[Step] | int = 3, policy: Policy | None = None, **fields: Any
) -> ev.RunStarted:
    """Return the event. `steps` are steps, or how many plain ones."""
    plan = globals()["steps"](steps) if isinstance(steps, int) else tuple(steps)
    defaults: dict[str, Any] = {
        "run": "20261123-093000-restore-ab12",
        "runbook": "/srv/runbooks/restore.ipynb",
        "runbook_sha256": "0" * 64,
        "kernelspec": "python3",
        "cwd": "/srv/runbooks",
        "operator": OPERATOR,
        "host": "db1",
    }
    return ev.RunStarted(**defaults | fields, steps=plan, policy=policy or Policy())


# ── The kernel ───────────────────────────────────────────────────────────────────────────────


def kernel_started(generation: int = 1, **fields: Any) -> ev.KernelStarted:
    defaults: dict[str, Any] = {
        "kernelspec": "python3",
        "language": "python",
        "language_info": {"name": "python", "file_extension": ".py"},
        "implementation": "ipython",
    }
    return ev.KernelStarted(generation=generation, **defaults | fields)


def kernel_died(
    generation: int = 1, why: str = "the kernel process ended", *, may_run: bool = False
) -> ev.KernelDied:
    return ev.KernelDied(generation=generation, why=why, may_run=may_run)


def kernel_suspended(generation: int = 1, pid: int = 4711) -> ev.KernelSuspended:
    return ev.KernelSuspended(generation=generation, pid=pid)


def kernel_continued(generation: int = 1, pid: int = 4711) -> ev.KernelContinued:
    return ev.KernelContinued(generation=generation, pid=pid)


def background_ended(
    processes: Iterable[ev.ProcessLeft] = (ev.ProcessLeft(pid=4711, command="sleep 600"),),
    tasks: tuple[str, ...] = (),
    generation: int = 1,
) -> ev.BackgroundEnded:
    return ev.BackgroundEnded(generation=generation, processes=tuple(processes), tasks=tasks)


def kernel_unresponsive(
    silent: float = 10.0, cpu: float | None = 0.0, heartbeat: bool | None = True, **fields: Any
) -> ev.KernelUnresponsive:
    defaults: dict[str, Any] = {"generation": 1, "pid": 4711, "state": "sleeping"}
    return ev.KernelUnresponsive(silent=silent, cpu=cpu, heartbeat=heartbeat, **defaults | fields)


def kernel_responded(generation: int = 1, silent: float = 12.0) -> ev.KernelResponded:
    return ev.KernelResponded(generation=generation, silent=silent)


def interrupt_unheeded(generation: int = 1, waited: float = 5.0) -> ev.InterruptUnheeded:
    return ev.InterruptUnheeded(generation=generation, waited=waited)


def processes_left(
    step: str | None = "s1", attempt: int = 1, pid: int = 4712, **fields: Any
) -> ev.ProcessesLeft:
    left = (ev.ProcessLeft(pid=pid, command="sleep 600"),)
    return ev.ProcessesLeft(step=step, attempt=attempt, **{"processes": left} | fields)


def identity(who: str = "arn:aws:sts::1:assumed-role/dba/ada", **fields: Any) -> Identity:
    return Identity(**{"kind": "aws", "who": who, "until": "2026-11-23T10:31:04Z"} | fields)


def role_refreshed(generation: int = 1) -> ev.RoleRefreshed:
    return ev.RoleRefreshed(generation=generation, role="dba", identities=(identity(),))


def role_not_refreshed(why: str = "denied") -> ev.RoleNotRefreshed:
    return ev.RoleNotRefreshed(role="dba", why=why, until="2026-11-23T10:31:04Z")


def kernel_restarted(generation: int = 2, why: str = "") -> ev.KernelRestarted:
    return ev.KernelRestarted(generation=generation, kernelspec="python3", why=why)


def kernel_reattached(generation: int = 1, gap: float = 12.5) -> ev.KernelReattached:
    return ev.KernelReattached(generation=generation, gap=gap)


def kernel_disconnected(generation: int = 1, why: str = "reset") -> ev.KernelDisconnected:
    return ev.KernelDisconnected(generation=generation, why=why)


def gateway_failed(generation: int = 1, why: str = "HTTP 403") -> ev.GatewayFailed:
    return ev.GatewayFailed(generation=generation, action="interrupt the kernel", why=why)


def kernel_idle(generation: int = 1, told: str = "") -> ev.KernelIdle:
    return ev.KernelIdle(generation=generation, told=told)


def kernel_interrupted(
    generation: int = 1, why: str = "the operator pressed Ctrl-C", kill: bool = False
) -> ev.KernelInterrupted:
    return ev.KernelInterrupted(generation=generation, why=why, kill=kill)


# ── Attempts ─────────────────────────────────────────────────────────────────────────────────


def attempt_started(
    step: str = "s1",
    attempt: int = 1,
    source: str | None = None,
    edited: bool = False,
    cause: AttemptCause = "script",
) -> ev.AttemptStarted:
    return ev.AttemptStarted(
        step=step,
        attempt=attempt,
        source=f"step_{step.removeprefix('s')}()" if source is None else source,
        edited=edited,
        cause=cause,
    )


def attempt_finished(
    step: str = "s1",
    attempt: int = 1,
    outcome: Outcome = "ok",
    duration: float = 1.25,
    **fields: Any,
) -> ev.AttemptFinished:
    return ev.AttemptFinished(
        step=step, attempt=attempt, outcome=outcome, duration=duration, **fields
    )


def attempt_failed(step: str = "s1", attempt: int = 1, **fields: Any) -> ev.AttemptFinished:
    error: dict[str, Any] = {"ename": "ValueError", "evalue": "no such host"}
    return attempt_finished(step, attempt, "error", **error | fields)


def attempt_indeterminate(
    step: str = "s1", attempt: int = 1, why: str = "nbrun was killed"
) -> ev.AttemptIndeterminate:
    return ev.AttemptIndeterminate(step=step, attempt=attempt, why=why)


def attempt_settled(
    step: str = "s1",
    attempt: int = 1,
    finding: decisions.Settlement = "happened",
    by: Operator = OPERATOR,
    reason: str = "",
) -> ev.AttemptSettled:
    return ev.AttemptSettled(
        step=step, attempt=attempt, finding=finding, operator=by, reason=reason
    )


# ── Outputs and input ────────────────────────────────────────────────────────────────────────


def stream(text: str = "hello\n", name: str = "stdout") -> dict[str, Any]:
    """Return an nbformat stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def display(**data: Any) -> dict[str, Any]:
    """Return an nbformat display_data; `text_plain` stands for `text/plain`."""
    bundle = {mime.replace("_", "/", 1): value for mime, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def output(
    output: dict[str, Any] | str = "hello\n", step: str = "s1", attempt: int = 1, **fields: Any
) -> ev.Output:
    """Return the event. A `str` stands for a chunk of stdout."""
    return ev.Output(
        step=step,
        attempt=attempt,
        output=stream(output) if isinstance(output, str) else output,
        **fields,
    )


def output_updated(
    display_id: str = "d1",
    data: dict[str, Any] | None = None,
    step: str = "s1",
    attempt: int = 1,
    **fields: Any,
) -> ev.OutputUpdated:
    bundle = {"text/plain": "2 of 2"} if data is None else data
    return ev.OutputUpdated(
        step=step, attempt=attempt, display_id=display_id, data=bundle, **fields
    )


def output_cleared(
    wait: bool = False, step: str = "s1", attempt: int = 1, **fields: Any
) -> ev.OutputCleared:
    return ev.OutputCleared(step=step, attempt=attempt, wait=wait, **fields)


def widgets_changed(
    models: dict[str, Any] | None = None, step: str = "s1", attempt: int = 1, **fields: Any
) -> ev.WidgetsChanged:
    changed = {"m": {"value": 1}} if models is None else models
    return ev.WidgetsChanged(step=step, attempt=attempt, models=changed, **fields)


def input_requested(
    prompt: str = "host? ", password: bool = False, step: str = "s1", attempt: int = 1
) -> ev.InputRequested:
    return ev.InputRequested(step=step, attempt=attempt, prompt=prompt, password=password)


def input_answered(
    answer: str | None = "db2", step: str = "s1", attempt: int = 1, by: Operator = OPERATOR
) -> ev.InputAnswered:
    return ev.InputAnswered(step=step, attempt=attempt, operator=by, answer=answer)


# ── Stops and decisions ──────────────────────────────────────────────────────────────────────


def stopped(
    reason: ev.StopReason = "step_failed", step: str | None = "s1", detail: str = ""
) -> ev.Stopped:
    return ev.Stopped(reason=reason, step=step, detail=detail)


def resumed() -> ev.Resumed:
    return ev.Resumed()


def decided(
    decision: str = "retry",
    step: str | None = None,
    source: str | None = None,
    reason: str = "",
    by: Operator = OPERATOR,
) -> ev.Decided:
    return ev.Decided(operator=by, decision=decision, reason=reason, step=step, source=source)


def decision_refused(
    decision: str = "retry", why: str = "it has not failed", by: Operator = OPERATOR
) -> ev.DecisionRefused:
    return ev.DecisionRefused(operator=by, decision=decision, why=why)


def connection_refused(
    why: str = "it belongs to the run's kernel", by: Operator = OPERATOR, times: int = 1
) -> ev.ConnectionRefused:
    return ev.ConnectionRefused(operator=by, why=why, times=times)


def deviated(
    kind: model.DeviationKind = "retried", step: str | None = "s1", diff: str = "", reason: str = ""
) -> ev.Deviated:
    return ev.Deviated(kind=kind, step=step, diff=diff, reason=reason)


def approval_granted(
    step: str | None = "s1", binding: str = "b" * 64, by: Operator | None = None, **fields: Any
) -> ev.ApprovalGranted:
    who = by or operator("grace", 1001, "socket")
    return ev.ApprovalGranted(
        operator=who, step=step, group=fields.pop("group", ""), binding=binding, **fields
    )


def approval_expired(
    step: str | None = "s1", binding: str = "b" * 64, decision: str = "run"
) -> ev.ApprovalExpired:
    who = operator("grace", 1001, "socket")
    return ev.ApprovalExpired(approver=who, step=step, binding=binding, decision=decision)


def approval_rejected(
    step: str | None = "s1", reason: str = "not tonight", decision: str = "run"
) -> ev.ApprovalRejected:
    who = operator("grace", 1001, "socket")
    return ev.ApprovalRejected(operator=who, step=step, reason=reason, decision=decision)


def decision_proposed(
    decision: str = "skip",
    step: str | None = "s1",
    source: str | None = None,
    by: Operator = OPERATOR,
    **fields: Any,
) -> ev.DecisionProposed:
    kinds = fields.pop("kinds", ("skipped",))
    return ev.DecisionProposed(
        operator=by, decision=decision, step=step, source=source, kinds=kinds, **fields
    )


def handover_offered(to: str = "grace", by: Operator = OPERATOR) -> ev.HandoverOffered:
    return ev.HandoverOffered(operator=by, to=to, to_uid=1001, reason="my shift ends")


def handover_accepted(by: Operator | None = None) -> ev.HandoverAccepted:
    return ev.HandoverAccepted(operator=by or operator("grace", 1001))


def handover_withdrawn(by: Operator = OPERATOR) -> ev.HandoverWithdrawn:
    return ev.HandoverWithdrawn(operator=by)


def note_added(text: str = "called the on-call", by: Operator = OPERATOR) -> ev.NoteAdded:
    return ev.NoteAdded(operator=by, text=text)


def operator_attached(by: Operator = OPERATOR) -> ev.OperatorAttached:
    return ev.OperatorAttached(operator=by)


def operator_detached(
    by: Operator = OPERATOR, why: str = "the terminal was lost"
) -> ev.OperatorDetached:
    return ev.OperatorDetached(operator=by, why=why)


def run_interrupted(why: str = "nbrun was killed", **fields: Any) -> ev.RunInterrupted:
    return ev.RunInterrupted(why=why, **fields)


def run_resumed(by: Operator = OPERATOR, **fields: Any) -> ev.RunResumed:
    return ev.RunResumed(operator=by, host="db1", **fields)


def runbook_replaced(
    plan: Iterable[Step] | int = 3, diff: str = "-a\n+b", by: Operator = OPERATOR
) -> ev.RunbookReplaced:
    """Return the event. `plan` is steps, or how many plain ones."""
    return ev.RunbookReplaced(
        operator=by,
        runbook_sha256="1" * 64,
        steps=steps(plan) if isinstance(plan, int) else tuple(plan),
        diff=diff,
    )


def run_finished(
    outcome: ev.RunOutcome = "completed", off_script: bool = False, **fields: Any
) -> ev.RunFinished:
    defaults: dict[str, Any] = {
        "counts": {"attempts": 3, "steps": 3, "ok": 3, "failed": 0, "skipped": 0, "not_run": 0},
        "duration": 61.5,
        "why": "every step was passed",
    }
    return ev.RunFinished(outcome=outcome, off_script=off_script, **defaults | fields)


# ── Events about the record and its outputs ──────────────────────────────────────────────────


def output_capped(step: str = "s1", attempt: int = 1, **fields: Any) -> ev.OutputCapped:
    defaults: dict[str, Any] = {"limit": 1000, "outputs": 2, "bytes": 5000, "sha256": "0" * 64}
    return ev.OutputCapped(step=step, attempt=attempt, **defaults | fields)


def seal_failed(upto: int = 1, why: str = "the agent is gone") -> ev.SealFailed:
    return ev.SealFailed(upto=upto, why=why)


def index_failed(why: str = "/srv/runs/index-1000.jsonl: No space left on device") -> Event:
    return ev.IndexFailed(why=why)


def forwarding_failed(
    target: str = "syslog", since: int = 1, why: str = "no such socket"
) -> ev.ForwardingFailed:
    return ev.ForwardingFailed(target=target, since=since, why=why)


def trace_failed(
    target: str = "http://otel:4318/v1/traces", why: str = "Connection refused"
) -> ev.TraceFailed:
    return ev.TraceFailed(target=target, why=why)


def forwarding_resumed(target: str = "syslog", upto: int = 2) -> ev.ForwardingResumed:
    return ev.ForwardingResumed(target=target, upto=upto)


def notification_sent(
    on: model.Occasion = "stopped", about: int = 4, target: str = "page-me"
) -> ev.NotificationSent:
    return ev.NotificationSent(on=on, about=about, target=target)


def notification_failed(
    on: model.Occasion = "stopped", about: int = 4, target: str = "page-me", why: str = "exit 1"
) -> ev.NotificationFailed:
    return ev.NotificationFailed(on=on, about=about, target=target, why=why)


# ── Many at once ─────────────────────────────────────────────────────────────────────────────


def begun(plan: Iterable[Step] | int = 3, policy: Policy | None = None) -> list[Event]:
    """Return the first events of every run: the plan and a kernel."""
    return [run_started(plan, policy), kernel_started()]


def attempted(step: str = "s1", attempt: int = 1, outcome: Outcome = "ok") -> list[Event]:
    """Return the events of a whole attempt by the script."""
    return [attempt_started(step, attempt), attempt_finished(step, attempt, outcome)]


def crashed(*, running: str | None = None, attempt: int = 1) -> list[Event]:
    """Return the events that the next command records for a run whose process died."""
    unseen = [attempt_indeterminate(running, attempt)] if running else []
    return [*unseen, run_interrupted()]


def uneventful(many: int = 3) -> list[Event]:
    """Return a complete run of `many` steps without deviations."""
    attempts = [event for number in range(1, many + 1) for event in attempted(f"s{number}")]
    return [*begun(many), *attempts, run_finished()]


def with_deviations(events: Iterable[Event]) -> list[Event]:
    """Return `events` as an engine records them, each followed by the deviations that it implies.

    Raises:
        IllegalEventError: an event is illegal in its state.
    """
    state, recorded = RunState(), []
    for event in events:
        check_transition(state, event)
        for each in (event, *deviations_of(state, event)):
            apply(state, each)
            recorded.append(each)
    return recorded


# ── Records ──────────────────────────────────────────────────────────────────────────────────


def clock(step: float = 1.0) -> Clock:
    """Return a clock that advances by `step` seconds from each line of a journal to the next.

    The journal's first look at the monotonic clock is at the time of its first line.
    """
    ticks = chain((0,), count())
    walls = count()
    return Clock(
        now=lambda: BEGAN + timedelta(seconds=step * next(walls)),
        monotonic=lambda: step * next(ticks),
    )


def record(event: Event, seq: int = 0, prev: str = GENESIS, at: datetime | None = None) -> Record:
    moment = at or BEGAN + timedelta(seconds=seq)
    made = Record(
        seq=seq,
        at=moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        mono=float(seq),
        event=event,
        prev=prev,
        hash="",
    )
    return msgspec.structs.replace(made, hash=digest(encode(made)))


def records(events: Sequence[Event] | Iterable[Event]) -> list[Record]:
    """Return `events` as a journal stamps them: chained, one second apart."""
    recorded: list[Record] = []
    prev = GENESIS
    for seq, event in enumerate(events):
        recorded.append(record(event, seq, prev))
        prev = recorded[-1].hash
    return recorded


def write(path: Path, events: Iterable[Event]) -> Path:
    """Write a journal of `events` to `path`, stamped by `clock()`."""
    journal = Journal.create(path, clock())
    journal.append(list(events), sync=False)
    journal.close()
    return path


Build = Callable[..., Event]
BUILDERS: tuple[Build, ...] = (
    run_started,
    kernel_started,
    kernel_died,
    kernel_restarted,
    kernel_reattached,
    kernel_idle,
    kernel_interrupted,
    attempt_started,
    output,
    output_updated,
    output_cleared,
    input_requested,
    input_answered,
    attempt_finished,
    attempt_indeterminate,
    attempt_settled,
    stopped,
    resumed,
    decided,
    decision_refused,
    connection_refused,
    deviated,
    operator_attached,
    operator_detached,
    run_interrupted,
    run_resumed,
    runbook_replaced,
    approval_granted,
    approval_expired,
    approval_rejected,
    decision_proposed,
    handover_offered,
    handover_accepted,
    handover_withdrawn,
    note_added,
    run_finished,
    output_capped,
    seal_failed,
    index_failed,
    forwarding_failed,
    trace_failed,
    forwarding_resumed,
    kernel_suspended,
    kernel_continued,
    widgets_changed,
    kernel_unresponsive,
    kernel_responded,
    interrupt_unheeded,
    processes_left,
    background_ended,
    role_refreshed,
    role_not_refreshed,
    kernel_disconnected,
    gateway_failed,
    notification_sent,
    notification_failed,
)  # one for each type of event
