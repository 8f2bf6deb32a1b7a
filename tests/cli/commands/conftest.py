"""Fixtures: a folder of runs, with journals that are built and not run."""

import pytest

from tests.support.run_builder import Run, step, stream


@pytest.fixture
def runs_dir(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def keep(runs_dir):
    """Write a tale as the run with that id. Return the path of its journal."""

    def kept(tale, run="20261123-093000-restore-ab12"):
        (runs_dir / run).mkdir()
        return tale.write(runs_dir / run / "journal.jsonl")

    return kept


@pytest.fixture
def tale():
    """A run that failed, was retried and completed."""
    made = Run(step("a", "a()"), step("b", "b()"), parameters={"host": "db1"})
    made.attempt("a", stream("one\n")).failure("b").decide("retry", reason="again")
    return made.attempt("b", stream("two\n"), cause="operator").finish()
