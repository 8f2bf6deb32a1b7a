"""The output notebook: every attempt as a code cell, in the order in which they ran.

The notebook is a function of the journal's events alone: the same journal gives the same bytes.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import TimestampedEvent
from nbrun.core.reducer import TRANSITIONS, apply, check_transition
from nbrun.core.state import RunState
from nbrun.system.files import sync_directory, sync_file
from nbrun.views.export import notebook_cells
from nbrun.views.export.cell_store import CellStore, NotebookCell, cell_json
from nbrun.views.export.display_state import DisplayState
from nbrun.views.export.notebook_cells import escape, markdown, own_metadata
from nbrun.views.export.outputs import valid_output
from nbrun.views.text import phrases

NBFORMAT = (4, 5)
_BUFFER = 1 << 18  # bytes
_OUTPUT_PHASES = TRANSITIONS[ev.Output]


def chunks(
    records: Iterable[TimestampedEvent], ending: ev.RunFinished | None = None
) -> Iterator[bytes]:
    """Yield the notebook of `records` in chunks: UTF-8 JSON, valid nbformat 4.5.

    At most the outputs of one attempt are in memory at a time, and only a part of a long stream.

    `ending` is an end that the journal does not have yet. The result has the same bytes as the
    notebook of the journal that has this end: nothing in it depends on when it was written.

    Raises:
        IllegalEventError: the records are not those of a run.
        OSError: a temporary file can't be written.
    """
    builder = _Builder()
    try:
        for record in records:
            builder.take(record.event, record.at)
        if ending is not None:
            builder.take(ending, "")
        yield from builder.document()
    finally:
        builder.close()


def build(records: Iterable[TimestampedEvent], ending: ev.RunFinished | None = None) -> bytes:
    """Return the notebook of `records` (see `chunks`)."""
    return b"".join(chunks(records, ending))


def digest(records: Iterable[TimestampedEvent]) -> str:
    """Return the SHA-256 of the notebook of `records`, in hexadecimal."""
    found = hashlib.sha256()
    for chunk in chunks(records):
        found.update(chunk)
    return found.hexdigest()


def save(
    path: Path, content: Iterable[bytes], let_read: Callable[[Path], None] = lambda _path: None
) -> str:
    """Write `content` to `path`, whole or not at all, and return its SHA-256 in hexadecimal.

    The file has mode 0600. `let_read` gets the temporary file before it is moved to `path`, and may
    let others read it.

    Raises:
        OSError: the file can't be written; what `content` raises is raised too.
    """
    found = hashlib.sha256()
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb", buffering=_BUFFER) as file:
            os.fchmod(fd, 0o600)
            for chunk in content:
                found.update(chunk)
                file.write(chunk)
            file.flush()
            sync_file(fd)
        let_read(Path(temporary))
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_directory(path.parent)
    return found.hexdigest()


class _Builder:
    """Cells in the order of events; an output goes to the cell of its attempt, however late."""

    def __init__(self) -> None:
        self._state = RunState()
        self._began_at = ""
        self._cells = CellStore()
        self._displays = DisplayState()
        self._used_ids = {notebook_cells.HEAD}
        self._capped: dict[tuple[str, int], tuple[int, str]] = {}
        self._narrated: set[str] = set()
        self._operator: model.Operator | None = None

    def close(self) -> None:
        self._cells.close()
        self._displays.close()

    def take(self, event: ev.Event, at: str) -> None:
        if type(event) is ev.Output:  # most events are outputs, which change no state
            if self._state.phase not in _OUTPUT_PHASES:
                check_transition(self._state, event)
            if event.widget:
                self._cells.outputs(event.step, event.attempt).capture(event.widget)
                self._displays.add(event, valid_output(event.output))
                return
            output = self._cells.add_output(event)
            if output["output_type"] != "stream":
                self._displays.add(event, output)
        else:
            self._take_other(event, at)

    def _take_other(self, event: ev.Event, at: str) -> None:
        apply(self._state, event)
        match event:
            case ev.OutputCleared(widget="", wait=wait):
                self._cells.outputs(event.step, event.attempt).clear(wait=wait)
            case ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged():
                self._displays.change(event)
            case ev.RunStarted(operator=operator):
                self._began_at, self._operator = at, operator
            case ev.AttemptStarted():
                self._begin_attempt(event, at)
            case ev.OutputCapped():
                self._cap_output(event)
            case ev.AttemptFinished():
                self._finish_attempt(event, at)
            case ev.Deviated():
                self._add_deviation(event)
            case _:
                self._add_remark(event, at)

    def _add_remark(self, event: ev.Event, at: str) -> None:
        """Add a Markdown cell about a decision, the kernel, a crash or a resume."""
        match event:
            case ev.Decided(operator=operator, decision=decision):
                self._operator = operator
                if decision in ("skip", "done") and self._state.stop is not None:
                    self._narrate(self._state.stop.step)
                if decision == "done" and self._state.stop is not None:
                    self._add_done_instead(self._state.stop.step)
            case ev.RunResumed(operator=operator):
                self._operator = operator
            case ev.AttemptIndeterminate():
                own = self._cells.attempt((event.step, event.attempt))["metadata"]["nbrun"]
                own["outcome"] = "indeterminate"
        text = notebook_cells.remark(self._state, event, at)
        if text:
            self._add(markdown(self._next_id(), text))

    # ── cells ────────────────────────────────────────────────────────────────────────────────

    def _begin_attempt(self, event: ev.AttemptStarted, at: str) -> None:
        self._narrate(event.step)
        step = self._state.steps.get(event.step)
        cell: NotebookCell = {
            "cell_type": "code",
            "id": self._next_id(),
            "execution_count": None,
            "metadata": {
                **(step.step.metadata if step else {}),
                "nbrun": {
                    **own_metadata(step.step.metadata if step else {}),
                    "step": event.step,
                    "attempt": event.attempt,
                    "outcome": None,
                    "started": at,
                    "finished": None,
                    "duration": None,
                    "operator": msgspec.to_builtins(self._operator),
                    "deviations": [],
                },
                "tags": list(step.step.tags) if step else [],
            },
            "outputs": [],
            "source": event.source,
        }
        id_ = step.step.id if step else event.step  # the same string object: there may be very many
        self._cells.begin((id_, event.attempt), self._with_unique_id(cell))

    def _finish_attempt(self, event: ev.AttemptFinished, at: str) -> None:
        cell = self._cells.attempt((event.step, event.attempt))
        cell["execution_count"] = event.execution_count
        own = cell["metadata"]["nbrun"]
        own |= {"outcome": event.outcome, "finished": at, "duration": event.duration}
        for name in ("ename", "evalue", "shell_exit", "nested_error"):
            if getattr(event, name) is not None:
                own[name] = getattr(event, name)
        if event.ran_to_end:
            own["ran_to_end"] = True

    def _cap_output(self, event: ev.OutputCapped) -> None:
        """Add one remark for each attempt; a later event of the attempt replaces its text."""
        key = event.step, event.attempt
        if key not in self._capped:
            remark = self._with_unique_id(markdown(self._next_id(), ""))
            self._capped[key] = self._cells.add(remark), remark["id"]
        number, id_ = self._capped[key]
        where = f"{phrases.step(self._state, event.step)}, attempt {event.attempt}"
        text = f"**{escape(where)}**: {escape(phrases.capped_output(event))}"
        self._cells.replace(number, markdown(id_, text))
        own = self._cells.attempt(key)["metadata"]["nbrun"]
        own["not_kept"] = {"outputs": event.outputs, "bytes": event.bytes, "sha256": event.sha256}

    def _add_deviation(self, event: ev.Deviated) -> None:
        attempt = self._state.attempt
        if attempt is not None and attempt.step == event.step:
            cell = self._cells.attempt((attempt.step, attempt.attempt))
            cell["metadata"]["nbrun"]["deviations"].append(event.kind)

    def _narrate(self, step: str | None) -> None:
        """Add the Markdown before a step, once: where the run first comes to the step."""
        known = self._state.steps.get(step or "")
        if known is None or step is None or step in self._narrated:
            return
        if known.step.narration or known.step.contract.manual:
            self._narrated.add(step)
        for cell in known.step.narration:
            self._add(notebook_cells.narration(cell))
        if known.step.contract.manual:
            self._add(notebook_cells.by_hand(known.step))

    def _add_done_instead(self, step: str | None) -> None:
        """Add the source of a code cell that a person has done by hand, and that did not run."""
        known = self._state.steps.get(step or "")
        if known is not None and not known.attempts and not known.step.contract.manual:
            text = notebook_cells.fenced(known.step.source)
            self._add(markdown(self._next_id(), text))

    def _next_id(self) -> str:
        return f"nbrun-{len(self._cells) + 1}"

    def _add(self, cell: NotebookCell) -> int:
        return self._cells.add(self._with_unique_id(cell))

    def _with_unique_id(self, cell: NotebookCell) -> NotebookCell:
        """Give `cell` another id if a cell already has it: a runbook may use ids like ours."""
        numbered = (f"{cell['id'][:50]}-{number}" for number in count(2))
        cell["id"] = next(id_ for id_ in chain([cell["id"]], numbered) if id_ not in self._used_ids)
        self._used_ids.add(cell["id"])
        return cell

    # ── the whole ────────────────────────────────────────────────────────────────────────────

    def document(self) -> Iterator[bytes]:
        """Yield the notebook, after the last event."""
        plan = self._state.plan
        if self._state.current is None and self._state.finished is not None:
            for cell in plan.epilogue:
                self._add(notebook_cells.narration(cell))
        for never_run in notebook_cells.never_run(self._state):
            self._add(never_run)
        yield b'{\n "cells": [\n'
        yield cell_json(notebook_cells.head(self._state, self._began_at))
        for made in self._cells.finish(self._displays):
            yield b",\n"
            yield from made
        rest = {
            "metadata": self._metadata(),
            "nbformat": NBFORMAT[0],
            "nbformat_minor": NBFORMAT[1],
        }
        yield b"\n ],\n"
        yield msgspec.json.format(msgspec.json.encode(rest), indent=1).removeprefix(b"{\n") + b"\n"

    def _metadata(self) -> dict[str, Any]:
        plan, finished = self._state.plan, self._state.finished
        info = self._state.kernel_info
        metadata = dict(plan.metadata)
        if info is not None and info.language_info.get("name"):
            metadata["language_info"] = info.language_info
        metadata["nbrun"] = {
            **own_metadata(plan.metadata),
            "run": plan.run,
            "outcome": finished.outcome if finished else None,
            "off_script": self._state.off_script,
            "parameters": plan.parameters,
        }
        return metadata
