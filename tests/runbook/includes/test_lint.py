"""`nbrun check` of a runbook that includes others."""

from pathlib import Path

from nbrun.runbook.lint import Finding, findings
from tests.support.build_notebooks import code, markdown, notebook, write
from tests.support.includes import include


def inner(folder: Path, source: str = "act(host)") -> Path:
    cells = [code("host: str", id="p", tags=["parameters"]), code(source, id="act")]
    return write(folder, notebook(*cells), "inner.ipynb")


def found(path: Path) -> list[str]:
    return [str(each) for each in findings(path, {}, unattended=False)]


def test_good_include_has_no_findings_and_uses_the_parameter(tmp_path: Path) -> None:
    head = code("db: str\nregion = 'eu'", id="p", tags=["parameters"])
    cell = include(inner(tmp_path), host="{db}-{region}")
    assert found(write(tmp_path, notebook(head, cell))) == []


def test_every_fault_of_an_include_names_file_and_cell(tmp_path: Path) -> None:
    cells = [
        include(inner(tmp_path), id="a", host=1, hots=2),
        markdown("", id="b", metadata={"nbrun": {"include": "inner.ipynb"}}),
    ]
    path = write(tmp_path, notebook(*cells))
    told = findings(path, {}, unattended=False)
    places = [(each.path, each.cell, each.level, each.rule) for each in told]
    assert sorted(places) == [
        (str(path), 1, "error", "include"),
        (str(path), 1, "error", "include"),
        (str(path), 2, "error", "include"),
    ]


def test_fault_in_a_nested_include_names_the_file_that_has_it(tmp_path: Path) -> None:
    bad = markdown("", id="b", metadata={"nbrun": {"include": "missing"}})
    middle = write(tmp_path, notebook(code("1", id="a"), bad), "middle.ipynb")
    outer = write(tmp_path, notebook(include(middle)))
    assert [(each.path, each.cell) for each in findings(outer, {}, unattended=False)] == [
        (str(middle), 2)
    ]


def test_findings_in_included_files_are_told_once(tmp_path: Path) -> None:
    book = inner(tmp_path, "token = 'c4f3b1a29d8e7f60'")
    cells = [include(book, id="a", host="a"), include(book, id="b", host="b")]
    secret, unused = findings(write(tmp_path, notebook(*cells)), {}, unattended=False)
    assert (secret.path, secret.rule) == (str(book), "unused-parameter")
    assert unused == Finding(str(book), 2, 1, "error", "secret", unused.message)


def test_misplaced_check_in_an_included_file_is_told(tmp_path: Path) -> None:
    book = write(tmp_path, notebook(code("1", id="c", tags=["check"])), "inner.ipynb")
    told = found(write(tmp_path, notebook(include(book), code("2", id="b"))))
    assert any("inner.ipynb, cell 1: a check follows its step" in each for each in told)
