"""Fold a run's records into the notebook that papermill manages, cell by cell.

papermill's callbacks keep the times, the states, the progress bar and the saved file. A cell is
completed when the run goes on to another, since an automatic retry may still change its outcome.
"""

from collections.abc import Sequence
from typing import Any

import nbformat
from papermill.exceptions import PapermillException
from papermill.log import logger

from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.core.model import Step
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.integrations.papermill_engine.cell_map import INJECTED, CellMap
from nbrun.integrations.papermill_engine.output_log import OutputLog
from nbrun.views.export.outputs import Outputs


class ManagedCells:
    """The cells of papermill's notebook, and the state of the run that executes them."""

    def __init__(self, nb_man: Any, cells: CellMap, log: OutputLog, kernel_name: str) -> None:
        self.state = RunState()
        self._kernel_name = kernel_name  # as papermill's caller named it
        self._nb_man = nb_man
        self._cells = cells
        self._log = log
        self._outputs = Outputs()
        self._attempts: dict[int, tuple[str, int]] = {}  # the last of each cell, by its index
        self._faults: dict[int, Any] = {}  # errors that only nbrun knows, as outputs, by index
        self._ended: ev.AttemptFinished | None = None  # its cell is not completed yet
        self._any_failed = False

    def take(self, records: Sequence[Record]) -> None:
        """Apply records of the run, in order."""
        for record in records:
            apply(self.state, record.event)
            self._take(record.event)
        self._autosave()

    def pass_all(self) -> None:
        """Complete the cells of a notebook in which there is nothing to execute."""
        self._pass_cells_before(len(self._nb_man.nb.cells))

    def raise_unless_a_cell_failed(self) -> None:
        """Raise PapermillException for a run that did not complete, though no cell failed.

        A failed cell is papermill's to report.
        """
        finished = self.state.finished
        if finished is not None and finished.outcome != "completed" and not self._any_failed:
            raise PapermillException(f"nbrun: {finished.why or finished.outcome}")

    def _take(self, event: Event) -> None:
        match event:
            case ev.RunStarted(steps=steps):
                self._place_injected(steps)
            case ev.KernelStarted(language_info=info):
                logger.info(f"Executing notebook with kernel: {self._kernel_name}")
                self._nb_man.nb.metadata["language_info"] = _node(info)
            case ev.AttemptStarted():
                self._begin(event)
            case ev.Output():
                self._outputs.take(event)
                self._log.take(event)
            case ev.OutputUpdated() | ev.OutputCleared() | ev.WidgetsChanged():
                self._outputs.take(event)
            case ev.AttemptFinished(step=step):
                self._ended = event
                if step in self.state.steps and self.state.steps[step].passed:
                    self._complete()
            case ev.Stopped():
                self._complete()
            case ev.RunFinished():
                self._finish(event)

    # ── cells ────────────────────────────────────────────────────────────────────────────────

    def _cell(self, index: int) -> Any:
        return self._nb_man.nb.cells[index]

    def _place_injected(self, steps: Sequence[Step]) -> None:
        """Find the cell that assigns the parameters. papermill has none if only defaults apply."""
        own = [step for step in steps if step.included is None]
        number = next((n for n, step in enumerate(own) if INJECTED in step.tags), None)
        if number is None:
            return
        index = self._cells.injected
        if index is None:
            index = self._cells.index_after([step.id for step in own[:number]])
            self._nb_man.nb.cells.insert(index, _new_cell(own[number], self._nb_man.PENDING))
            self._cells = self._cells.with_room_at(index)
        self._cells.indexes[own[number].id] = index

    def _begin(self, event: ev.AttemptStarted) -> None:
        repeats = self._ended is not None and self._ended.step == event.step
        if not repeats:
            self._complete()
        self._ended = None
        index = self._cells.indexes.get(event.step)
        if index is None:  # of an included runbook, or a cell that an operator has inserted
            return
        self._pass_cells_before(index)
        cell = self._cell(index)
        cell["source"] = event.source if event.edited else cell["source"]
        cell["outputs"] = []
        self._attempts[index] = event.step, event.attempt
        self._nb_man.cell_start(cell, index)

    def _pass_cells_before(self, end: int) -> None:
        """Complete the cells before `end` that nbrun does not execute, as papermill does."""
        for index, cell in enumerate(self._nb_man.nb.cells[:end]):
            is_pending = cell["metadata"]["papermill"]["status"] == self._nb_man.PENDING
            if is_pending and (cell["cell_type"] != "code" or not cell["source"].strip()):
                self._nb_man.cell_start(cell, index)
                self._nb_man.cell_complete(cell, index)

    def _complete(self) -> None:
        """Write the end of the attempt that ended last into its cell."""
        event, self._ended = self._ended, None
        index = self._cells.indexes.get(event.step) if event is not None else None
        if event is None or index is None:
            return
        cell = self._cell(index)
        cell["execution_count"] = event.execution_count
        self._refresh(index)
        allowed = event.outcome == "error" and "raises-exception" in cell["metadata"]["tags"]
        if event.outcome != "ok" and not allowed:
            self._fail(index, event.ename or event.outcome, event.evalue or event.outcome)
        elif event.holds is False:
            self._fail(index, "CheckFailed", "the check does not hold")
        self._nb_man.cell_complete(cell, index)

    def _fail(self, index: int, ename: str, evalue: str) -> None:
        """Mark a cell as failed. papermill makes its error of the first output that is one."""
        cell = self._cell(index)
        if ename not in [output.get("ename") for output in cell["outputs"]]:
            self._faults[index] = _error(ename, evalue)
            cell["outputs"] = _with_fault(cell["outputs"], self._faults[index])
        self._any_failed = True
        self._nb_man.cell_exception(cell, cell_index=index)

    def _refresh(self, index: int) -> None:
        outputs = [_node(_joined(each)) for each in self._outputs.of(*self._attempts[index])]
        self._cell(index)["outputs"] = _with_fault(outputs, self._faults.get(index))

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    def _finish(self, event: ev.RunFinished) -> None:
        self._complete()
        for index in self._attempts:  # late outputs, and displays that later cells have updated
            self._refresh(index)
        if event.outcome == "completed":
            self.pass_all()
        elif not self._any_failed:
            self._fail_where_it_stopped(event.why)

    def _fail_where_it_stopped(self, why: str) -> None:
        """Fail the cell that the run did not come past, such as one that asks a person."""
        current = self.state.current
        index = self._cells.indexes.get(current.step.id) if current is not None else None
        if index is not None and self._cell(index)["cell_type"] == "code":
            self._fail(index, "RunStopped", why)

    def _autosave(self) -> None:
        """Save the outputs of a long cell now and then, as often as papermill's option says."""
        running, every = self.state.attempt, self._nb_man.autosave_cell_every
        index = self._cells.indexes.get(running.step) if running else None
        passed = (self._nb_man.now() - self._nb_man.last_save_time).total_seconds()
        if index is not None and every and passed >= every:
            self._refresh(index)
            self._nb_man.autosave_cell()


def _new_cell(step: Step, status: str) -> Any:
    """Return a cell as papermill has prepared the others."""
    times = dict.fromkeys(("exception", "start_time", "end_time", "duration"))
    metadata = {**step.metadata, "tags": [*step.tags], "papermill": {**times, "status": status}}
    return _node(
        {
            "cell_type": "code",
            "id": step.id,
            "metadata": metadata,
            "execution_count": None,
            "source": step.source,
            "outputs": [],
        }
    )


def _error(ename: str, evalue: str) -> Any:
    """Return the output of an error that the kernel did not show."""
    return _node(
        {
            "output_type": "error",
            "ename": ename,
            "evalue": evalue,
            "traceback": [f"{ename}: {evalue}"],
        }
    )


def _with_fault(outputs: list[Any], fault: Any) -> list[Any]:
    """Return `outputs` with `fault`, if any, before the first error that the kernel showed."""
    errors = [n for n, output in enumerate(outputs) if output["output_type"] == "error"]
    place = errors[0] if errors else len(outputs)
    return outputs if fault is None else [*outputs[:place], fault, *outputs[place:]]


def _joined(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output with the text of a stream in one piece."""
    return {**output, "text": "".join(output["text"])} if "text" in output else output


def _node(value: Any) -> Any:
    """Return `value` as papermill expects it, with its keys as attributes."""
    return nbformat.from_dict(value)  # type: ignore[no-untyped-call]
