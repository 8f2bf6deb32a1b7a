"""The output notebook's bytes for journals that hold every event that a notebook shows.

`nbrun verify` makes the notebook of an old record again and compares, so these files never change.
"""

from pathlib import Path

import pytest

from nbrun.journal.reader import JournalReader
from nbrun.views.export import notebook

JOURNALS = Path(__file__).parent / "journals"


@pytest.mark.parametrize("name", ["finished", "resumed"])
def test_notebook_of_recorded_journal_keeps_its_bytes(name: str) -> None:
    made = notebook.build(JournalReader(JOURNALS / f"{name}.jsonl"))
    assert made == (JOURNALS / f"{name}-notebook.json").read_bytes()
