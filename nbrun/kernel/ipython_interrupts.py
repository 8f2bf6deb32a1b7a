"""Code that nbrun runs once in an IPython kernel: an interrupted cell ends at the interrupt.

IPython swallows the KeyboardInterrupt that ends a shell command, and runs the rest of the cell.
`ipython_failures.py` wraps those functions with the guard that this file defines.

The supervisor sends this file as text, as it does `ipython_prelude.py`, and it must not import
nbrun.
"""

import os
import signal
import subprocess
import sys
import threading
from typing import Any

from IPython import get_ipython

_shell: Any = get_ipython()


class _InterruptGuard:
    """Raise KeyboardInterrupt again at the end of a block that swallowed it.

    The block must not run code of the runbook, which may catch KeyboardInterrupt on purpose.
    """

    def __init__(self) -> None:
        self._heard = False
        self._handler: Any = None

    def __enter__(self) -> "_InterruptGuard":
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._hear)
        return self

    def _hear(self, number: int, frame: Any) -> None:
        # In a cell with a top-level `await`, ipykernel cancels the cell at its next `await`: a
        # shell command and what follows it would run until then.
        if getattr(self._handler, "__module__", "") == "ipykernel.ipkernel":
            self._heard = True
            raise KeyboardInterrupt
        try:
            self._handler(number, frame)
        except KeyboardInterrupt:
            self._heard = True
            raise

    def __exit__(self, kind: Any, *_error: Any) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._heard and kind is not KeyboardInterrupt:
            raise KeyboardInterrupt


_os_system = os.system


def _system(command: Any) -> int:
    """Replace `os.system`, which ignores interrupts: raise KeyboardInterrupt after the command."""
    if threading.current_thread() is not threading.main_thread():
        return _os_system(command)
    if hasattr(sys, "audit"):  # Python 3.8
        sys.audit("os.system", os.fsencode(command))
    with _InterruptGuard():
        process = subprocess.Popen(os.fsencode(command), shell=True, close_fds=False)  # noqa: S602
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:  # the command gets it, too, and may take time to end
                pass
    return -code if code < 0 else code << 8


_shell._nbrun_interrupt_guard = _InterruptGuard
if os.name == "posix":
    os.system = _system
