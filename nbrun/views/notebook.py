"""The output notebook: every attempt as a code cell, in the order in which they ran.

A function of the journal's events alone, so that the same journal gives the same bytes.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import msgspec

from nbrun import events as ev
from nbrun import terms
from nbrun.events import Record
from nbrun.files import sync_directory, sync_file
from nbrun.fold import apply
from nbrun.script import label
from nbrun.state import RunState
from nbrun.views import kernel_words, wording
from nbrun.views.outputs import Outputs

NBFORMAT = (4, 5)


def build(records: Iterable[Record], ending: ev.RunFinished | None = None) -> bytes:
    """The notebook of `records`, as UTF-8 JSON, valid nbformat 4.5.

    `ending`: an end that is not in the journal yet. It gives the same bytes as the journal that
    has it: nothing here depends on when it was written.
    """
    builder = _Builder()
    for record in records:
        builder.take(record.event, record.at)
    if ending is not None:
        builder.take(ending, "")
    text = msgspec.json.format(msgspec.json.encode(builder.document()), indent=1)
    return text + b"\n"


def write(path: Path, content: bytes) -> str:
    """Put `content` at `path` whole or not at all, mode 0600; its SHA-256. Raises OSError."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(content)
            file.flush()
            sync_file(fd)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_directory(path.parent)
    return hashlib.sha256(content).hexdigest()


class _Builder:
    """Cells in the order of events; outputs go to the cell of their attempt, whenever they come."""

    def __init__(self) -> None:
        self._state = RunState()
        self._began_at = ""
        self._cells: list[dict[str, Any]] = []
        self._attempts: dict[tuple[str, int], dict[str, Any]] = {}
        self._outputs = Outputs()
        self._capped: dict[tuple[str, int], dict[str, Any]] = {}
        self._narrated: set[str] = set()
        self._operator: terms.Operator | None = None

    def take(self, event: ev.Event, at: str) -> None:
        stop = self._state.stop
        apply(self._state, event)
        match event:
            case ev.RunStarted(operator=operator):
                self._began_at, self._operator = at, operator
            case ev.AttemptStarted():
                self._attempt(event, at)
            case ev.Output() | ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged():
                self._outputs.take(event)
            case ev.OutputCapped():
                self._cap(event)
            case ev.AttemptFinished():
                self._finish(event, at)
            case ev.Deviated():
                self._deviate(event)
            case ev.Decided(operator=operator):
                self._operator = operator
                self._decide(event, at, stop)
            case _:
                self._note(event, at)
                self._break(event, at)

    def _note(self, event: ev.Event, at: str) -> None:
        """What people said, and what became of the kernel."""
        match event:
            case ev.NoteAdded(operator=operator, text=text):
                self._remark(at, f"**Note** by {_md(wording.operator(operator))}", text)
            case ev.ApprovalGranted(reason=why):
                told = wording.judged(self._state, event, "approved").removesuffix(f" ({why})")
                self._remark(at, f"**Approval**: {_md(told)}", why)
            case ev.ApprovalRejected(reason=why):
                told = wording.judged(self._state, event, "rejected").removesuffix(f" ({why})")
                self._remark(at, f"**Approval**: {_md(told)}", why)
            case ev.KernelDied(why=why):
                self._remark(at, "**The kernel died**", why)
            case ev.ProcessesLeft():
                told = kernel_words.fact(self._state, event)
                self._remark(at, "**Left running**, seen", told)
            case ev.KernelRestarted(why=why):
                self._remark(at, f"**The kernel was restarted** (number {event.generation})", why)

    def _break(self, event: ev.Event, at: str) -> None:
        """What a crash and a resume add to the story."""
        match event:
            case ev.AttemptIndeterminate(why=why):
                own = self._attempts[event.step, event.attempt]["metadata"]["nbrun"]
                own["outcome"] = "indeterminate"
                told = f"**Nobody saw the end** of {_md(wording.step(self._state, event.step))}"
                self._remark(at, f"{told}, attempt {event.attempt}, found", why)
            case ev.AttemptSettled(operator=operator):
                told = wording.settled(self._state, event)
                by = _md(wording.operator(operator))
                self._remark(at, f"**{_md(told)}**, says {by}", "")
            case ev.RunInterrupted():
                told = wording.interrupted(event)
                self._remark(at, "**The run was interrupted**, found", told)
            case ev.RunResumed(operator=operator, reason=reason):
                self._operator = operator
                by = _md(wording.operator(operator))
                self._remark(at, f"**The run was resumed** by {by}", reason)
            case ev.KernelReattached():
                self._remark(at, "**The kernel was found again**", wording.reattached(event))
            case ev.RunbookReplaced(operator=operator, diff=diff):
                by = _md(wording.operator(operator))
                self._remark(at, f"**The runbook was replaced** by {by}", diff)

    # ── cells ────────────────────────────────────────────────────────────────────────────────

    def _attempt(self, event: ev.AttemptStarted, at: str) -> None:
        self._narrate(event.step)
        step = self._state.steps.get(event.step)
        cell = {
            "cell_type": "code",
            "id": self._next_id(),
            "execution_count": None,
            "metadata": {
                **(step.step.metadata if step else {}),
                "nbrun": {
                    **_own(step.step.metadata if step else {}),
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
            "outputs": self._outputs.of(event.step, event.attempt),
            "source": event.source,
        }
        self._attempts[event.step, event.attempt] = cell
        self._cells.append(cell)

    def _finish(self, event: ev.AttemptFinished, at: str) -> None:
        cell = self._attempts[event.step, event.attempt]
        cell["execution_count"] = event.execution_count
        own = cell["metadata"]["nbrun"]
        own |= {"outcome": event.outcome, "finished": at, "duration": event.duration}
        for name in ("ename", "evalue", "shell_exit"):
            if getattr(event, name) is not None:
                own[name] = getattr(event, name)

    def _cap(self, event: ev.OutputCapped) -> None:
        """One remark an attempt, after it; a later event has what the one before had, and more."""
        key = event.step, event.attempt
        if key not in self._capped:
            self._markdown("")
            self._capped[key] = self._cells[-1]
        where = f"{wording.step(self._state, event.step)}, attempt {event.attempt}"
        self._capped[key]["source"] = f"**{_md(where)}**: {_md(wording.capped(event))}"
        own = self._attempts[key]["metadata"]["nbrun"]
        own["not_kept"] = {"outputs": event.outputs, "bytes": event.bytes, "sha256": event.sha256}

    def _deviate(self, event: ev.Deviated) -> None:
        attempt = self._state.attempt
        if attempt is not None and attempt.step == event.step:
            cell = self._attempts[attempt.step, attempt.attempt]
            cell["metadata"]["nbrun"]["deviations"].append(event.kind)

    def _decide(self, event: ev.Decided, at: str, stop: ev.Stopped | None) -> None:
        for step in self._passed_by(event, stop):
            self._narrate(step)
        told = event.decision
        target = event.step or (stop.step if stop else None)
        if target is not None:
            told += f" · {wording.step(self._state, target)}"
        self._remark(
            at, f"**{_md(told)}** by {_md(wording.operator(event.operator))}", event.reason
        )

    def _passed_by(self, event: ev.Decided, stop: ev.Stopped | None) -> list[str]:
        if event.decision in ("skip", "done") and stop is not None and stop.step is not None:
            return [stop.step]
        return []

    def _narrate(self, step: str) -> None:
        """The Markdown before a step, once, where the run first passed it."""
        known = self._state.steps.get(step)
        if known is not None and step not in self._narrated:
            self._narrated.add(step)
            self._cells += map(_narration, known.step.narration)
            if known.step.contract.manual:
                self._cells.append(_by_hand(known.step))

    def _remark(self, at: str, what: str, why: str) -> None:
        quoted = "".join(f"\n> {_md_line(line)}  " for line in why.splitlines())
        self._markdown(f"{what} at {wording.moment(at)}" + (f"\n{quoted}" if quoted else ""))

    def _markdown(self, source: str) -> None:
        self._cells.append(_markdown(self._next_id(), source))

    def _next_id(self) -> str:
        return f"nbrun-{len(self._cells) + 1}"

    # ── the whole ────────────────────────────────────────────────────────────────────────────

    def document(self) -> dict[str, Any]:
        plan = self._state.plan
        if self._state.current is None and self._state.finished is not None:
            self._cells += map(_narration, plan.epilogue)
        cells = [self._head(), *self._cells, *self._never_run()]
        info = self._state.kernel_info
        metadata = dict(plan.metadata)
        if info is not None and info.language_info.get("name"):
            metadata["language_info"] = info.language_info
        metadata["nbrun"] = {**_own(plan.metadata), **self._summary()}
        return {
            "cells": _unique(cells),
            "metadata": metadata,
            "nbformat": NBFORMAT[0],
            "nbformat_minor": NBFORMAT[1],
        }

    def _summary(self) -> dict[str, Any]:
        finished = self._state.finished
        return {
            "run": self._state.plan.run,
            "outcome": finished.outcome if finished else None,
            "off_script": self._state.off_script,
            "parameters": self._state.plan.parameters,
        }

    def _head(self) -> dict[str, Any]:
        plan, finished = self._state.plan, self._state.finished
        rows = [
            ("Runbook", plan.runbook),
            ("SHA-256", plan.runbook_sha256),
            ("Git commit", plan.git_commit or ""),
            ("Started", f"{wording.moment(self._began_at)} by {wording.operator(plan.operator)}"),
            ("Host", plan.host),
            ("Folder", plan.cwd),
            ("Kernel", plan.kernelspec),
            ("Role", plan.role.name if plan.role else ""),
            *((f"Parameter {name}", _json(value)) for name, value in plan.parameters.items()),
            ("Reason", plan.reason),
            ("Ticket", plan.ticket),
            ("Ended", f"{wording.outcome(finished)}: {finished.why}" if finished else "not yet"),
            ("Took", wording.duration(finished.duration) if finished else ""),
            *(("Off script", wording.deviation(self._state, d)) for d in self._state.deviations),
        ]
        table = "".join(f"| {_md(name)} | {_md(value)} |\n" for name, value in rows if value)
        return _markdown("nbrun-head", f"# Run {_md(plan.run)}\n\n| | |\n|---|---|\n{table}")

    def _never_run(self) -> list[dict[str, Any]]:
        steps = wording.not_run(self._state)
        if not steps:
            return []
        cells = [_markdown("nbrun-not-run", "## Steps that were never run")]
        for step in steps:
            own = {
                "step": step.step.id,
                "outcome": "not_run",
                "why": wording.why_not_run(self._state, step),
            }
            told = f"{label(self._state, step.step.id)}: {own['why']}"
            if step.step.contract.manual:
                made = _markdown(
                    f"nbrun-not-run-{step.step.number}", f"{_md(told)}\n\n{step.step.source}"
                )
                cells.append(made | {"metadata": {"nbrun": own, "tags": ["nbrun-not-run"]}})
                continue
            cells.append(
                {
                    "cell_type": "code",
                    "id": f"nbrun-not-run-{step.step.number}",
                    "execution_count": None,
                    "metadata": {
                        **step.step.metadata,
                        "nbrun": {**_own(step.step.metadata), **own},
                        "tags": list(dict.fromkeys([*step.step.tags, "nbrun-not-run"])),
                    },
                    "outputs": [],
                    "source": f"# {told}\n{step.step.source}",
                }
            )
        return cells


def _by_hand(step: terms.Step) -> dict[str, Any]:
    """A step that a person does, as the runbook has it."""
    metadata = {**step.metadata, "tags": list(step.tags)}
    return _markdown(step.id, step.source) | {"metadata": metadata}


def _narration(cell: terms.Narration) -> dict[str, Any]:
    made = {"cell_type": cell.kind, "id": cell.id, "metadata": cell.metadata, "source": cell.source}
    return made | ({"attachments": cell.attachments} if cell.attachments else {})


def _markdown(id_: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": source}


def _own(metadata: dict[str, Any]) -> dict[str, Any]:
    """What the runbook itself says under nbrun's key."""
    found = metadata.get("nbrun")
    return found if isinstance(found, dict) else {}


def _unique(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells whose ids differ, where a runbook's own id is like one made here."""
    taken: set[str] = set()
    for cell in cells:
        numbered = (f"{cell['id'][:50]}-{number}" for number in count(2))
        cell["id"] = next(id_ for id_ in chain([cell["id"]], numbered) if id_ not in taken)
        taken.add(cell["id"])
    return cells


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#+!|~$&"})


def _md(text: str) -> str:
    """Text that a Markdown cell shows as it is, on one line."""
    return " ".join(text.translate(_MARKDOWN).split())


def _md_line(text: str) -> str:
    """The same at the start of a line, where a list or the underline of a heading may begin."""
    return re.sub(r"^(\d*)([-=.)])", r"\1\\\2", _md(text))
