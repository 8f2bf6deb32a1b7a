"""Records of runs that never were, as nbrun would have written them: whole, chained and ended."""

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
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook

_OPERATOR = Operator(uid=1000, name="ada", via="/dev/pts/7")
_BEGAN = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
_APART = 0.001  # seconds from one event to the next
_OUTPUTS = 98  # of each step; with its start and its end 100 events
_DISPLAYED = 10  # every so manieth output is no text
_SOURCE = "\n".join(f"check_that_the_{n}th_thing_is_as_it_should_be(on='db1')" for n in range(8))


def long_run(parent: Path, events: int) -> RunDirectory:
    """A run of about so many events, most of them lines that were printed, with its notebook."""
    steps = max(1, events // (_OUTPUTS + 2))
    directory = _directory(parent, 0)
    last = _write(directory, _events(directory.id, steps, _OUTPUTS))
    finished = _finished(steps)
    made = notebook.pieces(Reading(directory.journal), finished)
    digest = notebook.save(directory.notebook(_runbook()), made)
    _append(directory, last, msgspec.structs.replace(finished, notebook_sha256=digest))
    return directory


def outputs(events: int) -> int:
    """How many outputs `long_run` has."""
    return max(1, events // (_OUTPUTS + 2)) * _OUTPUTS


def many_runs(parent: Path, count: int) -> None:
    """So many runs, of 12 steps and some 60 events each."""
    for number in range(count):
        directory = _directory(parent, number)
        last = _write(directory, _events(directory.id, 12, 3))
        _append(directory, last, _finished(12))


def _directory(parent: Path, number: int) -> RunDirectory:
    at = _BEGAN + timedelta(minutes=number)
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
        if number % _DISPLAYED == 0:
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
    """Write the beginning of a journal; its last record."""
    record = None
    with directory.journal.open("wb") as file:
        for event in events:
            record = _next(record, event)
            file.write(encode(record) + b"\n")
    assert record is not None, "a run begins with an event"
    return record


def _append(directory: RunDirectory, last: Record, event: Event) -> None:
    with directory.journal.open("ab") as file:
        file.write(encode(_next(last, event)) + b"\n")


def _next(before: Record | None, event: Event) -> Record:
    seq = before.seq + 1 if before else 0
    at = _BEGAN + timedelta(seconds=seq * _APART)
    record = Record(
        seq=seq,
        at=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        mono=round(seq * _APART, 6),
        event=event,
        prev=before.hash if before else GENESIS,
        hash="",
    )
    return msgspec.structs.replace(record, hash=digest(encode(record)))
