"""Notebooks that papermill executes with the engine `nbrun`: real supervisors, real kernels."""

import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import call, patch

import nbformat
import papermill
import pytest
from papermill.engines import NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.log import logger

from nbrun.core import events as ev
from nbrun.integrations.papermill_engine.engine import NbrunEngine
from nbrun.journal.reader import JournalReader
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write

SECRET = "correct-horse-battery"
SCHEMA = {"nbrun": {"parameters": {"properties": {"token": {"type": "string", "writeOnly": True}}}}}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NBRUN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def events(record: str) -> list[ev.Event]:
    return [each.event for each in JournalReader(Path(record, "journal.jsonl"))]


def simple() -> Any:
    """Return papermill's own `simple_execute`, a parameter, its use and prose, with a secret."""
    return notebook(
        code('msg = "Hi"\ntoken = ""', id="a", tags=["parameters"]),
        code("# papermill_description=DESC\nprint(msg, len(token), token)", id="b"),
        markdown("The end", id="c"),
        metadata=PYTHON | SCHEMA,
    )


def test_engine_is_registered_by_its_entry_point() -> None:
    assert papermill_engines.get_engine("nbrun") is NbrunEngine


def test_completed_notebook_is_papermills_own_with_a_record_beside_it(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    given = {"msg": "Ho", "token": "@env:TOKEN"}
    path = write(runs.parent, simple())
    with (
        patch.object(logger, "info") as info,
        patch.object(logger, "warning") as warning,
        patch.object(NotebookExecutionManager, "save") as save,
    ):
        nb = papermill.execute_notebook(
            path, "out.ipynb", given, "nbrun", log_output=True, progress_bar=False
        )
    assert [cell.metadata.papermill.status for cell in nb.cells] == ["completed"] * 4
    assert all(cell.metadata.papermill.duration is not None for cell in nb.cells)
    assert nb.metadata.papermill.exception is None
    assert save.call_count == 10  # at the start, before and after each cell, and at the end
    warning.assert_not_called()
    info.assert_has_calls(
        [
            call("Executing notebook with kernel: python3"),
            call("Executing Cell 1---------------------------------------"),
            call("Ending Cell 1------------------------------------------"),
            call("Executing Cell 2---------------------------------------"),
            call("Ending Cell 2------------------------------------------"),
            call("Executing Cell 3---------------------------------------"),
            call(f"Ho {len(SECRET)} [secret:token]\n"),
            call("Ending Cell 3------------------------------------------"),
        ]
    )
    named = nb.metadata.papermill.nbrun
    assert Path(named.record).parent == runs
    started = events(named.record)[0]
    assert isinstance(started, ev.RunStarted)
    assert started.run == named.run
    assert started.runbook_sha256 == sha256(path.read_bytes()).hexdigest()
    assert started.parameters["msg"] == "Ho"
    # `save` wrote nothing but at the end, when papermill writes by itself
    files = [Path("out.ipynb"), *(each for each in Path(named.record).iterdir() if each.is_file())]
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def test_failed_cell_raises_papermills_error_and_marks_the_notebook(runs: Path) -> None:
    cells = code("1 + 1", id="a"), code("1 / 0", id="b"), code("print('never')", id="c")
    path = write(runs.parent, notebook(*cells))
    with pytest.raises(PapermillExecutionError, match="ZeroDivisionError") as raised:
        papermill.execute_notebook(path, "out.ipynb", engine_name="nbrun", progress_bar=False)
    assert (raised.value.cell_index, raised.value.exec_count) == (1, 2)
    out: Any = nbformat.read("out.ipynb", 4)  # type: ignore[no-untyped-call]
    assert [cell.cell_type for cell in out.cells] == ["markdown", "code", "markdown", *["code"] * 2]
    assert out.cells[-1].metadata.papermill.status == "pending"
    assert not out.cells[-1].outputs
    finished = events(out.metadata.papermill.nbrun.record)[-1]
    assert isinstance(finished, ev.RunFinished)
    assert finished.outcome == "failed"


def test_notebook_without_code_completes_as_in_papermill(runs: Path) -> None:
    path = write(runs.parent, notebook(markdown("# Only prose", id="m"), code("", id="a")))
    nb = papermill.execute_notebook(path, None, engine_name="nbrun", progress_bar=False)
    assert [cell.metadata.papermill.status for cell in nb.cells] == ["completed"] * 2
    assert not runs.exists()


@pytest.mark.sweep
def test_notebook_without_a_file_and_a_time_limit(runs: Path) -> None:
    cell = code("import time; time.sleep(60)", id="a")
    node: Any = nbformat.from_dict(notebook(cell))  # type: ignore[no-untyped-call]
    with pytest.raises(PapermillExecutionError, match="did not end within its 1 s"):
        papermill.execute_notebook(
            node, None, engine_name="nbrun", progress_bar=False, execution_timeout=1
        )
    (record,) = runs.glob("*/journal.jsonl")
    started = events(str(record.parent))[0]
    assert isinstance(started, ev.RunStarted)
    assert sha256(Path(started.runbook).read_bytes()).hexdigest() == started.runbook_sha256


@pytest.mark.sweep
def test_run_is_cancelled_when_papermill_is_killed(runs: Path) -> None:
    reached = runs.parent / "reached"
    source = f"import pathlib, time; pathlib.Path({str(reached)!r}).touch(); time.sleep(600)"
    path = write(runs.parent, notebook(code(source, id="a"), code("print('never')", id="b")))
    command = [sys.executable, "-m", "papermill", "--engine", "nbrun", str(path), "out.ipynb"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not reached.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait(10)
    (journal,) = runs.glob("*/journal.jsonl")
    while b'"run.finished"' not in journal.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    last = events(str(journal.parent))[-1]
    assert isinstance(last, ev.RunFinished)
    assert (last.outcome, last.counts["attempts"]) == ("cancelled", 1)
    assert b"the process that started the run is gone" in journal.read_bytes()
