"""Tests of the run loop, with a scripted kernel and a real journal file."""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.decisions import Decision
from nbrun.core.events import Event, Record
from nbrun.core.model import Operator, Policy, Step
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.reducer import fold_records
from nbrun.engine import kernel_controller
from nbrun.engine.engine import Engine, Inbox, SubmittedDecision
from nbrun.errors import JournalError, KernelError
from nbrun.journal import writer as journal_module
from nbrun.journal.reader import JournalReader
from nbrun.journal.writer import Journal
from nbrun.kernel.lazy_text import LazyText
from nbrun.kernel.messages import (
    Died,
    Disconnected,
    Displayed,
    GatewayTrouble,
    Idled,
    InputWanted,
    KernelInfo,
    LongTextPrinted,
    Message,
    Reconnected,
    Replied,
    ReplyLost,
    Sink,
    TextPrinted,
)
from nbrun.kernel.output_limit import OutputLimiter
from tests.support.build_events import (
    OPERATOR,
    display,
    operator,
    policy,
    run_started,
    step,
    steps,
    stream,
)
from tests.support.engine_driver import comparable

MakeMessage = Callable[[str], Message]  # makes the message about a request


def ok(**fields: Any) -> MakeMessage:
    return lambda request: Replied(request=request, **{"status": "ok"} | fields)


def error(ename: str = "ValueError", evalue: str = "no such host") -> MakeMessage:
    return ok(status="error", ename=ename, evalue=evalue)


def prints(text: str) -> MakeMessage:
    return lambda request: TextPrinted(request=request, name="stdout", text=text)


def prints_much(text: str) -> MakeMessage:
    long = LazyText(memoryview(msgspec.json.encode(text)))
    return lambda request: LongTextPrinted(request=request, name="stdout", text=long)


def shows(text: str) -> MakeMessage:
    return lambda request: Displayed(request=request, output=display(text_plain=text))


def asks(prompt: str = "host? ", password: bool = False) -> MakeMessage:
    return lambda request: InputWanted(request=request, prompt=prompt, password=password)


def dies(generation: int = 1) -> MakeMessage:
    return lambda _request: Died(generation=generation, why="ended by SIGKILL")


class FakeKernel:
    """A scripted `messages.Kernel`: `cells` maps a source to the messages of its attempts."""

    def __init__(self, cells: dict[str, list[list[MakeMessage]]]) -> None:
        self.cells = {source: list(turns) for source, turns in cells.items()}
        self.calls: list[str] = []
        self.sources: list[str] = []
        self.answers: list[str] = []
        self.generation = 0
        self.request = ""
        self.sink: Sink
        self.fails_to_start: set[int] = set()
        self.on_interrupt: list[MakeMessage] = [error("KeyboardInterrupt", "")]
        self.on_answer: list[MakeMessage] = [ok()]
        self.on_start: Callable[[], None] = lambda: None
        self.on_execute: Callable[[str], None] = lambda _source: None
        self.on_shutdown: Callable[[], None] = lambda: None

    def start(self, give_up: Callable[[], bool]) -> KernelInfo:
        self.calls.append("start")
        self.gave_up = give_up()
        self.generation += 1
        self.on_start()
        if self.generation in self.fails_to_start:
            raise KernelError("the kernel 'python3' did not start")
        return KernelInfo(
            generation=self.generation,
            kernelspec="python3",
            language="python",
            language_info={},
            implementation="ipython",
        )

    def execute(self, source: str) -> str:
        self.calls.append("execute")
        self.on_execute(source)
        self.sources.append(source)
        self.request = f"r{len(self.sources)}"
        turns = self.cells.get(source) or [[ok()]]
        self.say(turns.pop(0))
        return self.request

    def say(self, what: list[MakeMessage]) -> None:
        for each in what:
            self.sink(each(self.request))

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        self.say(self.on_interrupt)

    def kill(self) -> None:
        self.calls.append("kill")
        self.say([dies(self.generation)])

    def answer(self, text: str) -> None:
        self.calls.append("answer")
        self.answers.append(text)
        self.say(self.on_answer)

    def shutdown(self) -> None:
        self.calls.append("shutdown")
        self.on_shutdown()


class EngineRun:
    """One run: the operator makes the next of `decisions` at each stop, then cancels."""

    def __init__(
        self, folder: Path, *decisions: Decision, cells: Any = None, secrets: Any = None
    ) -> None:
        self.path = folder / "journal.jsonl"
        inbox: Inbox = queue.SimpleQueue()
        limiter = OutputLimiter(inbox.put)
        self.kernel = FakeKernel(cells or {})
        self.kernel.sink = limiter
        self.decisions = list(decisions)
        self.when: dict[type[Event], list[Decision]] = {}
        self.records: list[Record] = []
        self.published: list[Sequence[Record]] = []
        self.saved: list[tuple[int, ev.RunFinished | None]] = []
        self.losses: list[JournalError] = []
        self.run_with: tuple[Step, ...] = ()
        self.on_publish: Callable[[Record], None] = lambda _record: None
        self.engine = Engine(
            Journal.create(self.path),
            inbox=inbox,
            kernel=self.kernel,
            output_limiter=limiter,
            publish=self.publish,
            save_notebook=self.save,
            on_journal_error=self.losses.append,
            redaction=Redaction(secrets),
        )

    def save(self, end: ev.RunFinished | None) -> str | None:
        self.saved.append((len(self.records), end))
        return "f" * 64

    def submit(self, decision: Decision, by: Operator = OPERATOR) -> None:
        self.engine.inbox.put(SubmittedDecision(decision, by))

    def publish(self, records: Sequence[Record]) -> None:
        self.records += records
        self.published.append(records)
        for record in records:
            self.on_publish(record)
            if isinstance(record.event, ev.Stopped):
                self.submit(self.decisions.pop(0) if self.decisions else decisions.Cancel())
            for decision in self.when.pop(type(record.event), []):
                self.submit(decision)

    def run(self, plan: tuple[Step, ...] | int = 2, rules: Policy | None = None) -> list[str]:
        """Run the plan; return what happened after the kernel had started, one line an event."""
        try:
            self.engine.run(run_started(plan, rules))
        finally:
            assert list(JournalReader(self.path))[: len(self.records)] == self.records
        assert comparable(fold_records(self.records)) == comparable(self.engine.state)
        return [line for each in self.events if (line := brief(each))][1:]

    @property
    def events(self) -> list[Event]:
        return [record.event for record in self.records]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def brief(event: Event) -> str:
    """Return an event as one line."""
    match event:
        case ev.RunStarted():
            return ""
        case ev.AttemptStarted(step=id_, attempt=number):
            return f"{id_}/{number} {event.source}"
        case ev.AttemptFinished(step=id_, attempt=number, outcome=outcome):
            return f"{id_}/{number} {outcome}"
        case ev.Output(output=output, late=late):
            return f"{'late ' if late else ''}{output.get('text') or output['output_type']}"
        case ev.Stopped(reason=reason, step=id_):
            return f"stopped {reason} {id_}"
        case ev.Decided(decision=decision) | ev.DecisionRefused(decision=decision):
            return f"{type(event).__name__.lower()} {decision}"
        case ev.Deviated(kind=kind, step=id_):
            return f"deviation {kind} {id_}"
        case ev.InputAnswered(answer=answer):
            return f"answered {answer}"
        case ev.RunFinished(outcome=outcome, off_script=off):
            return f"{outcome}{' off script' if off else ''}"
    return str(event.__struct_config__.tag)


FAILING = {"step_1()": [[error()]]}


# ── Order of disk and kernel ──────────────────────────────────────────────────────────────────


class Syncs:
    """Records how much of the journal each sync had on disk; `fails_at` makes syncs fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.fails_at = lambda _last: False
        self.path: Path
        monkeypatch.setattr(journal_module, "sync_file", self.sync)

    def sync(self, fd: int) -> None:
        if self.fails_at(list(JournalReader(self.path))[-1].event):
            raise OSError(5, "Input/output error")
        self.sizes.append(os.fstat(fd).st_size)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Syncs:
    return Syncs(monkeypatch)


def test_attempt_is_on_disk_before_kernel_gets_code(tmp_path: Path, syncs: Syncs) -> None:
    stage = EngineRun(tmp_path, decisions.Edit(source="other()"), cells=FAILING)
    syncs.path = stage.path
    seen = []

    def on_execute(source: str) -> None:
        whole = list(JournalReader(stage.path))
        started = [each.event for each in whole if isinstance(each.event, ev.AttemptStarted)][-1]
        assert started.source == source
        assert syncs.sizes[-1] == stage.path.stat().st_size
        seen.append(started)

    stage.kernel.on_execute = on_execute
    stage.run(2)
    assert [each.source for each in seen] == ["step_1()", "other()", "step_2()"]


@pytest.mark.parametrize("number", [1, 2])
def test_code_is_not_sent_when_sync_fails(tmp_path: Path, syncs: Syncs, number: int) -> None:
    stage = EngineRun(tmp_path)
    syncs.path = stage.path
    syncs.fails_at = lambda last: isinstance(last, ev.AttemptStarted) and last.step == f"s{number}"
    with pytest.raises(JournalError, match="Input/output error"):
        stage.run(2)
    assert stage.kernel.calls == ["start", *["execute"] * (number - 1), "interrupt", "shutdown"]


@pytest.mark.parametrize("kind", [ev.AttemptFinished, ev.Stopped, ev.Decided])
def test_journal_error_interrupts_and_shuts_down_kernel(
    tmp_path: Path, syncs: Syncs, kind: type[Event]
) -> None:
    stage = EngineRun(tmp_path, decisions.Retry(), cells=FAILING)
    syncs.path = stage.path
    syncs.fails_at = lambda last: isinstance(last, kind)
    with pytest.raises(JournalError):
        stage.run(2)
    assert stage.kernel.calls == ["start", "execute", "interrupt", "shutdown"]


def test_journal_error_is_reported_before_kernel_shutdown(tmp_path: Path, syncs: Syncs) -> None:
    stage = EngineRun(tmp_path)
    syncs.path = stage.path
    syncs.fails_at = lambda last: isinstance(last, ev.AttemptFinished)
    told_before: list[int] = []
    stage.kernel.on_shutdown = lambda: told_before.append(len(stage.losses))
    with pytest.raises(JournalError) as raised:
        stage.run(2)
    assert told_before[0] == 1
    assert stage.losses == [raised.value]
    assert "Not recorded: how step 1, attempt 1 ended" in str(raised.value)
    assert "The kernel is ended, and its variables are lost" in str(raised.value)
    assert str(raised.value).endswith(f"nbrun resume {stage.engine.state.plan.run}")


def test_no_kernel_starts_when_first_event_fails(tmp_path: Path, syncs: Syncs) -> None:
    stage = EngineRun(tmp_path)
    syncs.path = stage.path
    syncs.fails_at = lambda last: isinstance(last, ev.RunStarted)
    with pytest.raises(JournalError):
        stage.run()
    assert "start" not in stage.kernel.calls


def test_events_that_people_act_on_are_synced(tmp_path: Path, syncs: Syncs) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="seen"), cells=FAILING)
    syncs.path = stage.path
    stage.on_publish = lambda record: (
        stage.submit(decisions.Cancel()) if isinstance(record.event, ev.NoteAdded) else None
    )
    acted_on = (
        ev.RunStarted,
        ev.AttemptStarted,
        ev.AttemptFinished,
        ev.Stopped,
        ev.Decided,
        ev.NoteAdded,
        ev.RunFinished,
    )
    stage.run(1)
    ends, size = {}, 0
    for line, event in zip(
        stage.path.read_bytes().splitlines(keepends=True), stage.events, strict=True
    ):
        size += len(line)
        ends[size] = event
    for kind in acted_on:
        at = [size for size, event in ends.items() if isinstance(event, kind)]
        assert at
        assert {*at} <= {*syncs.sizes}, kind


# ── On script ────────────────────────────────────────────────────────────────────────────────


def test_run_executes_every_step_in_order(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[prints("hello"), shows("3"), ok()]]})
    assert stage.run(2) == [
        "s1/1 step_1()",
        "hello",
        "display_data",
        "s1/1 ok",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed",
    ]
    assert stage.kernel.calls == ["start", "execute", "execute", "shutdown", "shutdown"]


def test_queued_outputs_are_recorded_in_one_batch_in_order(
    tmp_path: Path,
) -> None:
    shown = [shows(str(number)) for number in range(100)]
    said = [*shown[:50], prints("a\n"), *shown[50:], ok()]
    stage = EngineRun(tmp_path, cells={"step_1()": [said]})
    stage.run(1)
    outputs = [event.output for event in stage.of(ev.Output)]
    texts = [each.get("text") or each["data"]["text/plain"] for each in outputs]
    numbers = [str(number) for number in range(100)]
    assert texts == [*numbers[:50], "a\n", *numbers[50:]]
    pieces = [len(batch) for batch in stage.published if isinstance(batch[0].event, ev.Output)]
    assert sum(pieces) == len(outputs)
    assert len(pieces) < 10


def test_very_long_text_is_recorded_in_pieces(tmp_path: Path) -> None:
    text = "é\n" * 10**6
    stage = EngineRun(
        tmp_path, cells={"step_1()": [[prints("before\n"), prints_much(text), prints("z"), ok()]]}
    )
    stage.run(1)
    texts = [each.output["text"] for each in stage.of(ev.Output)]
    assert "".join(texts) == f"before\n{text}z"
    assert max(map(len, texts)) < len(text)


def test_run_finished_has_counts(tmp_path: Path) -> None:
    plan = steps(5, s4=["skip-execution"])
    stage = EngineRun(
        tmp_path,
        decisions.Skip(),
        decisions.Insert(source="look()"),
        cells={"step_2()": [[error()]]},
    )
    stage.when[ev.AttemptStarted] = []
    stage.kernel.cells["step_3()"] = [[error()]]
    stage.run(plan)
    (end,) = stage.of(ev.RunFinished)
    assert end.counts == {
        "attempts": 4,
        "steps": 5,
        "ok": 1,
        "failed": 1,
        "skipped": 1,
        "not_run": 2,
    }
    assert end.notebook_sha256 == "f" * 64
    assert end.duration >= 0


def test_notebook_is_saved_at_start_stops_and_end(
    tmp_path: Path,
) -> None:
    stage = EngineRun(tmp_path, decisions.Retry(), cells={"step_3()": [[error()]]})
    stage.run(20)
    before_end = len(stage.records) - 1
    (stop_at,) = [n for n, event in enumerate(stage.events, 1) if isinstance(event, ev.Stopped)]
    assert [count for count, _ in stage.saved] == [1, stop_at, before_end]
    end = stage.saved[-1][1]
    assert end is not None
    assert (end.outcome, end.off_script, end.notebook_sha256) == ("completed", True, None)


def test_record_times_never_go_back(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path)
    stage.run(3)
    times = [record.mono for record in stage.records]
    assert times == sorted(times)
    assert all(each.duration >= 0 for each in stage.of(ev.AttemptFinished))


@pytest.mark.parametrize(
    ("rules", "tags", "outcome"),
    [
        ({}, (), "error"),
        ({"shell_errors": "ignore"}, (), "ok"),
        ({}, ("shell-errors-ok",), "ok"),
    ],
)
def test_failing_shell_command_fails_step_unless_excused(
    tmp_path: Path, rules: dict[str, Any], tags: tuple[str, ...], outcome: str
) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[ok(shell_exits=(0, 7))]]})
    stage.run((step(1, tags),), policy(**rules))
    (finished,) = stage.of(ev.AttemptFinished)
    assert (finished.outcome, finished.shell_exit) == (outcome, 7)


def test_exit_in_cell_ends_run(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[error("SystemExit", "0")]]})
    assert stage.run(3) == ["s1/1 step_1()", "s1/1 ok", "completed"]
    assert "step 1" in stage.of(ev.RunFinished)[0].why


def test_reply_to_unknown_request_is_ignored(tmp_path: Path) -> None:
    stray: MakeMessage = lambda _request: Replied(request="not ours", status="error")  # noqa: E731
    stage = EngineRun(tmp_path, cells={"step_1()": [[stray, ok()]]})
    assert stage.run(1) == ["s1/1 step_1()", "s1/1 ok", "completed"]


# ── Decisions ────────────────────────────────────────────────────────────────────────────────


def after_failure(*rest: str) -> list[str]:
    return ["s1/1 step_1()", "s1/1 error", "stopped step_failed s1", *rest]


def test_failed_step_is_retried_on_decision(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Retry(reason="the replica was behind"), cells=FAILING)
    assert stage.run(1) == after_failure(
        "decided retry",
        "resumed",
        "s1/2 step_1()",
        "deviation retried s1",
        "s1/2 ok",
        "completed off script",
    )
    assert stage.of(ev.Deviated)[0].reason == "the replica was behind"


def test_edited_step_is_retried_with_edit(tmp_path: Path) -> None:
    cells = {**FAILING, "other()": [[error()], [ok()]]}
    stage = EngineRun(tmp_path, decisions.Edit(source="other()"), decisions.Retry(), cells=cells)
    assert stage.run(1) == after_failure(
        "decided edit",
        "resumed",
        "s1/2 other()",
        "deviation retried s1",
        "deviation edited s1",
        "s1/2 error",
        "stopped step_failed s1",
        "decided retry",
        "resumed",
        "s1/3 other()",
        "deviation retried s1",
        "deviation edited s1",
        "s1/3 ok",
        "completed off script",
    )


def test_failed_step_is_skipped_on_decision(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Skip(), cells=FAILING)
    assert stage.run(2) == after_failure(
        "decided skip",
        "deviation skipped s1",
        "resumed",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed off script",
    )


def test_run_returns_after_another_step(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Run(step="s2"), decisions.Retry(), cells=FAILING)
    assert stage.run(2) == after_failure(
        "decided run",
        "resumed",
        "s2/1 step_2()",
        "deviation out_of_order s2",
        "s2/1 ok",
        "stopped returned s1",
        "decided retry",
        "resumed",
        "s1/2 step_1()",
        "deviation retried s1",
        "s1/2 ok",
        "completed off script",
    )


def test_run_returns_after_inserted_cell(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Insert(source="look()"), decisions.Retry(), cells=FAILING)
    assert stage.run(1)[3:8] == [
        "decided insert",
        "resumed",
        "inserted-1/1 look()",
        "deviation inserted inserted-1",
        "inserted-1/1 ok",
    ]
    assert stage.kernel.sources == ["step_1()", "look()", "step_1()"]


def test_restart_reruns_setup_steps(tmp_path: Path) -> None:
    plan = steps(3, s1=["setup"])
    cells = {"step_3()": [[error()], [ok()]]}
    stage = EngineRun(
        tmp_path, decisions.RestartKernel(reason="stuck"), decisions.Retry(), cells=cells
    )
    assert stage.run(plan)[6:] == [
        "stopped step_failed s3",
        "decided restart",
        "resumed",
        "kernel.restarted",
        "deviation kernel_restarted None",
        "s1/2 step_1()",
        "s1/2 ok",
        "stopped kernel_restarted s3",
        "decided retry",
        "resumed",
        "s3/2 step_3()",
        "deviation retried s3",
        "s3/2 ok",
        "completed off script",
    ]
    assert stage.of(ev.KernelRestarted)[0] == ev.KernelRestarted(
        generation=2, kernelspec="python3", why="stuck", lost=()
    )


def test_jump_runs_nothing(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Jump(step="s3"), decisions.Run(), cells=FAILING)
    assert stage.run(3) == after_failure(
        "decided jump",
        "deviation skipped s1",
        "deviation skipped s2",
        "resumed",
        "stopped moved s3",
        "decided run",
        "resumed",
        "s3/1 step_3()",
        "s3/1 ok",
        "completed off script",
    )


def test_run_is_cancelled_at_stop(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Cancel(reason="wrong cluster"), cells=FAILING)
    assert stage.run(2) == after_failure("decided cancel", "resumed", "cancelled")
    assert stage.of(ev.Decided)[0].reason == "wrong cluster"
    assert stage.of(ev.Decided)[0].operator == OPERATOR


def test_note_is_recorded_and_stop_continues(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="called the on-call"), cells=FAILING)
    stage.when[ev.NoteAdded] = [decisions.Cancel()]
    assert stage.run(1) == after_failure("note.added", "decided cancel", "resumed", "cancelled")


def test_refusal_of_strict_run_is_recorded(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Skip(), cells=FAILING)
    stage.when[ev.DecisionRefused] = [decisions.Cancel()]
    assert stage.run(2, policy(strict=True)) == after_failure(
        "decisionrefused skip", "decided cancel", "resumed", "cancelled"
    )
    assert "--strict" in stage.of(ev.DecisionRefused)[0].why


def test_decision_is_refused_while_run_is_ending(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Retry(), cells=FAILING)
    assert stage.run(2, policy(on_failure="stop")) == after_failure(
        "decisionrefused retry", "failed"
    )
    assert stage.kernel.sources == ["step_1()"]


def test_cancel_is_refused_after_last_step(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path)
    stage.kernel.on_shutdown = lambda: stage.submit(decisions.Cancel())
    assert stage.run(1)[-2:] == ["decisionrefused cancel", "completed"]


# ── Unattended runs ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rules", "why"),
    [({"attended": False}, "nobody was there"), ({"on_failure": "stop"}, "--on-failure is stop")],
)
def test_unattended_failure_ends_run(tmp_path: Path, rules: dict[str, Any], why: str) -> None:
    stage = EngineRun(tmp_path, cells=FAILING)
    stage.when, stage.decisions = {}, [decisions.AddNote(text="seen")]
    assert stage.run(2, policy(**rules)) == after_failure("note.added", "failed")
    assert why in stage.of(ev.RunFinished)[0].why
    assert len(stage.saved) == 2  # at the start and at the end


def test_unattended_run_fails_when_kernel_does_not_start(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path)
    stage.kernel.fails_to_start = {1}
    stage.decisions = [decisions.AddNote(text="seen")]
    stage.engine.run(run_started(2, policy(attended=False)))
    assert [brief(each) for each in stage.events][1:] == [
        "kernel.died",
        "stopped kernel_died s1",
        "note.added",
        "failed",
    ]
    assert stage.of(ev.KernelDied)[0].generation == 1


# ── Interrupts, deaths and late outputs ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer", [error("KeyboardInterrupt", ""), ok()], ids=["an error", "a swallowed interrupt"]
)
def test_interrupted_step_has_outcome_interrupted_for_any_reply(
    tmp_path: Path, answer: MakeMessage
) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[], [ok()]]})
    stage.kernel.on_interrupt = [answer]
    stage.when[ev.AttemptStarted] = [decisions.Interrupt()]
    assert stage.run(1)[:5] == [
        "s1/1 step_1()",
        "decided interrupt",
        "kernel.interrupted",
        "s1/1 interrupted",
        "stopped step_failed s1",
    ]


def test_interrupt_between_steps_pauses_run(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Continue())
    stage.when[ev.AttemptFinished] = [decisions.Interrupt()]
    assert stage.run(2) == [
        "s1/1 step_1()",
        "s1/1 ok",
        "decided interrupt",
        "stopped paused s2",
        "decided continue",
        "resumed",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed",
    ]
    assert "interrupt" not in stage.kernel.calls


def test_kernel_is_killed_on_decision(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.RestartKernel(), cells={"step_1()": [[]]})
    stage.when[ev.AttemptStarted] = [decisions.KillKernel()]
    assert stage.run(1)[:8] == [
        "s1/1 step_1()",
        "decided kill",
        "kernel.interrupted",
        "kernel.died",
        "s1/1 kernel_died",
        "stopped kernel_died s1",
        "decided restart",
        "resumed",
    ]
    assert stage.of(ev.KernelInterrupted)[0].kill


def test_cancelled_step_that_reacts_is_not_killed(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[]]})
    stage.when[ev.AttemptStarted] = [decisions.Cancel()]
    assert stage.run(2) == [
        "s1/1 step_1()",
        "decided cancel",
        "kernel.interrupted",
        "s1/1 interrupted",
        "cancelled",
    ]
    assert "kill" not in stage.kernel.calls


def test_cancelled_step_ignoring_interrupt_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_controller, "KILL_GRACE", 0.1)
    stage = EngineRun(tmp_path, cells={"step_1()": [[]]})
    stage.kernel.on_interrupt = []
    stage.when[ev.AttemptStarted] = [decisions.Cancel()]
    assert stage.run(2) == [
        "s1/1 step_1()",
        "decided cancel",
        "kernel.interrupted",
        "kernel.interrupted",
        "kernel.died",
        "s1/1 kernel_died",
        "cancelled",
    ]
    assert [each.kill for each in stage.of(ev.KernelInterrupted)] == [False, True]
    asked, killed = (r.mono for r in stage.records if isinstance(r.event, ev.KernelInterrupted))
    assert killed - asked >= 0.1


def test_second_cancel_is_refused_and_does_not_delay_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_controller, "KILL_GRACE", 0.1)
    stage = EngineRun(tmp_path, cells={"step_1()": [[]]})
    stage.kernel.on_interrupt = []
    stage.when[ev.AttemptStarted] = [decisions.Cancel()]

    def insist(record: Record) -> None:
        match record.event:
            case ev.KernelInterrupted(kill=False) if len(stage.of(ev.Decided)) == 1:
                stage.submit(decisions.Cancel())
            case ev.DecisionRefused():
                monkeypatch.setattr(kernel_controller, "KILL_GRACE", 3600)

    stage.on_publish = insist
    assert stage.run(1)[-2:] == ["s1/1 kernel_died", "cancelled"]
    assert len(stage.of(ev.Decided)) == len(stage.of(ev.DecisionRefused)) == 1


def test_kernel_death_ends_running_attempt(tmp_path: Path) -> None:
    stage = EngineRun(
        tmp_path,
        decisions.RestartKernel(),
        decisions.Retry(),
        cells={"step_1()": [[prints("going"), dies()], [ok()]]},
    )
    assert stage.run(1) == [
        "s1/1 step_1()",
        "going",
        "kernel.died",
        "s1/1 kernel_died",
        "stopped kernel_died s1",
        "decided restart",
        "resumed",
        "kernel.restarted",
        "deviation kernel_restarted None",
        "stopped kernel_restarted s1",
        "decided retry",
        "resumed",
        "s1/2 step_1()",
        "deviation retried s1",
        "s1/2 ok",
        "completed off script",
    ]


def test_kernel_dead_at_stop_must_be_restarted(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="looking"), cells=FAILING)
    stage.on_publish = lambda record: (
        stage.kernel.say([dies()]) if isinstance(record.event, ev.NoteAdded) else None
    )
    stage.when[ev.KernelDied] = [decisions.Retry()]
    stage.when[ev.DecisionRefused] = [decisions.RestartKernel()]
    assert stage.run(1)[3:] == [
        "note.added",
        "kernel.died",
        "decisionrefused retry",
        "decided restart",
        "resumed",
        "kernel.restarted",
        "deviation kernel_restarted None",
        "stopped kernel_restarted s1",
        "decided cancel",
        "resumed",
        "cancelled off script",
    ]


def test_death_of_previous_kernel_is_ignored(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.RestartKernel(), decisions.Retry(), cells=FAILING)
    kernel = stage.kernel
    kernel.on_start = lambda: kernel.say([dies(1)]) if kernel.generation == 2 else None
    assert "kernel.died" not in stage.run(1)
    assert stage.events[-1].outcome == "completed"


def test_failed_restart_can_be_repeated(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.RestartKernel(), decisions.RestartKernel(), cells=FAILING)
    stage.kernel.fails_to_start = {2}
    assert stage.run(1)[3:10] == [
        "decided restart",
        "resumed",
        "kernel.died",
        "stopped kernel_died s1",
        "decided restart",
        "resumed",
        "kernel.restarted",
    ]


def test_code_that_cannot_be_sent_fails_step(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells=FAILING)

    def refuse(source: str) -> None:
        raise KernelError("no kernel is running")

    stage.kernel.on_execute = refuse
    assert stage.run(1)[:2] == ["s1/1 step_1()", "s1/1 error"]
    (finished,) = stage.of(ev.AttemptFinished)
    assert (finished.ename, finished.evalue) == ("KernelError", "no kernel is running")


def test_output_after_attempt_is_late_and_in_order(tmp_path: Path) -> None:
    late: MakeMessage = lambda _request: TextPrinted(request="r1", name="stdout", text="thread")  # noqa: E731
    cells = {"step_1()": [[prints("in time"), ok()]], "step_2()": [[late, prints("own"), ok()]]}
    stage = EngineRun(tmp_path, cells=cells)
    assert stage.run(2) == [
        "s1/1 step_1()",
        "in time",
        "s1/1 ok",
        "s2/1 step_2()",
        "late thread",
        "own",
        "s2/1 ok",
        "completed",
    ]
    assert [(each.step, each.late) for each in stage.of(ev.Output)] == [
        ("s1", False),
        ("s1", True),
        ("s2", False),
    ]


def test_output_at_stop_is_recorded_at_once(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="looking"), cells=FAILING)

    def speak(record: Record) -> None:
        match record.event:
            case ev.NoteAdded():
                stage.kernel.say([prints("from a thread")])  # it comes when its moment is due
            case ev.Output():
                stage.submit(decisions.Cancel())

    stage.on_publish = speak
    assert stage.run(1) == after_failure(
        "note.added", "late from a thread", "decided cancel", "resumed", "cancelled"
    )


def test_output_during_shutdown_is_recorded_before_end(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path)
    kernel = stage.kernel
    kernel.on_shutdown = lambda: kernel.say([prints("bye")]) if len(stage.saved) == 1 else None
    assert stage.run(1)[-2:] == ["late bye", "completed"]


def test_printing_loop_makes_few_events(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[*[prints("x")] * 5000, ok()]]})
    stage.run(1)
    outputs = stage.of(ev.Output)
    assert "".join(each.output["text"] for each in outputs) == "x" * 5000
    assert len(outputs) < 500
    assert outputs[0].output | {"text": ""} == stream("")


# ── Input ────────────────────────────────────────────────────────────────────────────────────


def test_answer_reaches_cell_asking_for_input(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[prints("which?"), asks()]]})
    stage.when[ev.InputRequested] = [decisions.Answer(text="db2")]
    assert stage.run(1) == [
        "s1/1 step_1()",
        "which?",
        "input.requested",
        "answered db2",
        "s1/1 ok",
        "completed",
    ]
    assert stage.kernel.answers == ["db2"]


def test_password_is_sent_to_kernel_and_not_recorded(tmp_path: Path) -> None:
    secret = "correct horse battery staple"
    stage = EngineRun(tmp_path, cells={"step_1()": [[asks("key: ", password=True)]]})
    stage.when[ev.InputRequested] = [decisions.Answer(text=secret)]
    assert "answered None" in stage.run(1)
    assert stage.kernel.answers == [secret]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"key: " in kept
    assert secret.encode() not in kept
    assert secret not in repr(stage.records)


def test_unrequested_answer_is_refused_and_not_recorded(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[asks(password=True)]]})
    stage.when[ev.InputRequested] = [
        decisions.Answer(text="hunter2"),
        decisions.Answer(text="hunter2"),
    ]
    stage.kernel.on_answer = []
    stage.when[ev.DecisionRefused] = [decisions.Interrupt()]
    assert "decisionrefused answer" in stage.run(1)
    assert stage.kernel.answers == ["hunter2"]
    assert b"hunter2" not in stage.path.read_bytes()


# ── Approvals ────────────────────────────────────────────────────────────────────────────────


def awaiting(folder: Path, *orders: tuple[str | None, Operator], **contract: Any) -> EngineRun:
    """Return a run whose first step waits for an approval.

    Each of `orders` is a person and a reason to approve, or None to reject.
    """
    stage = EngineRun(folder)
    stage.run_with = (step(1, contract=model.Contract(approve="", **contract)), step(2))
    told = list(orders)

    def heard(record: Record) -> None:
        ends = ev.Stopped | ev.DecisionRefused | ev.ApprovalRejected
        if isinstance(record.event, ends) and told:
            reason, who = told.pop(0)
            waiting = pending_approval(stage.engine.state)
            assert waiting is not None
            said = (
                decisions.Reject()
                if reason is None
                else decisions.Approve(binding=waiting.binding, reason=reason)
            )
            stage.submit(said, who)

    stage.on_publish = heard
    stage.decisions = [decisions.AddNote(text="waiting")]
    return stage


GRACE = operator("grace", os.getuid() + 1)


def test_approval_by_other_person_ends_stop(tmp_path: Path) -> None:
    stage = awaiting(tmp_path, (None, GRACE), ("looks right", GRACE))
    stage.run(stage.run_with)
    assert stage.kernel.sources == ["step_1()", "step_2()"]
    kinds = [type(event) for event in stage.events]
    assert kinds.index(ev.ApprovalRejected) < kinds.index(ev.ApprovalGranted)
    assert kinds.index(ev.ApprovalGranted) < kinds.index(ev.AttemptStarted)
    (granted,) = (event for event in stage.events if isinstance(event, ev.ApprovalGranted))
    assert (granted.operator, granted.step, granted.reason) == (GRACE, "s1", "looks right")
    assert isinstance(stage.events[-1], ev.RunFinished)
    assert not stage.events[-1].off_script


def test_operator_cannot_approve_their_own_run(tmp_path: Path) -> None:
    stage = awaiting(tmp_path, ("I say so", OPERATOR))
    stage.when[ev.DecisionRefused] = [decisions.Cancel()]
    told = stage.run(stage.run_with)
    assert any("approve" in line and "refused" in line for line in told)
    assert stage.kernel.sources == []


def test_automatic_retries_share_output_limit(tmp_path: Path) -> None:
    noisy = [[prints("x" * 500), error()] for _ in range(4)]
    stage = EngineRun(tmp_path, decisions.Retry(), cells={"noisy()": [*noisy, [prints("y"), ok()]]})
    plan = (step(1, source="noisy()", contract=model.Contract(retries=3)),)
    stage.run(plan, policy(max_output=1000))
    kept = [len(event.output["text"]) for event in stage.of(ev.Output)]
    assert kept[0] == 500
    assert sum(kept[:-1]) <= 1000
    assert [event.attempt for event in stage.of(ev.OutputCapped)] == [2, 3, 4]
    assert stage.of(ev.Output)[-1].output["text"] == "y", "what a person decides has room anew"


def test_proposed_decision_is_carried_out_unchanged_once_approved(
    tmp_path: Path,
) -> None:
    edit = decisions.Edit(source="login('hunter2-hunter2')", reason="the host moved")
    stage = EngineRun(tmp_path, edit, cells=FAILING, secrets={"token": "hunter2-hunter2"})

    def heard(record: Record) -> None:
        waiting = pending_approval(stage.engine.state)
        if isinstance(record.event, ev.DecisionProposed) and waiting is not None:
            stage.submit(decisions.Skip())
            stage.submit(decisions.Approve(binding=waiting.binding), OPERATOR)
            stage.submit(decisions.Approve(binding="what was there before"), GRACE)
            stage.submit(decisions.Approve(binding=waiting.binding, reason="right"), GRACE)

    stage.on_publish = heard
    told = stage.run(2, policy(need_approval=("edited",)))
    assert told == [
        "s1/1 step_1()",
        "s1/1 error",
        "stopped step_failed s1",
        "decision.proposed",
        "decisionrefused skip",
        "decisionrefused approve",
        "decisionrefused approve",
        "approval.granted",
        "decided edit",
        "resumed",
        "s1/2 login('[secret:token]')",
        "deviation retried s1",
        "deviation edited s1",
        "s1/2 ok",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed off script",
    ]
    assert stage.kernel.sources == ["step_1()", "login('hunter2-hunter2')", "step_2()"]
    assert b"hunter2" not in stage.path.read_bytes()
    assert {each.reason for each in stage.of(ev.Deviated)} == {"the host moved"}
    assert [each.operator for each in stage.of(ev.Decided)] == [OPERATOR]
    assert [each.operator for each in stage.of(ev.ApprovalGranted)] == [GRACE]


def test_proposed_decision_is_void_when_withdrawn_or_rejected(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.Skip(reason="done by hand"), cells=FAILING)
    stage.when[ev.DecisionProposed] = [decisions.Withdraw()]
    stage.when[ev.Decided] = [decisions.Skip()]

    def heard(record: Record) -> None:
        again = len(stage.of(ev.DecisionProposed)) == 2
        if again and isinstance(record.event, ev.DecisionProposed):
            stage.submit(decisions.Reject(reason="not by hand"), GRACE)
            stage.submit(decisions.Cancel())

    stage.on_publish = heard
    told = stage.run(2, policy(need_approval=("skipped",)))
    assert told[2:] == [
        "stopped step_failed s1",
        "decision.proposed",
        "decided withdraw",
        "decision.proposed",
        "approval.rejected",
        "decided cancel",
        "resumed",
        "cancelled",
    ]


def test_endless_output_does_not_delay_time_limit(
    tmp_path: Path,
) -> None:
    """Deadlines must be met although there is always another message."""
    stage = EngineRun(tmp_path, cells={"flood()": [[]]})
    interrupted = threading.Event()

    def flood(_source: str) -> None:
        def say() -> None:
            deadline = time.monotonic() + 10
            while not interrupted.is_set() and time.monotonic() < deadline:
                for _ in range(1000):
                    stage.kernel.sink(shows("x")("r1"))
            stage.kernel.sink(error("KeyboardInterrupt", "")("r1"))

        threading.Thread(target=say).start()

    stage.kernel.on_execute = flood
    stage.kernel.on_interrupt = []
    interrupt = stage.kernel.interrupt
    stage.kernel.interrupt = lambda: (interrupt(), interrupted.set())  # type: ignore[method-assign]
    plan = (step(1, source="flood()", contract=model.Contract(timeout=0.2)),)
    stage.run(plan, policy(attended=False))
    (ended,) = stage.of(ev.AttemptFinished)
    assert ended.outcome == "timed_out"
    assert ended.duration < 5


# ── A kernel elsewhere ───────────────────────────────────────────────────────────────────────


def disconnects(generation: int = 1) -> MakeMessage:
    return lambda _request: Disconnected(generation=generation, why="reset by peer")


def reconnects(generation: int = 1) -> MakeMessage:
    return lambda _request: Reconnected(generation=generation, gap=2.5)


def idles(ended: int | None = None, generation: int = 1) -> MakeMessage:
    return lambda _request: Idled(generation=generation, ended=ended)


def loses_the_reply() -> MakeMessage:
    return lambda request: ReplyLost(request=request, why="the gateway is gone")


def test_reply_after_a_gap_ends_the_attempt(tmp_path: Path) -> None:
    turn = [disconnects(), reconnects(), prints("late"), ok(), idles(1)]
    stage = EngineRun(tmp_path, cells={"step_1()": [turn]})
    assert stage.run(1) == [
        "s1/1 step_1()",
        "kernel.disconnected",
        "kernel.reattached",
        "late",
        "s1/1 ok",
        "kernel.idle",
        "completed",
    ]
    (reattached,) = stage.of(ev.KernelReattached)
    assert (reattached.gap, reattached.buffered) == (2.5, True)


def test_lost_reply_leaves_the_attempt_indeterminate(tmp_path: Path) -> None:
    turn = [disconnects(), reconnects(), loses_the_reply(), idles(1)]
    stage = EngineRun(tmp_path, decisions.Settle(finding="happened"), cells={"step_1()": [turn]})
    assert stage.run(2)[3:] == [
        "attempt.indeterminate",
        "kernel.idle",
        "stopped indeterminate s1",
        "attempt.settled",
        "resumed",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed",
    ]
    assert stage.kernel.sources == ["step_1()", "step_2()"]
    assert stage.of(ev.Stopped)[0].detail == "it ran to its end, without an error"


def test_code_that_was_not_sent_does_not_count_as_sent(tmp_path: Path) -> None:
    """Else the next step, which did happen, would be said never to have reached the kernel."""
    cells = {"step_2()": [[disconnects(), reconnects(), loses_the_reply(), idles(1)]]}
    stage = EngineRun(tmp_path, decisions.Skip(), cells=cells)

    def refuse(source: str) -> None:
        if source == "step_1()":
            "\ud800".encode()

    stage.kernel.on_execute = refuse
    stage.run(2)
    (unsent,) = stage.of(ev.AttemptFinished)
    assert (unsent.ename, unsent.sent) == ("UnicodeEncodeError", False)
    assert stage.of(ev.Stopped)[1].detail == "it ran to its end, without an error"


def test_gateway_that_stays_away_leaves_the_attempt_indeterminate(tmp_path: Path) -> None:
    turn = [disconnects(), loses_the_reply(), dies()]
    note = decisions.AddNote(text="seen")
    stage = EngineRun(tmp_path, note, cells={"step_1()": [turn]})
    assert stage.run(2, policy(attended=False))[2:] == [
        "attempt.indeterminate",
        "kernel.died",
        "stopped indeterminate s1",
        "note.added",
        "failed",
    ]


def test_no_step_starts_while_the_kernel_is_out_of_reach(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, cells={"step_1()": [[ok(), disconnects()]]})

    def find_it_again(record: Record) -> None:
        if isinstance(record.event, ev.KernelDisconnected):
            stage.kernel.say([reconnects(), idles(1)])

    stage.on_publish = find_it_again
    assert stage.run(2) == [
        "s1/1 step_1()",
        "s1/1 ok",
        "kernel.disconnected",
        "kernel.reattached",
        "kernel.idle",
        "s2/1 step_2()",
        "s2/1 ok",
        "completed",
    ]


def test_lost_reply_of_another_request_changes_nothing(tmp_path: Path) -> None:
    stray = ReplyLost(request="another", why="gone")
    stage = EngineRun(tmp_path, cells={"step_1()": [[lambda _request: stray, ok()]]})
    assert stage.run(1) == ["s1/1 step_1()", "s1/1 ok", "completed"]


def test_news_of_a_former_kernel_is_not_recorded(tmp_path: Path) -> None:
    trouble = GatewayTrouble(generation=1, action="interrupt the kernel", why="HTTP 403")
    of_another = [disconnects(generation=0), reconnects(generation=2)]
    turn = [lambda _request: trouble, *of_another, ok()]
    stage = EngineRun(tmp_path, cells={"step_1()": [turn]})
    assert stage.run(1) == ["s1/1 step_1()", "gateway.failed", "s1/1 ok", "completed"]
