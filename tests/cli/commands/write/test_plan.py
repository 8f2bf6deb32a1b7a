"""The command `nbrun plan`."""

import json
from pathlib import Path

import pytest

from nbrun.errors import NbrunError
from tests.cli.commands.write.conftest import run


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
