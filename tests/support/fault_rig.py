"""A whole run in this process with a scripted kernel: hundreds of runs take seconds.

Folder, journal, notebook and engine are real.
"""

from pathlib import Path
from typing import Any

import msgspec

from nbrun.audit.verify import Trust, Verification, verify
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision
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
EFFECTS = ["step_1()", "step_2()", "step_2()", "step_3()"]  # of a whole run without faults


class Rig(EngineRun):
    """A run whose `effects` are the sources that the kernel ran, in order.

    At each of them, the rig checks that the start of the attempt is in the file.
    """

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
        """Run to the end; return the error that ended the run early, or None."""
        plan = run_started(3, run=self.directory.id, runbook="restore.ipynb")
        try:
            self.engine.run(plan)
        except NbrunError as failure:
            return failure
        return None

    def verify(self) -> Verification:
        return verify(self.directory, Trust(), notebook.digest)

    def is_notebook_complete(self) -> bool:
        """Return True if the notebook does not exist or is valid JSON to its last byte."""
        path = self.directory.notebook("restore.ipynb")
        if path.exists():
            msgspec.json.decode(path.read_bytes())
        return True


def start(runs: Path) -> Rig | NbrunError:
    """Create a run in `runs`, or return the error."""
    try:
        return Rig(runs)
    except NbrunError as failure:
        return failure


def complete_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


__all__ = ["EFFECTS", "Journal", "Rig", "complete_lines", "start"]
