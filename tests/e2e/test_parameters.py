"""Parameters with a schema: asked for on a terminal, validated, completed by a shell."""

import json
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from nbrun.cli.main import app
from nbrun.core import events as ev
from nbrun.errors import UsageError
from tests.support.build_notebooks import PYTHON, code
from tests.support.terminal import Desk

SCHEMA: dict[str, Any] = {
    "properties": {
        "db": {"type": "string", "enum": ["blue", "green"], "description": "which database"},
        "days": {"type": "integer", "minimum": 1, "maximum": 90},
        "mode": {"enum": ["dry", "real"], "default": "dry"},
    },
    "required": ["db"],
}


@pytest.fixture
def book(desk: Desk) -> Desk:
    desk.book(
        code("db = ''\ndays = 7  # how long\nhosts = ['a']", tags=["parameters"]),
        code("print([db, days, mode, hosts])", id="show"),
        metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}},
    )
    return desk


@pytest.mark.sweep
def test_missing_parameter_is_asked_for_until_valid(book: Desk) -> None:
    terminal = book.start("-p", "days=30")
    terminal.until("db (blue | green): which database")
    terminal.answer("db:", "red")
    terminal.until("'red' is not one of ['blue', 'green']")
    terminal.answer("db:", "green")
    assert terminal.wait() == 0
    assert book.printed("show") == "['green', 30, 'dry', ['a']]\n"
    assert book.events(ev.RunStarted)[0].parameters == {"db": "green", "days": 30, "mode": "dry"}


def test_ctrl_c_at_a_parameter_question_runs_nothing(book: Desk) -> None:
    terminal = book.start()
    terminal.prompted("db:")
    terminal.press("ctrl-c")
    assert terminal.wait() == 130
    assert not book.runs.exists()


@pytest.mark.sweep
def test_keys_typed_before_a_question_do_not_answer_it(book: Desk) -> None:
    terminal = book.start()
    terminal.type_ahead("green\n")
    terminal.answer("db:", "blue")
    assert terminal.wait() == 0
    assert book.printed("show").startswith("['blue'")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "the runbook requires db"),
        (("-p", "db=red"), "'red' is not one of ['blue', 'green']"),
        (("-p", "db=@prompt"), "no terminal to ask on"),
    ],
)
def test_unattended_missing_or_invalid_parameter_is_refused(
    book: Desk, options: tuple[str, ...], said: str
) -> None:
    ended = book.unattended(*options)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert not book.runs.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("days=0", "less than the minimum of 1"),
        ("days=nan", "expected an int"),
        ("import=1", "not a valid parameter name"),
        ("__class__=1", "not a valid parameter name"),
    ],
)
def test_plan_refuses_what_start_refuses(book: Desk, given: str, said: str) -> None:
    path = str(book.folder / "runbook.ipynb")
    asked = CliRunner().invoke(app, ["plan", path, "-p", "db=blue", "-p", given])
    assert isinstance(asked.exception, UsageError), asked.output
    assert said in str(asked.exception)


KINDS = {
    "properties": {
        "host": {"pattern": "^[a-z0-9-]+$"},
        "ip": {"format": "ipv4"},
        "ports": {"type": "array", "items": {"type": "integer"}},
        "limits": {"type": "object", "required": ["cpu"]},
        "rate": {"type": "number", "exclusiveMaximum": 1},
        "full": {"type": "boolean"},
        "token": {"writeOnly": True},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("host=$(id)", "does not match"),
        ("host=db1\n", "does not match"),
        ("ip=10.0.0.256", "is not a 'ipv4'"),
        ('ports=["a"]', "not of type 'integer'"),
        ("limits={}", "'cpu' is a required property"),
        ("rate=1", "greater than or equal to the maximum of 1"),
        ("rate=nan", "expected a float"),
        ("full=yes", "expected a bool"),
        ("token=hunter2-hunter2", "every user can read the command line"),
        ("other=1", "not declared"),
        ("import=1", "not a valid parameter name"),
    ],
)
def test_each_schema_key_refuses_an_invalid_value(desk: Desk, given: str, said: str) -> None:
    cell = code("other = 0", tags=["parameters"])
    path = desk.book(cell, metadata={**PYTHON, "nbrun": {"parameters": KINDS}})
    asked = CliRunner().invoke(app, ["plan", str(path), "-p", given])
    assert isinstance(asked.exception, UsageError), asked.output
    assert said in str(asked.exception)
    assert "hunter2" not in str(asked.exception)


def test_valid_values_of_each_schema_key_arrive_exactly(desk: Desk) -> None:
    path = desk.book(code("1"), metadata={**PYTHON, "nbrun": {"parameters": KINDS}})
    given = {
        "host": "db-1",
        "ip": "10.0.0.255",
        "ports": "[1, 2]",
        "limits": '{"cpu": 2, "{x}": "$(id)"}',
        "rate": "0.5",
        "full": "true",
    }
    words = [word for name, text in given.items() for word in ("-p", f"{name}={text}")]
    asked = CliRunner().invoke(app, ["plan", str(path), "--json", *words])
    assert asked.exit_code == 0, asked.output
    assert json.loads(asked.stdout)["parameters"] == {
        "host": "db-1",
        "ip": "10.0.0.255",
        "ports": [1, 2],
        "limits": {"cpu": 2, "{x}": "$(id)"},
        "rate": 0.5,
        "full": True,
    }
    closed = CliRunner().invoke(app, ["plan", str(path), "-p", "other=1", "--undeclared"])
    assert "additionalProperties is false" in str(closed.exception)


def test_command_line_overrides_environment_overrides_file(
    book: Desk,
) -> None:
    book.variables |= {"NBRUN_PARAM_DAYS": "2", "NBRUN_PARAM_DB": "blue", "NBRUN_PARAM_DAYZ": "3"}
    (book.folder / "v.yaml").write_text("days: 1\nmode: real\nhosts: [no, on, 007]\n")
    ended = book.unattended("-f", "v.yaml", "-p", "db=green")
    assert ended.returncode == 0, ended.stderr
    assert book.printed("show") == "['green', 2, 'real', ['no', 'on', '007']]\n"
    assert "NBRUN_PARAM_DAYZ is set, and this runbook has no such parameter" in ended.stdout


def test_hostile_texts_arrive_exactly(desk: Desk) -> None:
    texts = ['it\'s "quoted"', "two\nlines", "$(id)", "`id`", "{db}", "nan", "@home", "\\n", "☃"]
    values = {f"x{number}": text for number, text in enumerate(texts)}
    declared = "\n".join(f"{name} = ''" for name in values)
    shown = code(f"print(ascii([{', '.join(values)}]))", id="show")
    desk.book(code(declared, tags=["parameters"]), shown)
    given = {name: f"@{text}" if text[0] == "@" else text for name, text in values.items()}
    words = [word for name, text in given.items() for word in ("-p", f"{name}={text}")]
    assert desk.unattended(*words).returncode == 0
    assert desk.printed("show") == ascii(texts) + "\n"


def test_help_parameters_lists_parameters_and_runs_nothing(book: Desk) -> None:
    told = book.command("start", "runbook.ipynb", "--help-parameters")
    assert told.returncode == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in told.stdout.splitlines()}
    assert rows["db"] == "db blue | green (must be given) which database"
    assert rows["days"] == "days int, at least 1, at most 90 7 how long"
    assert rows["mode"] == "mode dry | real dry"
    assert rows["hosts"] == "hosts JSON list ['a']"
    assert not book.runs.exists()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["-p", "d"], ["db=", "days="]),
        (["-p", "db", "="], ["blue", "green"]),
        (["-p", "db", "=", "b"], ["blue"]),
        (["-p", "nothing", "=", "b"], []),
    ],
)
def test_bash_completes_names_and_choices(book: Desk, words: list[str], offered: list[str]) -> None:
    """Complete as bash does: it splits words at `=`, and joins them by newlines."""
    line = ["nbrun", "start", "runbook.ipynb", *words]
    asked = subprocess.run(
        [sys.executable, "-m", "nbrun"],
        cwd=book.folder,
        env=book.environment()
        | {
            "_NBRUN_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(line),
            "COMP_CWORD": str(len(line) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.split() == offered
