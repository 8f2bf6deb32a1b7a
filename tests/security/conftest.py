"""Fixtures of the tests of attacks."""

from pathlib import Path

import pytest

from tests.supervisor.conftest import run  # noqa: F401  a fixture
from tests.support.in_process import Command, command


@pytest.fixture
def nbrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return `nbrun` in the folder of the test, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBRUN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "200")
    return command(monkeypatch, capsys)
