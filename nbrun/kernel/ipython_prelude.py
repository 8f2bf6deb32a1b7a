"""Runs once inside an IPython kernel, before the first step: output is not lost or put to the
wrong step, and the exits of shell commands are seen.

It is sent as text and executed in a namespace of its own, so that no name of the runbook is
touched; it must not import nbrun, which the kernel's Python need not have. Where IPython's
internals are not as expected it leaves them alone, and the exit of the last `!cmd` is all that
can be told.
"""

import atexit
import concurrent.futures.thread
import gc
import os
import subprocess
import sys
import threading
import time
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython
from IPython.core import interactiveshell

_attended: bool = globals()["attended"]  # nbrun's word: somebody can answer a question
_shell: Any = get_ipython()
_exits: "list[int]" = []
_ended: "list[Any]" = [0, None]  # requests seen through, and what the last one ended in
_request: "list[Any]" = [None]


def _note(code: Any) -> None:
    """Have the reply tell the exit code of one shell command, with those of the same request only.
    A reply's payload costs nothing where there is none; an expression would, in every cell."""
    request = _shell.kernel.get_parent()["header"]["msg_id"]
    if _request[0] != request:
        _request[0] = request
        del _exits[:]
    _exits.append(int(code or 0))
    told = {"source": "nbrun_shell_exits", "request": request, "exits": _exits}
    _shell.payload_manager.write_payload(told)


def _leave_with_its_code() -> None:
    """`exit(1)`: IPython takes the 1 for "keep the kernel", and all is well; elsewhere it fails."""
    autocall: Any = type(_shell.exiter)
    leave = autocall.__call__

    def called(self: Any, code: Any = None, **kwargs: Any) -> None:
        if code is None or code is True or code is False or code == 0:
            leave(self, **kwargs)
        else:
            raise SystemExit(code)

    autocall.__call__ = called


def _noting(system: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`!cmd`: IPython keeps the exit code of the last one only."""

    def noted(cmd: Any) -> Any:
        # With nobody there a command that asks would wait for ever on the pty that IPython makes.
        code = system(cmd if _attended else "exec </dev/null\n" + cmd)
        _note(code)
        return code

    return noted


def _getoutput(cmd: Any) -> str:
    """`x = !cmd`, `%sx`, `!!cmd`: IPython drops the exit code."""
    from IPython.utils._process_common import process_handler

    def finish(process: Any) -> Any:
        out = process.communicate()[0]
        _note(process.returncode)
        return out

    out = process_handler(cmd, finish, subprocess.STDOUT)
    return "" if out is None else out.decode("utf-8", "replace")


def _note_last(_result: Any) -> None:
    """The exit code of the last `!cmd`, where that is all IPython tells."""
    code = _shell.user_ns.pop("_exit_code", None)
    if code is not None:
        _note(code)


def _see_shell_exits() -> None:
    """Wrap the two functions through which IPython runs every shell command of a cell."""
    import ipykernel.zmqshell
    from IPython.utils._process_common import process_handler  # noqa: F401  `_getoutput` needs it

    zmqshell: Any = ipykernel.zmqshell
    zmqshell.system = _noting(zmqshell.system)
    shell: Any = interactiveshell
    shell.getoutput = _getoutput


def _count(result: Any) -> None:
    """For a supervisor that finds this kernel after a crash of the one before."""
    error = result.error_before_exec or result.error_in_exec
    _ended[0] += 1
    _ended[1] = None if error is None else f"{type(error).__name__}: {error}"[:200]


def _lift_send_limit() -> None:
    """ZeroMQ drops what a slow reader has not taken past its high-water mark."""
    import zmq

    thread = _shell.kernel.iopub_thread
    thread.schedule(lambda: thread.socket.set(zmq.SNDHWM, 0))


def _keep_no_history() -> None:
    """IPython would write every source, and so every secret parameter, into the person's home."""
    _shell.history_manager.enabled = False


def _do_as_with_debugpy() -> None:
    """The kernel was started as if it could not be imported: a cell may import it, and passes by
    `breakpoint()`, as with a debugger that nobody is attached to."""
    if sys.modules.get("debugpy.server", sys) is not None:
        return
    del sys.modules["debugpy.server"]
    if sys.breakpointhook is sys.__breakpointhook__ and "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = lambda *_args, **_kwargs: None


def _of_this_request(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose output in another thread belongs to the request that is running now."""
    header = _shell.display_pub.parent_header

    def call(*args: Any, **kwargs: Any) -> Any:
        for part in (sys.stdout, sys.stderr, _shell.display_pub, _shell.displayhook):
            if hasattr(part, "set_thread_parent"):
                part.set_thread_parent(header)
        return function(*args, **kwargs)

    return call


def _keep_threads_to_their_cell() -> None:
    """ipykernel 7 puts what a thread prints to the cell that runs at that moment."""
    if not hasattr(_shell.display_pub, "set_thread_parent"):
        return
    start, submit = threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit
    worker: Any = concurrent.futures.thread._worker

    def started(self: Any) -> None:
        if getattr(self, "_target", None) is not worker:  # a worker serves many cells: see below
            self.run = _of_this_request(self.run)
        start(self)

    def submitted(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return submit(self, _of_this_request(function), *args, **kwargs)

    thread: Any = threading.Thread
    thread.start = started
    executor: Any = concurrent.futures.ThreadPoolExecutor
    executor.submit = submitted


def _join_threads(seconds: float) -> None:
    """Wait for the threads that Python would wait for at exit; a pool's idle workers end then."""
    deadline = time.monotonic() + seconds
    workers = concurrent.futures.thread._threads_queues
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon and thread not in workers:
            thread.join(max(0.0, deadline - time.monotonic()))


def _let_control_end_first() -> None:
    """At exit the main thread closes iopub and waits for the control thread, which may still want
    to flush and to say on iopub that the request to end is done: for ten seconds, or for ever
    (ipykernel 7.4, `IPKernelApp.close` and `Kernel.process_control`). It is given time to."""
    kernel = _shell.kernel
    control = getattr(kernel, "control_thread", None)
    if control is not None and getattr(kernel, "_shutdown_message", None) is not None:
        control.join(5.0)


def _set_aside_what_is_there() -> None:
    """Each collection of garbage would look through all that IPython is made of, and Python's last
    one, at the end, takes longer than the rest of the end. What the runbook makes is collected."""
    if hasattr(gc, "freeze"):
        gc.freeze()


_shell._nbrun_join_threads = _join_threads
try:
    _see_shell_exits()
except (ImportError, AttributeError):
    _shell.events.register("post_run_cell", _note_last)
_shell._nbrun_ended = lambda: tuple(_ended)
_shell.events.register("post_run_cell", _count)
_lift_send_limit()
_do_as_with_debugpy()
_keep_no_history()
_keep_threads_to_their_cell()
_leave_with_its_code()
atexit.register(_let_control_end_first)  # what is registered last runs first
_set_aside_what_is_there()
