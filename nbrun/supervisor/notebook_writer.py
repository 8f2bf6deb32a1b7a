"""Write a run's output notebook from its journal."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook


def notebook_saver(
    directory: RunDirectory, plan: ev.RunStarted
) -> Callable[[ev.RunFinished | None], str | None]:
    """Return a function that writes the output notebook of the run that `plan` began.

    The function takes the event that is about to end the run, if any, and returns the notebook's
    SHA-256. If the notebook can't be written, it returns None and the run continues: the journal
    records that the notebook is missing, and `nbrun export` can write it later.
    """
    path = directory.notebook(Path(plan.runbook))

    def save(ending: ev.RunFinished | None) -> str | None:
        records = _share_plan(plan, JournalReader(directory.journal))
        try:
            digest = notebook.save(path, notebook.chunks(records, ending), directory.allow_readers)
        except Exception as error:  # noqa: BLE001  no output of a cell may end the run
            with directory.log.open("a") as log:
                log.write(f"{path}: the output notebook can't be written: {_cause(error)}\n")
            return None
        return digest

    return save


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else repr(error)


def _share_plan(plan: ev.RunStarted, records: Iterable[Record]) -> Iterator[Record]:
    """Replace an event equal to `plan` by `plan`, so that one long plan is in memory, not two."""
    for record in records:
        yield replace(record, event=plan) if record.event == plan else record
