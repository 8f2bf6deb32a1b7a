"""The command `nbrun new`."""

from pathlib import Path

import pytest

from nbrun.errors import NbrunError
from tests.cli.commands.write.conftest import run


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
