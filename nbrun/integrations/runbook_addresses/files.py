"""The file of a runbook that a command line names by its path or its address."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from nbrun.core import addresses
from nbrun.errors import RunbookError
from nbrun.system import state_folder

TIMEOUT = 60.0  # seconds to fetch a runbook, redirects and retries included

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class RunbookFile:
    """A file of this machine. `address`: where it came from, without credentials; else empty."""

    path: Path
    address: str = ""


def runbook_file(named: str) -> RunbookFile:
    """Return the file that `named`, a path or an address, stands for. Fetch what is at an address.

    The copy is kept: messages and a later look can name it. Its folder is named by its SHA-256.

    Raises:
        RunbookError: the address is refused, or nothing usable is there.
    """
    if not addresses.is_address(named):
        return RunbookFile(Path(named))
    from nbrun.integrations.runbook_addresses import readers

    shown = addresses.without_credentials(named)
    reader = readers.reader_of(named)
    try:
        content = _within(TIMEOUT, lambda: reader(named))
    except Exception as error:  # noqa: BLE001  the stores' libraries raise errors of any class
        why = addresses.hide_credentials(readers.words(error), named)
        raise RunbookError(f"{shown}: can't be fetched: {why}") from None
    return RunbookFile(keep(content, addresses.file_name(named)), shown)


def keep(content: bytes, name: str) -> Path:
    """Keep the content of a runbook, which only this user can read and write. Return its path.

    Raises:
        RunbookError: there is no place for it.
    """
    path = state_folder.state_path("runbooks", sha256(content).hexdigest(), name)
    try:
        state_folder.write(path, content)
    except OSError as error:
        raise RunbookError(f"{path}: can't be written: {error.strerror}") from error
    return path


def _within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns, or raise what it raises.

    Raises:
        TimeoutError: it takes longer. It then goes on in the background: not all of the libraries
            can be stopped.
    """
    results: queue.SimpleQueue[tuple[_Result | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((work(), None))
        except Exception as error:  # noqa: BLE001  raised below
            results.put((None, error))

    threading.Thread(target=run, name="nbrun-fetch", daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"it took longer than {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # there is no error, so `work` has returned
