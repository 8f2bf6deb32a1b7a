"""Saving the output notebook of a run from its journal."""

import hashlib
from pathlib import Path

import pytest

from nbrun.journal import run_directory
from nbrun.journal.reader import JournalReader
from nbrun.supervisor.notebook_writer import notebook_saver
from nbrun.views.export import notebook
from tests.support.build_events import attempted, begun, run_finished, run_started, write


@pytest.mark.parametrize("reason", ["", "as it was before it was redacted"])
def test_saved_notebook_is_built_from_the_journal(tmp_path: Path, reason: str) -> None:
    directory = run_directory.create(tmp_path, "20261123-093000-restore-ab12")
    events = [*begun(2), *attempted("s1"), *attempted("s2")]
    write(directory.journal, events)
    plan = run_started(2, reason=reason)
    assert (events[0] == plan) == (not reason)
    digest = notebook_saver(directory, plan)(run_finished())
    written = directory.notebook(plan.runbook).read_bytes()
    assert written == notebook.build(JournalReader(directory.journal), run_finished())
    assert digest == hashlib.sha256(written).hexdigest()
