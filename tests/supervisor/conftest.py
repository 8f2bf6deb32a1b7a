"""Fixtures of the tests of the supervisor."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served_run import ServedRun


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedRun]:
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        served = ServedRun(tmp_path)
        yield served
        served.end()
        served.journal.close()
