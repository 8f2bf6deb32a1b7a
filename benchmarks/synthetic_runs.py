"""Generate records of finished runs, exactly as nbrun would have written them."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.core.model import Operator, Policy, Step
from nbrun.journal.codec import GENESIS, digest, encode
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook

_OPERATOR = Operator(uid=1000, name="ada", via="/dev/pts/7")
_STARTED_AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_INTERVAL = 0.001  # seconds from one event to the next
_OUTPUTS = 98  # per step; with the start and the end of the attempt 100 events
_DISPLAY_EVERY = 10  # every tenth output is a display, the others are lines of text
_SOURCE = "\n".join(f"check_that_the_{n}th_thing_is_as_it_should_be(on='db1')" for n in range(8))


def long_run(parent: Path, events: int) -> RunDirectory:
    """Write a run of about `events` events, most of them printed lines, and its notebook."""
    steps = max(1, events // (_OUTPUTS + 2))
    directory = _directory(parent, 0)
    last = _write(directory, _events(directory.id, steps, _OUTPUTS))
    finished = _finished(steps)
    chunks = notebook.chunks(JournalReader(directory.journal), finished)
    sha256 = notebook.save(directory.notebook(_runbook()), chunks)
    _append(directory, last, msgspec.structs.replace(finished, notebook_sha256=sha256))
    return directory


def output_count(events: int) -> int:
    """Return the number of outputs of `long_run(parent, events)`."""
    return max(1, events // (_OUTPUTS + 2)) * _OUTPUTS


def many_runs(parent: Path, count: int) -> None:
    """Write `count` runs of 12 steps and about 60 events each."""
    for number in range(count):
        directory = _directory(parent, number)
        last = _write(directory, _events(directory.id, 12, 3))
        _append(directory, last, _finished(12))


def _directory(parent: Path, number: int) -> RunDirectory:
    at = _STARTED_AT + timedelta(minutes=number)
    directory = RunDirectory(parent / f"{at:%Y%m%d-%H%M%S}-check-db1-{number:04}")
    directory.path.mkdir(parents=True, mode=0o700)
    return directory


def _runbook() -> str:
    return "/srv/runbooks/check-db1.ipynb"


def _events(run: str, steps: int, outputs: int) -> Iterator[Event]:
    plan = tuple(
        Step(id=f"s{number}", number=number, title=f"Check {number}", source=_SOURCE)
        for number in range(1, steps + 1)
    )
    yield ev.RunStarted(
        run=run,
        runbook=_runbook(),
        runbook_sha256=hashlib.sha256(_SOURCE.encode()).hexdigest(),
        steps=plan,
        parameters={"host": "db1"},
        kernelspec="python3",
        cwd="/srv/runbooks",
        operator=_OPERATOR,
        host="ops1",
        versions={"nbrun": __version__},
        policy=Policy(),
    )
    yield ev.KernelStarted(
        generation=1,
        kernelspec="python3",
        language="python",
        language_info={"name": "python"},
        implementation="ipython",
    )
    for count, step in enumerate(plan, 1):
        yield from _attempt(step, count, outputs)


def _attempt(step: Step, count: int, outputs: int) -> Iterator[Event]:
    yield ev.AttemptStarted(
        step=step.id, attempt=1, source=step.source, edited=False, cause="script"
    )
    for number in range(1, outputs + 1):
        text = f"{number:06} of {outputs}: looked at replica {number % 7}, all is as it should be"
        output: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": f"{text}\n"}
        if number % _DISPLAY_EVERY == 0:
            output = {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}
        yield ev.Output(step=step.id, attempt=1, output=output)
    yield ev.AttemptFinished(
        step=step.id, attempt=1, outcome="ok", duration=0.1, execution_count=count
    )


def _finished(steps: int) -> ev.RunFinished:
    return ev.RunFinished(
        outcome="completed",
        off_script=False,
        counts={"attempts": steps, "steps": steps, "ok": steps},
        duration=60.0,
        why="every step was passed",
    )


def _write(directory: RunDirectory, events: Iterable[Event]) -> Record:
    """Write `events` as a new journal and return the last record."""
    record = None
    with directory.journal.open("wb") as file:
        for event in events:
            record = _next(record, event)
            file.write(encode(record) + b"\n")
    assert record is not None, "a journal has at least one event"
    return record


def _append(directory: RunDirectory, last: Record, event: Event) -> None:
    with directory.journal.open("ab") as file:
        file.write(encode(_next(last, event)) + b"\n")


def _next(previous: Record | None, event: Event) -> Record:
    """Return the record of `event` that follows `previous`, with its hash."""
    seq = previous.seq + 1 if previous else 0
    at = _STARTED_AT + timedelta(seconds=seq * _INTERVAL)
    record = Record(
        seq=seq,
        at=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        mono=round(seq * _INTERVAL, 6),
        event=event,
        prev=previous.hash if previous else GENESIS,
        hash="",
    )
    return msgspec.structs.replace(record, hash=digest(encode(record)))
