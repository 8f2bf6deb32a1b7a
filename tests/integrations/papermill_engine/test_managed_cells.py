"""What papermill's notebook says of a run's cells. No kernel runs here."""

from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from papermill.engines import NotebookExecutionManager
from papermill.exceptions import PapermillException, PapermillExecutionError
from papermill.execute import raise_for_execution_errors

from nbrun.core.model import Check, Contract
from nbrun.integrations.papermill_engine.cell_map import CellMap
from nbrun.integrations.papermill_engine.managed_cells import ManagedCells
from nbrun.integrations.papermill_engine.output_log import OutputLog
from tests.support import build_events
from tests.support.build_notebooks import code, markdown, notebook
from tests.support.run_builder import Run, display, step, stream


class Managed:
    """papermill's manager of a notebook of these cells, and the fold that fills it."""

    def __init__(self, *cells: dict[str, Any], injected: int | None = None) -> None:
        node: Any = nbformat.from_dict(notebook(*cells))  # type: ignore[no-untyped-call]
        node.metadata["papermill"] = nbformat.from_dict({})  # type: ignore[no-untyped-call]
        for cell in node.cells:
            cell.metadata.setdefault("tags", [])
        self.manager: Any = NotebookExecutionManager(node, progress_bar={"disable": True})
        self.manager.notebook_start()
        self.updates: list[int] = []
        self.manager.pbar.update = self.updates.append
        self.cells = node.cells
        indexes = {cell["id"]: index for index, cell in enumerate(node.cells)}
        self.view = ManagedCells(self.manager, CellMap(indexes, injected), OutputLog(), "python3")

    def take(self, run: Run) -> "Managed":
        self.view.take(run.records)
        return self

    def statuses(self) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.cells]

    def error(self) -> PapermillExecutionError:
        self.manager.notebook_complete()
        with pytest.raises(PapermillExecutionError) as raised:
            raise_for_execution_errors(self.manager.nb, None)
        return raised.value


TWO_STEPS = markdown("# Before", id="m"), code("one()", id="a"), code("two()", id="b")


def two_steps(**fields: Any) -> Run:
    return Run(step("a", "one()", **fields), step("b", "two()"))


def test_every_cell_of_a_completed_run_has_times_and_is_completed() -> None:
    run = two_steps().attempt("a", stream("hi\n"), execution_count=1).attempt("b").finish()
    managed = Managed(*TWO_STEPS).take(run)
    assert managed.statuses() == ["completed"] * 3
    assert all(cell.metadata.papermill.duration is not None for cell in managed.cells)
    assert managed.cells[1].outputs == [{"output_type": "stream", "name": "stdout", "text": "hi\n"}]
    assert managed.cells[1].execution_count == 1
    assert managed.updates == [1, 1, 1]


def test_failed_cell_ends_in_papermills_own_error() -> None:
    run = two_steps().failure("a", execution_count=7).finish("failed")
    managed = Managed(*TWO_STEPS).take(run)
    assert managed.statuses() == ["completed", "failed", "pending"]
    error = managed.error()
    assert (error.ename, error.evalue, error.exec_count) == ("ValueError", "no such host", 7)


def test_failure_that_the_kernel_calls_ok_is_an_error_too() -> None:
    run = two_steps().attempt("a", outcome="error", ename="ShellError", evalue="exited with 1")
    managed = Managed(*TWO_STEPS).take(run.stop("step_failed").finish("failed"))
    error = managed.error()
    assert (error.ename, error.traceback) == ("ShellError", ["ShellError: exited with 1"])


def test_time_limit_is_the_error_though_the_kernel_shows_an_interrupt() -> None:
    shown = {"output_type": "error", "ename": "KeyboardInterrupt", "evalue": "", "traceback": []}
    run = two_steps().begin("a").output(shown)
    run.end("timed_out", ename="TimeoutError", evalue="the step did not end within its 1 s")
    managed = Managed(*TWO_STEPS).take(run.stop("step_failed").finish("failed"))
    assert managed.error().evalue == "the step did not end within its 1 s"


def test_automatic_retry_that_succeeds_leaves_no_trace_of_failure() -> None:
    run = two_steps(contract=Contract(retries=1)).begin("a").output(stream("first"))
    run.end("error", ename="OSError").attempt("a", stream("second"), cause="retry")
    managed = Managed(*TWO_STEPS).take(run.attempt("b").finish())
    assert managed.statuses() == ["completed"] * 3
    assert [output.text for output in managed.cells[1].outputs] == ["second"]
    assert managed.updates == [1, 1, 1]


def test_display_that_a_later_cell_updates_changes_in_its_own_cell() -> None:
    run = two_steps().begin("a").output(display(text_plain="0 %"), display_id="bar").end()
    run.begin("b").update("bar", {"text/plain": "100 %"}).end().finish()
    managed = Managed(*TWO_STEPS).take(run)
    assert managed.cells[1].outputs[0].data["text/plain"] == "100 %"


def test_cell_that_may_raise_does_not_fail() -> None:
    run = two_steps(tags=("raises-exception",)).attempt("a", outcome="error", ename="KeyError")
    cells = TWO_STEPS[0], code("one()", id="a", tags=["raises-exception"]), TWO_STEPS[2]
    assert Managed(*cells).take(run.attempt("b").finish()).statuses() == ["completed"] * 3


def test_check_that_does_not_hold_fails_its_own_cell() -> None:
    checked = step("a", "one()", check=Check(id="c", source="there()", timeout=0.1))
    run = Run(checked).attempt("a")
    run.add(build_events.attempt_started("c", 1, "there()", cause="check"))
    run.add(build_events.attempt_finished("c", 1, holds=False))
    run.stop("step_failed").finish("failed")
    managed = Managed(code("one()", id="a"), code("there()", id="c")).take(run)
    assert managed.error().ename == "CheckFailed"


def test_step_that_asks_a_person_fails_its_cell_with_the_reason() -> None:
    run = two_steps().stop("confirm").finish("failed", why="step 1 asks to be confirmed")
    managed = Managed(*TWO_STEPS).take(run)
    error = managed.error()
    assert (error.ename, error.evalue) == ("RunStopped", "step 1 asks to be confirmed")


def test_run_that_failed_at_no_code_cell_raises_what_the_record_says() -> None:
    manual = step("m", "Call the desk.", contract=Contract(manual=True))
    run = Run(manual).stop("manual").finish("failed", why="step 1 is for a person to do")
    managed = Managed(markdown("Call the desk.", id="m")).take(run)
    with pytest.raises(PapermillException, match="nbrun: step 1 is for a person to do"):
        managed.view.raise_unless_a_cell_failed()


def test_cell_of_defaults_that_only_nbrun_assigns_is_added() -> None:
    injected = step("injected-parameters", "n = 1", tags=("injected-parameters",))
    run = Run(step("a", "one()"), injected, step("b", "two()"))
    run.attempt("a").attempt("injected-parameters").attempt("b", stream("2")).finish()
    managed = Managed(*TWO_STEPS).take(run)
    assert [cell.source for cell in managed.cells] == ["# Before", "one()", "n = 1", "two()"]
    assert managed.statuses() == ["completed"] * 4
    assert managed.cells[3].outputs[0].text == "2"


def test_long_cell_is_saved_while_it_runs() -> None:
    run = two_steps().begin("a").output(stream("so far"))
    managed = Managed(*TWO_STEPS)
    managed.manager.autosave_cell_every = 0.000001
    saved: list[Any] = []
    save: Callable[..., None] = lambda **_: saved.append(managed.cells[1].outputs)  # noqa: E731
    managed.manager.save = save
    managed.take(run)
    assert saved[-1][0].text == "so far"


def test_run_that_goes_on_under_an_operator_shows_the_source_that_ran() -> None:
    run = two_steps().failure("a").decide("edit", step="a", source="mended()", reason="typo")
    run.attempt("a", source="mended()", cause="operator").attempt("b").finish()
    managed = Managed(*TWO_STEPS).take(run)
    assert managed.cells[1].source == "mended()"
