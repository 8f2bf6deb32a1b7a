"""Checks and undos: the step that each belongs to, and the faults of their settings."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import RunbookError
from nbrun.runbook import loader
from nbrun.runbook.lint import findings
from tests.support.build_notebooks import PYTHON, code, notebook, write

FIRST = code("go()", id="first")


def planned(folder: Path, *cells: dict[str, Any]) -> loader.Runbook:
    return loader.plan(loader.read(write(folder, notebook(*cells))))


def cell(tag: str, id_: str = "", **own: Any) -> dict[str, Any]:
    return code(f"{tag}()", id=id_ or f"a-{tag}", tags=[tag], metadata={"nbrun": own})


def test_cells_belong_to_the_step_before_them_or_to_the_one_that_they_name(tmp_path: Path) -> None:
    cells = (FIRST, cell("check"), code("b()", id="second"), cell("undo", step="first"))
    first, second = planned(tmp_path, *cells, cell("undo", "other")).steps
    assert first.check is not None
    assert first.undo is not None
    assert second.undo is not None
    assert (first.check.id, first.undo.id, second.undo.id) == ("a-check", "a-undo", "other")
    assert (first.undo.number, second.undo.number) == (1, 2)
    assert second.check is None


def test_undo_has_a_contract_without_retries(tmp_path: Path) -> None:
    own = {"confirm": "Back?", "impact": "destructive", "timeout": 5, "approve": {"group": "dba"}}
    metadata = PYTHON | {"nbrun": {"defaults": {"retries": 3}}}
    book = notebook(FIRST, cell("undo", **own), metadata=metadata)
    (step,) = loader.plan(loader.read(write(tmp_path, book))).steps
    assert step.undo is not None
    contract = step.undo.contract
    assert (contract.confirm, contract.impact, contract.timeout) == ("Back?", "destructive", 5.0)
    assert (contract.retries, step.contract.retries) == (0, 3)


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ([cell("undo"), FIRST], "cell 1: an undo follows its step: there is none above it"),
        ([cell("check"), FIRST], "cell 1: a check follows its step: there is none above it"),
        ([FIRST, cell("undo", step="last")], "names no step: 'last'"),
        ([FIRST, cell("undo"), cell("undo", "two")], "step 1 has an undo already"),
        ([FIRST, cell("check"), cell("check", "two")], "step 1 has a check already"),
        ([FIRST, cell("undo", retries=2)], "metadata.nbrun.retries is not known"),
        (
            [code("a = 1", tags=["parameters"]), cell("undo"), FIRST],
            "step 1 is tagged parameters: it only assigns parameters",
        ),
        ([code("a = 1", tags=["setup"]), cell("check"), FIRST], "step 1 is tagged setup"),
        ([FIRST, code("x()", tags=["undo", "setup"])], "an undo can't have the tag setup"),
        ([FIRST, code("x()", tags=["undo", "check"])], "can't have the tag undo"),
        ([FIRST, cell("undo", confirm="{nobody}")], "contains {nobody}"),
    ],
)
def test_fault_is_named_with_its_cell(
    tmp_path: Path, cells: list[dict[str, Any]], fault: str
) -> None:
    with pytest.raises(RunbookError) as raised:
        planned(tmp_path, *cells)
    assert fault in str(raised.value)
    path = write(tmp_path, notebook(*cells))
    messages = [each.message for each in findings(path, {}, unattended=False)]
    assert any(fault.removeprefix("cell 1: ") in each for each in messages), messages


def test_linter_accepts_an_undo_that_asks(tmp_path: Path) -> None:
    path = write(tmp_path, notebook(FIRST, cell("undo", confirm=True, impact="destructive")))
    assert [each for each in findings(path, {}, unattended=True) if each.rule != "tag"] == []
