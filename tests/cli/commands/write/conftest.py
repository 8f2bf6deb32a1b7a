"""A runbook in the working directory, and a runner of commands, for the tests beside it."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nbrun.cli.main import app
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write

DROP = {"confirm": "Drop {db}?", "type": "{db}", "impact": "destructive", "timeout": 90}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    schema = {"properties": {"db": {}, "token": {"type": "string", "writeOnly": True}}}
    return write(
        tmp_path,
        notebook(
            code("db = 'blue'; token = ''", id="p", tags=["parameters"]),
            markdown("Call.", id="call", tags=["manual"]),
            code("1 / 0", id="drop", metadata={"nbrun": DROP}),
            code("open('ran', 'w')", id="look", metadata={"nbrun": {"impact": "none"}}),
            metadata=PYTHON | {"nbrun": {"parameters": schema}},
        ),
    )


def run(*words: str) -> Any:
    return CliRunner().invoke(app, words, env={"VAULT": "hunter2-hunter2"})
