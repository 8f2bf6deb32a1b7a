"""Read the runbooks that a runbook includes, and those that they include.

The hash pins what is read, so that the including file says what runs. A file is reached as its path
is written: a symbolic link on the way could lead anywhere, and is refused.
"""

import hashlib
import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nbrun.errors import RunbookError
from nbrun.runbook import loader
from nbrun.runbook.includes import cells
from nbrun.runbook.includes.cells import IncludeCell, IncludeFault
from nbrun.runbook.loader import Notebook

MAX_DEPTH = 5  # levels of included runbooks
MAX_INCLUDES = 100  # of a runbook, on all levels together: each level could double the one above
_LARGEST = 2**26  # bytes of a file
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class IncludedNotebook:
    """A runbook that is included, with those that it includes itself.

    `name` is its path from the folder of the outermost runbook.
    """

    cell: IncludeCell
    name: str
    notebook: Notebook
    included: tuple["IncludedNotebook", ...]

    def all(self) -> Iterator["IncludedNotebook"]:
        """Yield this one, and all below it."""
        yield self
        for each in self.included:
            yield from each.all()


class IncludeReader:
    """Reads what `outer` includes. What is wrong is added to `faults`, and left out."""

    def __init__(self, outer: Notebook) -> None:
        self.faults: list[IncludeFault] = []
        self._outer = outer
        self._count = 0

    def read(self) -> tuple[IncludedNotebook, ...]:
        """Return what the outer runbook includes, in order."""
        path = self._outer.path.resolve()
        return tuple(self._below(self._outer, (path,)))

    def _below(self, source: Notebook, chain: tuple[Path, ...]) -> Iterator[IncludedNotebook]:
        """Yield what `source` includes. `chain` are the files from the outermost to its own."""
        for number, cell in enumerate(source.node["cells"], start=1):
            if not cells.is_include(cell) or self._count > MAX_INCLUDES:
                continue
            wrong = [IncludeFault(source.places, number, each) for each in cells.faults(cell)]
            self.faults += wrong
            if wrong:
                continue
            found = cells.include_cell(source.places, number, cell)
            try:
                yield self._one(found, chain)
            except RunbookError as error:
                self.faults.append(found.fault(str(error)))

    def _one(self, cell: IncludeCell, chain: tuple[Path, ...]) -> IncludedNotebook:
        self._count += 1
        if self._count > MAX_INCLUDES:
            raise RunbookError(f"more than {MAX_INCLUDES} includes: remove some")
        if len(chain) > MAX_DEPTH:
            raise RunbookError(
                f"included runbooks include others on more than {MAX_DEPTH} levels: "
                "include this one further up"
            )
        path = Path(os.path.normpath(chain[-1].parent / cell.path))
        if path in chain:
            raise RunbookError(f"includes {path}, which includes this runbook")
        data = _pinned_bytes(cell, chain[-1].parent, path)
        notebook = loader.read(path, data)
        name = os.path.relpath(path, chain[0].parent)
        return IncludedNotebook(cell, name, notebook, tuple(self._below(notebook, (*chain, path))))


def _pinned_bytes(cell: IncludeCell, folder: Path, path: Path) -> bytes:
    """Return the bytes of the included file, which have the pinned hash."""
    try:
        data = _read(folder, cell.path)
    except OSError as error:
        raise RunbookError(f"includes {path}: {error.strerror}") from None
    found = hashlib.sha256(data).hexdigest()
    if found != cell.sha256:
        raise RunbookError(
            f"includes {path} with SHA-256 {cell.sha256}, but that file has {found}. "
            f"Read what changed, then write the new hash: sha256sum {shlex.quote(str(path))}"
        )
    return data


def _read(folder: Path, relative: str) -> bytes:
    """Return the bytes of a regular file, on whose path from `folder` no symbolic link lies.

    Raises:
        OSError: the file can't be read, or is not reached in that way.
    """
    *folders, name = PurePosixPath(relative).parts or ("",)
    if relative.startswith("/"):
        raise OSError(0, "write a path from the folder of this runbook")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            inner = _open(fd, part, _FOLDER)
            os.close(fd)
            fd = inner
        with os.fdopen(_open(fd, name, _FILE), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(0, "it is not a regular file")
            data = file.read(_LARGEST + 1)
    finally:
        os.close(fd)
    if len(data) > _LARGEST:
        raise OSError(0, f"it has more than {_LARGEST} bytes")
    return data


def _open(folder: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(0, f"{name} is a symbolic link: name the file itself") from None
        raise
