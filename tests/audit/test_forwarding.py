"""Test forwarding: every line is sent in order, whatever fails, and the run never waits."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nbrun.audit import forwarding
from nbrun.audit.forwarding import Forwarder
from nbrun.audit.sinks import JournalLine
from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.errors import ForwardingError
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from tests.support.build_events import note_added, output, uneventful

NAME = "20261123-0930{:02}-restore-ab12"


class FakeSink:
    """A sink that can be down, or hang while `gate` is closed."""

    name = "elsewhere"

    def __init__(self) -> None:
        self.lines: list[JournalLine] = []
        self.down = False
        self.tried = 0
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def send(self, lines: Sequence[JournalLine]) -> None:
        self.tried += 1
        assert self.gate.wait(30)
        if self.down:
            raise ForwardingError("elsewhere: is down")
        self.lines += lines

    def close(self) -> None:
        self.closed = True

    @property
    def content(self) -> bytes:
        return b"".join(line.content + b"\n" for line in self.lines)


class ForwardedRun:
    """A run whose growing journal is forwarded."""

    def __init__(self, runs: Path, sink: FakeSink, number: int = 1) -> None:
        self.directory = RunDirectory(runs / NAME.format(number))
        self.directory.path.mkdir(parents=True)
        self.journal = Journal.create(self.directory.journal)
        self.reported: list[Event] = []
        self.forwarder = Forwarder(sink, self.directory, self.reported.append)

    def add(self, *events: Event) -> None:
        self.forwarder.receive(self.journal.append(list(events), sync=False))

    def end(self) -> None:
        self.journal.close()
        self.forwarder.close()

    @property
    def content(self) -> bytes:
        return self.directory.journal.read_bytes()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "GATHER", 0.01)
    monkeypatch.setattr(forwarding, "FIRST_PAUSE", 0.02)


@pytest.fixture
def sink() -> FakeSink:
    return FakeSink()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_forwarder_sends_every_line_unchanged_in_order(tmp_path: Path, sink: FakeSink) -> None:
    run = ForwardedRun(tmp_path, sink)
    for event in uneventful():
        run.add(event)
    run.end()
    assert sink.content == run.content
    assert [line.seq for line in sink.lines] == list(range(len(uneventful())))
    assert {line.run for line in sink.lines} == {run.directory.id}
    assert [line.event for line in sink.lines][-1] == "run.finished"
    assert not run.directory.unforwarded.exists()
    assert run.reported == []


def test_forwarder_sends_failed_lines_after_recovery(tmp_path: Path, sink: FakeSink) -> None:
    run = ForwardedRun(tmp_path, sink)
    *before, end = uneventful()
    run.add(before[0])
    wait_until(lambda: len(sink.lines) == 1)
    sink.down = True
    run.add(*before[1:])
    wait_until(lambda: run.reported)
    tried = sink.tried
    wait_until(lambda: sink.tried > tried + 1)
    sink.down = False
    wait_until(lambda: len(run.reported) == 2)
    failed, resumed = run.reported
    assert failed == ev.ForwardingFailed(target="elsewhere", since=1, why="elsewhere: is down")
    assert resumed == ev.ForwardingResumed(target="elsewhere", upto=len(before) - 1)
    run.add(end)
    run.end()
    assert sink.content == run.content


def test_hanging_sink_does_not_delay_run(
    tmp_path: Path, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE", 0.1)
    sink.gate.clear()
    run = ForwardedRun(tmp_path, sink)
    began = time.monotonic()
    for event in uneventful():
        run.add(event)
    run.end()
    assert time.monotonic() - began < 5
    assert run.directory.unforwarded.exists()
    sink.gate.set()
    wait_until(lambda: not run.directory.unforwarded.exists())


def test_next_run_sends_lines_left_by_earlier_run(tmp_path: Path, sink: FakeSink) -> None:
    sink.down = True
    first = ForwardedRun(tmp_path, sink, 1)
    first.add(*uneventful())
    first.end()
    left = first.directory.unforwarded.read_bytes()
    assert left == b""
    sink.down = False
    second = ForwardedRun(tmp_path, sink, 2)
    second.add(*uneventful())
    second.end()
    assert sink.content == second.content + first.content
    assert list(tmp_path.glob("*/unforwarded")) == []


def test_next_run_continues_at_saved_position(tmp_path: Path, sink: FakeSink) -> None:
    first = ForwardedRun(tmp_path, sink, 1)
    first.add(*uneventful()[:3])
    wait_until(lambda: len(sink.lines) == 3)
    sink.down = True
    first.add(*uneventful()[3:])
    first.end()
    sink.down = False
    second = ForwardedRun(tmp_path, sink, 2)
    second.add(*uneventful())
    second.end()
    of_first = [line.seq for line in sink.lines if line.run == first.directory.id]
    assert of_first == list(range(len(uneventful())))


def test_next_run_leaves_lines_of_running_run(tmp_path: Path, sink: FakeSink) -> None:
    first = ForwardedRun(tmp_path, sink, 1)
    first.add(*uneventful()[:3])
    wait_until(lambda: len(sink.lines) == 3)
    second = ForwardedRun(tmp_path, sink, 2)
    second.add(*uneventful())
    second.end()
    assert len([line for line in sink.lines if line.run == first.directory.id]) == 3
    first.add(*uneventful()[3:])
    first.end()
    assert len([line for line in sink.lines if line.run == first.directory.id]) == len(uneventful())


def test_forwarder_waits_for_complete_line(tmp_path: Path, sink: FakeSink) -> None:
    run = ForwardedRun(tmp_path, sink)
    run.add(note_added("whole"))
    wait_until(lambda: len(sink.lines) == 1)
    with run.directory.journal.open("ab") as file:
        file.write(b'{"v":1,"torn')
    run.forwarder.receive([])
    run.end()
    assert len(sink.lines) == 1


def test_forwarder_sends_many_lines_in_batches(
    tmp_path: Path, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "BATCH", 10_000)
    run = ForwardedRun(tmp_path, sink)
    run.add(*[output("x" * 900) for _ in range(100)])
    run.end()
    assert sink.content == run.content
    assert sink.tried > 5


def test_invalid_saved_position_starts_from_first_line(tmp_path: Path, sink: FakeSink) -> None:
    directory = RunDirectory(tmp_path / NAME.format(1))
    directory.path.mkdir()
    directory.unforwarded.write_text("nonsense\n")
    journal = Journal.create(directory.journal)
    forwarder = Forwarder(sink, directory, lambda _: None)
    forwarder.receive(journal.append(uneventful(), sync=False))
    journal.close()
    forwarder.close()
    assert sink.content == directory.journal.read_bytes()
