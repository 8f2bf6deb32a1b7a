"""The commands `nbrun plan`, `nbrun check` and `nbrun new`, which run nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nbrun.cli.main import app
from nbrun.errors import NbrunError
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


def test_plan_shows_steps_gates_limits_and_parameters_and_runs_nothing(book: Path) -> None:
    told = run("plan", "runbook.ipynb", "-p", "db=green", "-p", "token=@env:VAULT")
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert "parameter db = 'green'" in lines
    assert "parameter token = '[secret:token]'" in lines
    assert "4 1 / 0 destructive confirm: Drop green? (type green) 1 min 30 s" in lines
    assert any("for a person to do manual" in line for line in lines)
    assert "5 steps · impact: 1 none, 1 destructive, 3 unknown" in lines
    assert "hunter2" not in told.output
    assert sorted(path.name for path in book.parent.iterdir()) == ["runbook.ipynb"]


def test_plan_as_json_has_the_same(book: Path) -> None:
    told = run("plan", "runbook.ipynb", "--json", "--yes-destructive", "-p", "token=@env:VAULT")
    assert told.exit_code == 0, told.output
    plan = json.loads(told.output)
    assert plan["parameters"] == {"token": "[secret:token]"}
    assert plan["impact"] == {"none": 1, "changes": 0, "destructive": 1, "unknown": 3}
    drop = plan["steps"][3]
    assert (drop["id"], drop["confirm"], drop["typed"]) == ("drop", "Drop blue?", "blue")
    assert drop["gate"] == "confirmed beforehand: Drop blue?"
    assert plan["steps"][2]["manual"] is True


@pytest.mark.parametrize("words", [["-p", "nothing=1"], ["--kernel", "nowhere"], ["--cwd", "no"]])
def test_plan_refuses_what_start_refuses(book: Path, words: list[str]) -> None:
    told = run("plan", "runbook.ipynb", *words)
    assert isinstance(told.exception, NbrunError)
    assert told.exception.exit_code == 2


def test_check_prints_findings_and_exits_with_2_for_errors(book: Path) -> None:
    path = write(book.parent, notebook(code("1", tags=["Setup"]), metadata=PYTHON), "warned.ipynb")
    told = run("check", "warned.ipynb")
    assert told.exit_code == 0
    assert told.output.startswith("warned.ipynb, cell 1: warning: the tag 'Setup' has no effect")
    assert run("check", "warned.ipynb", "--strict").exit_code == 2
    write(book.parent, notebook(code("if:"), metadata=PYTHON), "wrong.ipynb")
    told = run("check", "warned.ipynb", "wrong.ipynb", "--json")
    assert told.exit_code == 2
    found = [json.loads(line) for line in told.output.splitlines()]
    assert [each["rule"] for each in found] == ["tag", "syntax"]
    assert (found[1]["path"], found[1]["cell"], found[1]["line"]) == ("wrong.ipynb", 1, 1)
    assert path.exists()


def test_new_runbook_has_no_findings_and_overwrites_nothing(book: Path) -> None:
    told = run("new", "db-failover")
    assert told.output == "db-failover.ipynb\n"
    assert run("check", "db-failover.ipynb", "--strict").output == ""
    assert "# Db failover" in (book.parent / "db-failover.ipynb").read_text()
    again = run("new", "db-failover.ipynb")
    assert isinstance(again.exception, NbrunError)
    assert again.exception.exit_code == 2


@pytest.mark.parametrize("name", ['"quoted"', "back\\slash", "$(id)", "{x}"])
def test_new_runbook_with_hostile_name_has_no_findings(book: Path, name: str) -> None:
    run("new", name)
    assert run("check", f"{name}.ipynb", "--strict").exit_code == 0
