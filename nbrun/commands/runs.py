"""`nbrun runs`: the runs there are, newest first, from the first and last line of each journal."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from nbrun import events as ev
from nbrun import run_directory
from nbrun.commands.screens import screen
from nbrun.errors import ExitCode, JournalError
from nbrun.journal import decode_alone, is_locked
from nbrun.run_directory import RunDirectory
from nbrun.views import runs as view
from nbrun.views.runs import RunLine

_TAIL = 65536  # bytes; the last line of an ended run is far shorter


def show(runs_dir: Path | None, *, json: bool) -> ExitCode:
    """Print the runs as a table, or one JSON object a line."""
    parent = run_directory.runs_dir(runs_dir)
    lines = (_line(directory) for directory in run_directory.all_runs(parent))
    if json:
        for line in lines:
            print(msgspec.json.encode(line).decode())  # noqa: T201
    else:
        screen().print(view.table(list(lines), str(parent)))
    return ExitCode.COMPLETED


def _line(directory: RunDirectory) -> RunLine:
    """What the head and the tail of the journal say."""
    try:
        first = next(_head(directory.journal), None)
        last = _last(directory.journal)
    except (JournalError, OSError) as error:
        return RunLine(run=directory.id, status=f"unreadable: {error}")
    if first is None or not isinstance(first.event, ev.RunStarted):
        return RunLine(run=directory.id, status="never began")
    started = first.event
    line = RunLine(
        run=directory.id,
        runbook=Path(started.runbook).name,
        parameters=started.parameters,
        operator=started.operator.name,
        started=first.at,
        status="running" if is_locked(directory.journal) else "interrupted",
    )
    if last is None or not isinstance(last.event, ev.RunFinished):
        return line
    ended = last.event
    return msgspec.structs.replace(
        line, status=ended.outcome, off_script=ended.off_script, duration=ended.duration
    )


def _head(path: Path) -> Iterator[ev.Record]:
    with path.open("rb") as file:
        line = file.readline()
    if line.endswith(b"\n"):
        yield decode_alone(path, line[:-1])


def _last(path: Path) -> ev.Record | None:
    """The last whole line; None when it is longer than the tail that is read."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    whole = lines[:-1] if size <= _TAIL else lines[1:-1]
    return decode_alone(path, whole[-1]) if whole else None
