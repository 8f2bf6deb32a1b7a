"""The command `nbrun plan`."""

import json
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import NbrunError
from tests.cli.commands.write.conftest import run
from tests.support.build_notebooks import code, notebook, write

TYPES = """
when: datetime.date = datetime.date(2026, 1, 1)
until = datetime.datetime.now()
count = None  # type: int
most: Optional[int] = None
mode: Literal["dry", "real"] = "dry"
day: Optional[datetime.date] = None
name: Optional[str] = None
"""


def test_plan_shows_steps_gates_limits_and_parameters_and_runs_nothing(book: Path) -> None:
    told = run("plan", "runbook.ipynb", "-p", "db=green", "-p", "token=@env:VAULT")
    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert "parameter db = 'green'" in lines
    assert "parameter token: from the environment variable VAULT, not read" in lines
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
    assert plan["sources"] == {"token": "from the environment variable VAULT, not read"}
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


@pytest.mark.parametrize(
    ("given", "value"),
    [("count=5", 5), ("most=none", None), ("most=7", 7), ("day=none", None), ("name=none", "none")],
)
def test_value_arrives_as_annotation_or_type_comment_says(
    tmp_path: Path, given: str, value: Any
) -> None:
    path = write(tmp_path, notebook(code(TYPES, tags=["parameters"])))
    told = run("plan", str(path), "--json", "-p", given)
    assert told.exit_code == 0, told.exception
    assert json.loads(told.output)["parameters"] == {given.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("when=2026-05-01", "declared as datetime.date, which nbrun can't pass: declare it as str"),
        ("until=2026-05-01", "declared as datetime.datetime, which nbrun can't pass"),
        ("day=2026-05-01", "declared as datetime.date"),
        ("count=many", "expected an int"),
        ("most=", "expected an int"),
        ("mode=wet", "'wet' is not one of ['dry', 'real']"),
    ],
)
def test_value_of_other_type_is_refused(tmp_path: Path, given: str, said: str) -> None:
    path = write(tmp_path, notebook(code(TYPES, tags=["parameters"])))
    told = run("plan", str(path), "-p", given)
    assert said in str(told.exception)


@pytest.mark.parametrize("text", ["", "\n# days: 3\n", "---\n"])
def test_empty_parameters_file_is_refused(tmp_path: Path, book: Path, text: str) -> None:
    (tmp_path / "values.yaml").write_text(text)
    told = run("plan", str(book), "-f", "values.yaml")
    assert str(told.exception).startswith("values.yaml: has no values: write lines such as")


def test_value_that_second_parameters_cell_overwrites_is_refused(tmp_path: Path) -> None:
    cells = [code("a = 1", tags=["parameters"]), code("a = 2; b = 2", tags=["parameters"])]
    path = write(tmp_path, notebook(*cells))
    told = run("plan", str(path), "-p", "a=5")
    assert "parameter 'a': cell 2 is tagged as parameters too" in str(told.exception)
    told = run("plan", str(path))
    assert told.exit_code == 0
    assert "cell 2 is tagged as parameters like a cell before it" in told.output
    told = run("check", str(path))
    assert "cell 2: warning: tagged as parameters like a cell before it" in told.output


def test_value_goes_in_place_of_injected_cell_and_is_not_overwritten(tmp_path: Path) -> None:
    cells = [code("a = 1", tags=["parameters"]), code("a = 2", tags=["injected-parameters"])]
    path = write(tmp_path, notebook(*cells))
    assert run("plan", str(path), "-p", "a=5").exit_code == 0
    cells.append(code("a = 3", tags=["injected-parameters"]))
    told = run("plan", str(write(tmp_path, notebook(*cells))), "-p", "a=5")
    assert "cell 3 is tagged as parameters too" in str(told.exception)


def test_plan_of_a_text_without_header_takes_the_kernel_of_its_language(book: Path) -> None:
    (book.parent / "runbook.md").write_text("## Count\n\n```python\n1 + 1\n```\n")
    told = run("plan", "runbook.md")
    assert told.exit_code == 0, told.output
    assert "kernel python3" in " ".join(told.output.split())


def test_plan_of_a_text_whose_kernel_is_not_installed_names_the_installed(book: Path) -> None:
    (book.parent / "runbook.lua").write_text("-- %%\nprint(1)\n")
    told = run("plan", "runbook.lua")
    assert isinstance(told.exception, NbrunError)
    assert "none that runs lua is installed" in str(told.exception)
    assert "python3" in str(told.exception)
