"""A whole run in this process: real folder, journal, notebook and engine; only the kernel is told
what to say, so that hundreds of runs take seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nbrun.audit.verify import Trust, Verification, verify
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.errors import NbrunError
from nbrun.journal import run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.views.export import notebook
from tests.engine.test_engine import EngineRun, error, ok, prints
from tests.support.build_events import run_started

CELLS: dict[str, Any] = {
    "step_1()": [[prints("one\n"), ok()]],
    "step_2()": [[prints("two\n"), error()], [prints("two again\n"), ok()]],
    "step_3()": [[prints("three\n"), ok()]],
}
DECISIONS: tuple[Decision, ...] = (decisions.Retry(reason="again"),)
EFFECTS = ["step_1()", "step_2()", "step_2()", "step_3()"]  # of the whole run, undisturbed


class Rig(EngineRun):
    """`effects` are the sources that the kernel ran, in order; at each, that its start was in the
    file has been checked."""

    def __init__(self, runs: Path) -> None:
        self.directory: RunDirectory = run_directory.create(
            runs, run_directory.new_id(Path("restore.ipynb"))
        )
        super().__init__(self.directory.path, *DECISIONS, cells=CELLS)
        self.effects: list[str] = []
        self.kernel.on_execute = self.ran

    def ran(self, source: str) -> None:
        *_, last = [
            record.event
            for record in JournalReader(self.directory.journal)
            if isinstance(record.event, ev.AttemptStarted)
        ]
        assert last.source == source, "the kernel has code that the journal does not"
        self.effects.append(source)

    def save(self, end: ev.RunFinished | None) -> str | None:
        content = notebook.build(JournalReader(self.directory.journal), end)
        try:
            return notebook.save(self.directory.notebook("restore.ipynb"), (content,))
        except OSError:
            return None

    def perform(self) -> NbrunError | None:
        """The run, to its end; what ended it early."""
        plan = run_started(3, run=self.directory.id, runbook="restore.ipynb")
        try:
            self.engine.run(plan)
        except NbrunError as failure:
            return failure
        return None

    def publish(self, records: Sequence[Record]) -> None:
        super().publish(records)

    def verify(self) -> Verification:
        return verify(self.directory, Trust(), notebook.digest)

    def is_notebook_whole(self) -> bool:
        """The notebook is not there, or valid JSON to its last byte; nothing lies about."""
        path = self.directory.notebook("restore.ipynb")
        if path.exists():
            msgspec.json.decode(path.read_bytes())
        return True


def start(runs: Path) -> Rig | NbrunError:
    """A new run in `runs`, or why there is none."""
    try:
        return Rig(runs)
    except NbrunError as failure:
        return failure


def whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


__all__ = ["EFFECTS", "Journal", "Rig", "start", "whole_lines"]
