"""Code that nbrun runs once in an IPython kernel: it gives work in the background time to end.

It is sent and executed as `ipython_prelude` is, with the same rules.
"""

import asyncio
import concurrent.futures.thread
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from IPython import get_ipython

_shell: Any = get_ipython()
_POLL_INTERVAL = 0.02  # seconds
# Tasks whose code is in these packages belong to the kernel itself.
_OWN_PACKAGES = ("IPython", "ipykernel", "jupyter_client", "tornado", "zmq")
_left: "list[Any]" = []  # kind and name of what `_finish` waited for in vain


def _threads() -> "list[threading.Thread]":
    """Return the threads that Python waits for at exit, without a pool's idle workers."""
    workers = concurrent.futures.thread._threads_queues
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.current_thread() and not thread.daemon and thread not in workers
    ]


def _tasks() -> "list[Any]":
    """Return the unfinished tasks of asyncio that the runbook created."""
    current = asyncio.current_task()
    folders = tuple(
        f"{Path(sys.modules[name].__file__ or '').parent}{os.sep}"
        for name in _OWN_PACKAGES
        if name in sys.modules
    )
    return [
        task
        for task in asyncio.all_tasks()
        if task is not current and not _file_of(task).startswith(folders)
    ]


def _file_of(task: Any) -> str:
    code = getattr(getattr(task, "_coro", None), "cr_code", None)
    return str(getattr(code, "co_filename", ""))


def _name_of(task: Any) -> str:
    return str(getattr(getattr(task, "_coro", None), "__qualname__", task))[:100]


async def _finish(seconds: float) -> None:
    """Let threads and tasks go on until they have ended, for `seconds` at most."""
    deadline = time.monotonic() + seconds
    while (_threads() or _tasks()) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_INTERVAL)
    _left[:] = [("thread", thread.name[:100]) for thread in _threads()]
    _left.extend(("task", _name_of(task)) for task in _tasks())


def _finish_threads(seconds: float) -> None:
    """Wait for threads alone, where IPython does not run `await` in the loop of the kernel."""
    deadline = time.monotonic() + seconds
    for thread in _threads():
        thread.join(max(0.0, deadline - time.monotonic()))
    _left[:] = [("thread", thread.name[:100]) for thread in _threads()]


_shell._nbrun_finish = _finish
_shell._nbrun_finish_threads = _finish_threads
_shell._nbrun_left = _left
