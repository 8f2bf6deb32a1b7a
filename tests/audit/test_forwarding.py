"""Sending on: every line in order, whatever fails meanwhile; nothing waits for it."""

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


class Place:
    """A target that can be out of order."""

    name = "elsewhere"

    def __init__(self) -> None:
        self.lines: list[JournalLine] = []
        self.down = False
        self.tried = 0
        self.gate = threading.Event()
        self.gate.set()

    def send(self, lines: Sequence[JournalLine]) -> None:
        self.tried += 1
        assert self.gate.wait(30)
        if self.down:
            raise ForwardingError("elsewhere: is down")
        self.lines += lines

    @property
    def content(self) -> bytes:
        return b"".join(line.content + b"\n" for line in self.lines)


class Sent:
    """A run whose journal grows, and who sends it on."""

    def __init__(self, runs: Path, place: Place, number: int = 1) -> None:
        self.directory = RunDirectory(runs / NAME.format(number))
        self.directory.path.mkdir(parents=True)
        self.journal = Journal.create(self.directory.journal)
        self.told: list[Event] = []
        self.forwarder = Forwarder(place, self.directory, self.told.append)

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
def place() -> Place:
    return Place()


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_forwarder_sends_every_line_unchanged_in_order(tmp_path: Path, place: Place) -> None:
    sent = Sent(tmp_path, place)
    for event in uneventful():
        sent.add(event)
    sent.end()
    assert place.content == sent.content
    assert [line.seq for line in place.lines] == list(range(len(uneventful())))
    assert {line.run for line in place.lines} == {sent.directory.id}
    assert [line.event for line in place.lines][-1] == "run.finished"
    assert not sent.directory.unforwarded.exists()
    assert sent.told == []


def test_forwarder_sends_failed_lines_after_recovery(tmp_path: Path, place: Place) -> None:
    sent = Sent(tmp_path, place)
    *before, end = uneventful()
    sent.add(before[0])
    wait_until(lambda: len(place.lines) == 1)
    place.down = True
    sent.add(*before[1:])
    wait_until(lambda: sent.told)
    tried = place.tried
    wait_until(lambda: place.tried > tried + 1)
    place.down = False
    wait_until(lambda: len(sent.told) == 2)
    failed, resumed = sent.told
    assert failed == ev.ForwardingFailed(target="elsewhere", since=1, why="elsewhere: is down")
    assert resumed == ev.ForwardingResumed(target="elsewhere", upto=len(before) - 1)
    sent.add(end)
    sent.end()
    assert place.content == sent.content


def test_hanging_sink_does_not_delay_run(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE", 0.1)
    place.gate.clear()
    sent = Sent(tmp_path, place)
    began = time.monotonic()
    for event in uneventful():
        sent.add(event)
    sent.end()
    assert time.monotonic() - began < 5
    assert sent.directory.unforwarded.exists()
    place.gate.set()
    wait_until(lambda: not sent.directory.unforwarded.exists())


def test_next_run_sends_lines_left_by_earlier_run(tmp_path: Path, place: Place) -> None:
    place.down = True
    first = Sent(tmp_path, place, 1)
    first.add(*uneventful())
    first.end()
    left = first.directory.unforwarded.read_bytes()
    assert left == b""
    place.down = False
    second = Sent(tmp_path, place, 2)
    second.add(*uneventful())
    second.end()
    assert place.content == second.content + first.content
    assert list(tmp_path.glob("*/unforwarded")) == []


def test_next_run_continues_at_saved_position(tmp_path: Path, place: Place) -> None:
    first = Sent(tmp_path, place, 1)
    first.add(*uneventful()[:3])
    wait_until(lambda: len(place.lines) == 3)
    place.down = True
    first.add(*uneventful()[3:])
    first.end()
    place.down = False
    second = Sent(tmp_path, place, 2)
    second.add(*uneventful())
    second.end()
    of_first = [line.seq for line in place.lines if line.run == first.directory.id]
    assert of_first == list(range(len(uneventful())))


def test_next_run_leaves_lines_of_running_run(tmp_path: Path, place: Place) -> None:
    first = Sent(tmp_path, place, 1)
    first.add(*uneventful()[:3])
    wait_until(lambda: len(place.lines) == 3)
    second = Sent(tmp_path, place, 2)
    second.add(*uneventful())
    second.end()
    assert len([line for line in place.lines if line.run == first.directory.id]) == 3
    first.add(*uneventful()[3:])
    first.end()
    assert len([line for line in place.lines if line.run == first.directory.id]) == len(
        uneventful()
    )


def test_forwarder_waits_for_complete_line(tmp_path: Path, place: Place) -> None:
    sent = Sent(tmp_path, place)
    sent.add(note_added("whole"))
    wait_until(lambda: len(place.lines) == 1)
    with sent.directory.journal.open("ab") as file:
        file.write(b'{"v":1,"torn')
    sent.forwarder.receive([])
    sent.end()
    assert len(place.lines) == 1


def test_forwarder_sends_many_lines_in_batches(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "BATCH", 10_000)
    sent = Sent(tmp_path, place)
    sent.add(*[output("x" * 900) for _ in range(100)])
    sent.end()
    assert place.content == sent.content
    assert place.tried > 5


def test_invalid_saved_position_starts_from_first_line(tmp_path: Path, place: Place) -> None:
    directory = RunDirectory(tmp_path / NAME.format(1))
    directory.path.mkdir()
    directory.unforwarded.write_text("nonsense\n")
    journal = Journal.create(directory.journal)
    forwarder = Forwarder(place, directory, lambda _: None)
    forwarder.receive(journal.append(uneventful(), sync=False))
    journal.close()
    forwarder.close()
    assert place.content == directory.journal.read_bytes()
