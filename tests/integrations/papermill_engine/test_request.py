"""Requests that papermill's notebooks and options become, and those that are refused."""

from pathlib import Path
from typing import Any

import papermill
import pytest
from papermill.parameterize import parameterize_notebook

from nbrun.errors import UsageError
from nbrun.integrations.papermill_engine.request import request_for
from nbrun.supervisor import kernel_plan, prepare
from nbrun.system import state_folder
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write

SCHEMA = {"nbrun": {"parameters": {"properties": {"token": {"type": "string", "writeOnly": True}}}}}
CELLS = markdown("# Top", id="m"), code("n: int = 1", id="a", tags=["parameters"])


def loaded(folder: Path, *cells: dict[str, Any], given: dict[str, Any] | None = None) -> Any:
    """Return the notebook as papermill hands it to an engine, and its options."""
    path = write(folder, notebook(*cells, metadata=PYTHON | SCHEMA))
    node = papermill.iorw.load_notebook_node(str(path))
    if given:
        node = parameterize_notebook(node, given, kernel_name="python3", language="python")
    return node, {"input_path": str(path)}


def test_request_has_the_file_the_parameters_and_the_limits(tmp_path: Path) -> None:
    given = {"n": 5, "extra": ("a", Path("/srv"))}
    node, options = loaded(tmp_path, *CELLS, given=given)
    options |= {"execution_timeout": 30, "ticket": "OPS-1", "start_timeout": 60}
    request, cells = request_for(node, "python", options)
    assert request.options.kernel == "python3"
    assert request.runbook == tmp_path / "runbook.ipynb"
    values = {name: raw.value for name, raw in request.given.items()}
    assert values == {"n": 5, "extra": ["a", "/srv"]}
    assert (request.step_timeout, request.bound, request.attended) == (30, True, False)
    assert (request.options.ticket, request.options.on_failure) == ("OPS-1", "stop")
    assert request.options.undeclared
    assert cells.indexes == {"m": 0, "a": 1}
    assert cells.injected == 2


def test_cells_of_an_earlier_execution_are_not_the_runbooks(tmp_path: Path) -> None:
    old = code("n = 4", id="i", tags=["injected-parameters"])
    marker = markdown("An Exception was", id="e", tags=["papermill-error-cell-tag"])
    node, options = loaded(tmp_path, marker, *CELLS, old, code("n", id="b"), given={"n": 5})
    node.cells = node.cells[1:]  # papermill removes its own marker
    _, cells = request_for(node, "python3", options)
    assert cells.indexes == {"m": 0, "a": 1, "b": 3}
    assert cells.injected == 2


def test_parameters_of_an_earlier_execution_do_not_count(tmp_path: Path) -> None:
    nb = notebook(*CELLS, metadata={**PYTHON, "papermill": {"parameters": {"n": 4}}})
    node = papermill.iorw.load_notebook_node(str(write(tmp_path, nb)))
    request, cells = request_for(node, "python3", {"input_path": str(tmp_path / "runbook.ipynb")})
    assert (request.given, cells.injected) == ({}, None)
    old = code("n = 4", id="i", tags=["injected-parameters"])  # it runs as it is
    node, options = loaded(tmp_path, *CELLS, old)
    node.metadata.papermill["parameters"] = {"n": 5}
    request, cells = request_for(node, "python3", options)
    assert (request.given, cells.injected) == ({}, 2)


def test_notebook_in_no_file_is_kept_without_its_parameters(tmp_path: Path) -> None:
    node, _ = loaded(tmp_path, *CELLS, given={"n": 5, "token": "correct-horse"})
    with pytest.raises(UsageError, match="is a secret"):
        request_for(node, "python3", {})
    kept = [each for each in state_folder.state_path("runbooks").rglob("*") if each.is_file()]
    assert not [each for each in kept if b"correct-horse" in each.read_bytes()]
    node, _ = loaded(tmp_path, *CELLS, given={"n": 5})
    request, cells = request_for(node, "python3", {})
    assert (request.given["n"].value, cells.injected) == (5, 2)
    assert request.runbook in kept


def test_parameter_takes_a_value_of_any_type_as_in_papermill(tmp_path: Path) -> None:
    node, options = loaded(tmp_path, *CELLS, given={"n": "many"})
    request, _ = request_for(node, "python3", options)
    plan = kernel_plan.plan_kernel(request)
    assert prepare.check(request, plan).parameters.values["n"] == "many"


def test_relative_path_starts_where_papermill_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _ = loaded(tmp_path, *CELLS)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    with papermill.iorw.local_file_io_cwd():
        monkeypatch.chdir(elsewhere)  # as papermill does for its option `cwd`
        request, _ = request_for(node, "python3", {"input_path": "runbook.ipynb"})
    assert request.runbook == tmp_path / "runbook.ipynb"
    assert request.options.cwd == elsewhere


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({"token": "correct-horse"}, {}, "'token': is a secret.*give token as @env:VAR"),
        ({"token": "@prompt"}, {}, "no terminal to ask on"),
        ({"n": float("nan")}, {}, "not finite"),
        ({}, {"strict": "very"}, "an option of the engine nbrun: Expected `bool`.*strict"),
    ],
)
def test_refused_request_says_why(
    tmp_path: Path, given: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    node, own = loaded(tmp_path, *CELLS, given=given)
    with pytest.raises(UsageError, match=message):
        request_for(node, "python3", own | options)


def test_file_that_changed_since_papermill_read_it_is_refused(tmp_path: Path) -> None:
    node, options = loaded(tmp_path, *CELLS)
    write(tmp_path, notebook(code("print('another')", id="a")))
    with pytest.raises(UsageError, match="not those that papermill has read"):
        request_for(node, "python3", options)


def test_option_that_nobody_uses_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node, options = loaded(tmp_path, *CELLS)
    request_for(node, "python3", options | {"bar": "baz"})
    assert "the engine nbrun does not use: bar" in caplog.text
