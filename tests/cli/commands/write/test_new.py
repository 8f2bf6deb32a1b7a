"""The command `nbrun new`."""

from pathlib import Path

import pytest

from nbrun.errors import NbrunError
from nbrun.runbook import loader
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


@pytest.mark.parametrize("arguments", [["db-failover", "--format", "md"], ["db-failover.md"]])
def test_new_markdown_runbook_has_no_findings(book: Path, arguments: list[str]) -> None:
    assert run("new", *arguments).output == "db-failover.md\n"
    assert run("check", "db-failover.md", "--strict").output == ""
    assert isinstance(run("new", *arguments).exception, NbrunError)


def test_new_markdown_runbook_has_the_steps_of_the_notebook(book: Path) -> None:
    run("new", "a.ipynb")
    run("new", "a.md")
    notebook, text = (loader.read(book.parent / name) for name in ("a.ipynb", "a.md"))
    wanted, found = notebook.node["cells"], text.node["cells"]
    assert [cell["source"].rstrip() for cell in found] == [c["source"].rstrip() for c in wanted]
    for cell, other in zip(found, wanted, strict=True):
        kept = {key: item for key, item in cell["metadata"].items() if key != "id"}
        assert kept == other["metadata"]
        if cell["metadata"]:
            assert cell["id"] == other["id"]
    assert text.metadata == notebook.metadata


@pytest.mark.parametrize("name", ["$(id)", "<!-- x", "a\n```sh\nid\n```", "# `x"])
def test_name_of_new_markdown_runbook_adds_no_code(book: Path, name: str) -> None:
    assert _sources(book.parent, name) == _sources(book.parent, "x")


def _sources(folder: Path, name: str) -> list[str]:
    run("new", name, "--format", "md")
    cells = loader.read(folder / f"{name}.md").node["cells"]
    return [cell["source"] for cell in cells if cell["cell_type"] == "code"]


def test_end_of_another_format_is_refused(book: Path) -> None:
    refused = run("new", "a.ipynb", "--format", "md")
    assert isinstance(refused.exception, NbrunError)
    assert "--format md needs a name without .ipynb" in str(refused.exception)
