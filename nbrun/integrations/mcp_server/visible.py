"""The view of a client of the server: the runbooks in one folder, and this user's runs of these."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nbrun.core import addresses
from nbrun.errors import JournalError, RunNotFoundError, UsageError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import read_start
from nbrun.runbook.text_formats.suffixes import is_text
from nbrun.system.files import open_regular

MOST_RUNBOOKS = 500
MOST_RUNS = 50  # listed, the newest first
_HEADER_KEYS = ("jupytext:", "kernelspec:", "nbrun:")
_LONGEST_HEADER = 8192  # bytes


@dataclass(frozen=True)
class Visible:
    """The folder of the runbooks and the folder of the runs, both absolute."""

    folder: Path
    runs_dir: Path

    def runbooks(self) -> dict[str, Path]:
        """Return the path of each runbook by its name: its path below the folder."""
        return dict(islice(self._runbooks(), MOST_RUNBOOKS))

    def _runbooks(self) -> Iterator[tuple[str, Path]]:
        for folder, folders, files in os.walk(self.folder):  # follows no link to a folder
            folders[:] = sorted(name for name in folders if self._is_searched(Path(folder, name)))
            for name in sorted(files):
                path = Path(folder, name)
                if not name.startswith(".") and self.contains(path) and _is_runbook(path):
                    yield path.relative_to(self.folder).as_posix(), path

    def _is_searched(self, folder: Path) -> bool:
        """Return False for hidden folders, and for that of the runs, with their notebooks."""
        return not folder.name.startswith(".") and folder != self.runs_dir

    def contains(self, path: Path) -> bool:
        """Return True if `path` leads to a file in the folder, through whatever links."""
        return path.resolve().is_relative_to(self.folder.resolve())

    def runbook(self, name: str) -> Path:
        """Return the path of the runbook called `name`.

        Raises:
            UsageError: it is not one of `runbooks`. The name is compared and never opened.
        """
        found = self.runbooks().get(name)
        if found is None:
            raise UsageError(f"there is no runbook {name!r}: see list_runbooks")
        return found

    def runs(self) -> list[RunDirectory]:
        """Return the newest runs that the client may see."""
        every = run_directory.all_runs(self.runs_dir)
        return list(islice((run for run in every if self._is_visible(run)), MOST_RUNS))

    def run(self, id_: str) -> RunDirectory:
        """Return the run with the whole id `id_`.

        Raises:
            RunNotFoundError: there is none that the client may see. The message does not say
                whether there is another.
        """
        directory = RunDirectory(self.runs_dir / id_)
        if not run_directory.is_run_id(id_) or "/" in id_ or not self._is_visible(directory):
            raise RunNotFoundError(f"there is no run {id_!r}: see list_runs")
        return directory

    def _is_visible(self, directory: RunDirectory) -> bool:
        """Return True for a run of this user's own, of a runbook in the folder."""
        try:
            if directory.path.is_symlink() or directory.owner_fault():
                return False
            start = read_start(directory.journal)
        except (JournalError, OSError, ValueError):
            return False
        if start is None or addresses.is_address(start.runbook):  # it is in no folder
            return False
        return self.contains(Path(start.runbook))


def _is_runbook(path: Path) -> bool:
    """Return True for a notebook, and for a text whose YAML header says that it is a runbook.

    Other texts of these formats are mostly documents and programs, and are not listed.
    """
    return path.suffix == ".ipynb" or (is_text(path) and _has_header(path))


def _has_header(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            lines = file.read(_LONGEST_HEADER).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return False
    inside = [line.lstrip("#/-; ") if line.strip("#/; ") != "---" else "---" for line in lines]
    if not inside or inside[0] != "---" or "---" not in inside[1:]:
        return False
    return any(line.startswith(_HEADER_KEYS) for line in inside[1 : inside.index("---", 1)])
