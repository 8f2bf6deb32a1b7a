"""The output notebook of a run, written where the run keeps it."""

from collections.abc import Callable
from pathlib import Path

from nbrun import events as ev
from nbrun.journal import Reading
from nbrun.run_directory import RunDirectory
from nbrun.views import notebook


def saver(directory: RunDirectory, book: Path) -> Callable[[ev.RunFinished | None], str | None]:
    """Writes the output notebook from the journal, for an engine. One that can't be written stops
    nothing: it can be made again, and the journal says that it is missing."""
    path = directory.notebook(book)

    def save(ending: ev.RunFinished | None) -> str | None:
        try:
            digest = notebook.save(path, notebook.pieces(Reading(directory.journal), ending))
            directory.let_read(path)
        except OSError as error:
            with directory.log.open("a") as log:
                log.write(f"{path}: the output notebook can't be written: {error}\n")
            return None
        return digest

    return save
