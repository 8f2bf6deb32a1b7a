"""An error that IPython shows without ending the cell fails the step."""

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

OUTPUT = "from ipywidgets import Output\nwith Output():\n    1 / 0"
BAD_DISPLAY = "class Bad:\n    def _repr_html_(self): raise KeyError('no picture')\n"
CALLBACK = (
    "def fail(*_): 1 / 0\n"
    "get_ipython().events.register('post_run_cell', fail)\n"
    "get_ipython().events.register('pre_run_cell', lambda *_: None)"
)

FAILING = {
    "run": ("%run fails.py", "ZeroDivisionError: division by zero"),
    "run a module": ("%run -m fails", "ZeroDivisionError: division by zero"),
    "run, exit code": ("%run exits.py", "SystemExit: 3"),
    "run a notebook": ("%run fails.ipynb", "ZeroDivisionError: division by zero"),
    "capture": ("%%capture\n1 / 0", "ZeroDivisionError: division by zero"),
    "widget": (OUTPUT, "ZeroDivisionError: division by zero"),
    "interact": (
        "from ipywidgets import interact\n@interact(n=(0, 1))\ndef show(n): 1 / 0",
        "ZeroDivisionError: division by zero",
    ),
    "nested cell": ("get_ipython().run_cell('1 / 0')", "ZeroDivisionError: division by zero"),
    "nested syntax": ("get_ipython().run_cell('1 +')", "SyntaxError: "),
    "unknown magic": ("%%capture\n%nosuchmagic", "UsageError: "),
    "cd": ("%cd /no/such/folder", "FileNotFoundError: "),
    "pushd": ("%pushd /no/such/folder", "FileNotFoundError: "),
    "cd into history": ("%cd -7", "IndexError: "),
    "no program": ("%%script nosuchprogram\n1", "FileNotFoundError: "),
    "no program in the background": ("%%script nosuchprogram --bg\n1", "FileNotFoundError: "),
    "display": (BAD_DISPLAY + "from IPython.display import display\ndisplay(Bad())", "KeyError: "),
    "value": (BAD_DISPLAY + "Bad()", "KeyError: "),
    "callback": (CALLBACK, "ZeroDivisionError: division by zero"),
}


def book(desk: Desk, source: str, **keys: object) -> None:
    write_scripts(desk)
    desk.book(code(source, id="bad", **keys), code("print('next')", id="next"))


def write_scripts(desk: Desk) -> None:
    (desk.folder / "fails.py").write_text("1 / 0")
    (desk.folder / "exits.py").write_text("import sys; sys.exit(3)")
    (desk.folder / "catches.py").write_text("try:\n    1 / 0\nexcept ZeroDivisionError:\n    pass")
    (desk.folder / "ends.py").write_text("import sys; sys.exit(0)")
    desk.book(code("1 / 0"), code("never()")).rename(desk.folder / "fails.ipynb")


@pytest.mark.sweep
def test_error_that_nobody_caught_fails_the_step(desk: Desk) -> None:
    book(desk, "%run fails.py")
    ended = desk.unattended()
    assert ended.returncode == 4, ended.stdout
    assert desk.attempts() == [("bad", 1, "error")]
    assert "ZeroDivisionError: division by zero" in ended.stdout
    assert "tag the cell nested-errors-ok, or start with --nested-errors ignore" in " ".join(
        ended.stdout.split()
    )


@pytest.mark.sweep
def test_each_nested_error_is_the_outcome_of_its_step(desk: Desk) -> None:
    write_scripts(desk)
    goes_on = {"tags": ["raises-exception"]}  # so that one kernel runs them all
    desk.book(*(code(source, **goes_on) for source, _ in FAILING.values()))
    shown = desk.unattended().stdout
    attempts = desk.events(ev.AttemptFinished)
    for (name, (_, error)), attempt in zip(FAILING.items(), attempts, strict=True):
        assert attempt.outcome == "error", name
        assert attempt.nested_error is not None, name
        assert attempt.nested_error.startswith(error), name
        assert f"{attempt.ename}: {attempt.evalue}" == attempt.nested_error, name
        assert error in shown, name


CAUGHT = {
    "the cell caught it": "try:\n    1 / 0\nexcept ZeroDivisionError:\n"
    "    get_ipython().showtraceback()",
    "the script caught it": "%run catches.py",
    "the script ended well": "%run ends.py",
    "the cell asks for the last one": "%tb",
    "the cell changes the folder in a handler": "try:\n    1 / 0\nexcept ZeroDivisionError:\n"
    "    %cd /tmp",
    "the background script goes on": "%%bash --bg\nsleep 1",
}


@pytest.mark.sweep
def test_error_that_was_caught_fails_nothing(desk: Desk) -> None:
    write_scripts(desk)
    desk.book(
        code("1 / 0", id="first", tags=["raises-exception"]),
        *(code(source, id=f"fine{number}") for number, source in enumerate(CAUGHT.values())),
        code("1", id="last"),
    )
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert [outcome for _, _, outcome in desk.attempts()] == ["error", *["ok"] * (len(CAUGHT) + 1)]
    assert {each.nested_error for each in desk.events(ev.AttemptFinished)} == {None}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("tags", "options"), [(["nested-errors-ok"], []), ([], ["--nested-errors", "ignore"])]
)
def test_nested_error_can_be_allowed(desk: Desk, tags: list[str], options: list[str]) -> None:
    book(desk, "%run fails.py\n%run exits.py", tags=tags)
    ended = desk.unattended(*options)
    assert ended.returncode == 0, ended.stdout
    assert "ZeroDivisionError: division by zero, which is allowed here" in ended.stdout
    assert desk.attempts() == [("bad", 1, "ok"), ("next", 1, "ok")]
    cell = desk.code_cells()[0]
    assert cell.metadata.nbrun.nested_error == "ZeroDivisionError: division by zero"


def test_raises_exception_allows_a_nested_error(desk: Desk) -> None:
    book(desk, "%run fails.py", tags=["raises-exception"])
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert "failed as the runbook allows" in ended.stdout


def test_nested_error_counts_if_the_cell_then_ends_the_run(desk: Desk) -> None:
    book(desk, "%run fails.py\nimport sys; sys.exit(0)")
    assert desk.unattended().returncode == 4
    assert desk.attempts() == [("bad", 1, "error")]


def test_background_script_that_fails_at_once_fails_its_step(desk: Desk) -> None:
    book(desk, "%%bash --bg\nexit 3")
    ended = desk.unattended()
    assert ended.returncode == 4, ended.stdout
    assert "shell command 1 of 1 exited with 3" in ended.stdout


@pytest.mark.sweep
def test_background_script_that_fails_later_is_named_in_the_output(desk: Desk) -> None:
    desk.book(
        code("%%bash --bg\nsleep 0.5; exit 3", id="starts"),
        code("import time; time.sleep(2)", id="waits"),
    )
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    late = [each for each in desk.events(ev.Output) if each.late]
    assert [(each.step, each.output["text"]) for each in late] == [
        ("starts", "a background script ended with exit code 3\n")
    ]
