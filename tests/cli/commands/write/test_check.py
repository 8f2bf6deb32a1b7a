"""The command `nbrun check`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands.write.conftest import run
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write


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


def sheet(*cells: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook of nbformat 3."""
    worksheet = {"cells": list(cells), "metadata": {}}
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [worksheet]}


CODE_3 = {"cell_type": "code", "input": "a = 1", "outputs": [], "language": "python"}
DEFAULT = {"properties": {"a": {"type": "integer", "default": "x"}}}


@pytest.mark.parametrize(
    ("book", "accepted"),
    [
        (notebook(markdown("x", outputs=[]), code("1")), True),
        (notebook(code("1", surplus=1), surplus=1), True),
        (notebook(code("1", tags=["a", "a"])), True),
        (notebook(code("1"), metadata={"kernelspec": {"name": "python3"}}), True),
        (notebook(code("1"), nbformat_minor=9), True),
        (notebook({"cell_type": "code", "source": "1"}), True),
        (notebook(code("1"), metadata={}), False),
        (notebook(code("1"), metadata={"kernelspec": {"display_name": "Python 3"}}), False),
        (notebook(code("1", tags=["setup,confirm"])), False),
        (notebook(code("1", tags=None, metadata={"tags": None})), False),
        (notebook({"cell_type": "sql", "source": "1", "metadata": {}}, code("1")), False),
        (notebook(code(" ")), False),
        (notebook(code("1"), metadata={**PYTHON, "nbrun": {"parameters": DEFAULT}}), False),
        (sheet({**CODE_3, "metadata": {}}), False),
        (sheet({**CODE_3, "metadata": {"tags": ["parameters"]}}), False),
    ],
)
def test_check_and_start_agree(tmp_path: Path, book: dict[str, Any], accepted: bool) -> None:
    path = str(write(tmp_path, book))
    checked, planned = run("check", path), run("plan", path)
    assert (checked.exit_code == 0) is accepted, checked.output
    assert (planned.exit_code == 0) is accepted, planned.exception
    if not accepted:
        assert checked.exit_code == getattr(planned.exception, "exit_code", None) == 2


@pytest.mark.parametrize(
    "book",
    [
        notebook(code("1"), metadata={"kernelspec": {"display_name": "Python 3"}}),
        notebook(code("1"), metadata={"kernelspec": None}),
        sheet({**CODE_3, "metadata": {"tags": ["parameters"]}}),
    ],
)
def test_notebook_without_kernel_runs_with_option(tmp_path: Path, book: dict[str, Any]) -> None:
    path = str(write(tmp_path, book))
    told = run("plan", path, "--kernel", "python3")
    assert told.exit_code == 0, told.exception


def test_ignored_faults_are_one_warning_each(tmp_path: Path) -> None:
    path = str(write(tmp_path, notebook(*[markdown("x", outputs=[])] * 3, code("1"))))
    told = run("check", path)
    expected = "warning: cells have keys that nbformat does not know (outputs × 3): ignored"
    assert told.output == f"{path}: {expected} [schema]\n"


def test_real_notebook_gets_one_finding_for_outputs_and_none_for_its_habits(tmp_path: Path) -> None:
    saved = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    cells = [
        code("    a = 1\n    b = 2", outputs=saved, tags=["vcp:parameters"]),
        code("query = '''\n%s\n''' % 1"),
        code("token_file = '/run/secrets/token'\npassword = '<password>'", outputs=saved),
        code("!docker run -e SA_PASSWORD=Str0ng!Pass mssql\n%env API_SECRET=hunter2"),
    ]
    path = str(write(tmp_path, notebook(*cells)))
    told = run("check", path, "--json")
    found = [json.loads(line) for line in told.output.splitlines()]
    assert [(each["cell"], each["line"], each["rule"]) for each in found] == [
        (None, None, "output"),
        (4, 1, "secret"),
        (4, 2, "secret"),
    ]
