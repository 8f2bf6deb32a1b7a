"""The output notebook of a run, written where the run keeps it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook


def saver(
    directory: RunDirectory, plan: ev.RunStarted
) -> Callable[[ev.RunFinished | None], str | None]:
    """Writes the output notebook from the journal, for the engine of the run that `plan` began. One
    that can't be written stops nothing: it can be made again, and the journal says that it is
    missing."""
    path = directory.notebook(Path(plan.runbook))

    def save(ending: ev.RunFinished | None) -> str | None:
        records = _with_one_plan(plan, Reading(directory.journal))
        try:
            digest = notebook.save(path, notebook.pieces(records, ending), directory.let_read)
        except OSError as error:
            with directory.log.open("a") as log:
                log.write(f"{path}: the output notebook can't be written: {error}\n")
            return None
        return digest

    return save


def _with_one_plan(plan: ev.RunStarted, records: Iterable[Record]) -> Iterator[Record]:
    """The same records: of a plan that is `plan` there is one in memory, since it may be long."""
    for record in records:
        yield replace(record, event=plan) if record.event == plan else record
