"""Code that nbrun runs once in a xeus-python kernel, before the first step.

The supervisor sends this file as text, as it does `ipython_prelude.py`, and it must not import
nbrun.
"""

import asyncio
import signal
from typing import Any

from IPython import get_ipython

_shell: Any = get_ipython()
_ended: "list[Any]" = [0, None]  # number of finished requests, and the error of the last one
_error: "list[Any]" = [None]  # of the last cell


def _interrupt(_number: int, _frame: Any) -> None:
    """Interrupt the cell, not the kernel: xeus-python leaves SIGINT to the system, which ends it.

    KeyboardInterrupt in the event loop itself would end the loop, and with it the kernel. So a cell
    that awaits is cancelled.
    """
    loop = asyncio._get_running_loop()
    if loop is None or asyncio.current_task(loop) is not None:
        raise KeyboardInterrupt
    for task in asyncio.all_tasks(loop):
        coroutine: Any = task.get_coro()
        if getattr(coroutine, "__qualname__", "").startswith("XPythonLoopRunner."):
            loop.call_soon_threadsafe(task.cancel)


def _raise_error() -> None:
    """Raise the error of the last cell, if any: the kernel forgets an interrupt of `input()`."""
    error, _error[0] = _error[0], None
    if error is not None:
        raise error


def _count_request(result: Any) -> None:
    """Count finished requests, for a supervisor that adopts this kernel after a crash."""
    error = _error[0] = result.error_before_exec or result.error_in_exec
    _ended[0] += 1
    _ended[1] = None if error is None else f"{type(error).__name__}: {error}"[:200]


signal.signal(signal.SIGINT, _interrupt)
_shell._nbrun_ended = lambda: tuple(_ended)
_shell._nbrun_raise_error = _raise_error
_shell.events.register("post_run_cell", _count_request)
_shell.history_manager.enabled = (
    False  # it writes each source, secrets included, to the home folder
)
