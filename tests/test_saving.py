"""The output notebook as an engine has it written: the journal's, whatever the engine knows."""

import hashlib
from pathlib import Path

import pytest

from nbrun import run_directory
from nbrun.reading import Reading
from nbrun.saving import saver
from nbrun.views import notebook
from tests.build import attempted, begun, run_finished, run_started, write


@pytest.mark.parametrize("reason", ["", "as it was before it was redacted"])
def test_the_notebook_that_is_written_is_the_journals(tmp_path: Path, reason: str) -> None:
    directory = run_directory.create(tmp_path, "20261123-093000-restore-ab12")
    events = [*begun(2), *attempted("s1"), *attempted("s2")]
    write(directory.journal, events)
    plan = run_started(2, reason=reason)
    assert (events[0] == plan) == (not reason)
    digest = saver(directory, plan)(run_finished())
    written = directory.notebook(plan.runbook).read_bytes()
    assert written == notebook.build(Reading(directory.journal), run_finished())
    assert digest == hashlib.sha256(written).hexdigest()
