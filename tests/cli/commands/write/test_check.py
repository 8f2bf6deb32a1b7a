"""The command `nbrun check`."""

import json
from pathlib import Path

from tests.cli.commands.write.conftest import run
from tests.support.build_notebooks import PYTHON, code, notebook, write


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
