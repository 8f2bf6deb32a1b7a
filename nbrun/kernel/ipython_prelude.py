"""Code that nbrun runs once in an IPython kernel, before the first step.

It keeps output from being lost or attributed to the wrong step, and reports the exit codes of shell
commands.

The supervisor sends this file as text. It is executed in a namespace of its own, so that it touches
no name of the runbook. It must not import nbrun, which the kernel's Python need not have. If
IPython's internals are not as expected, it does not change them, and reports only the exit code of
the last `!cmd`.

The names `_nbrun_…` and `nbrun_…` are used by the supervisor, which may be of a later version.
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

_attended: bool = globals()["attended"]  # set by the supervisor: somebody can answer a prompt
_shell: Any = get_ipython()
_exits: "list[int]" = []
_ended: "list[Any]" = [0, None]  # number of finished requests, and the error of the last one
_request: "list[Any]" = [None]


def _report_exit(code: Any) -> None:
    """Add the exit code of one shell command to the reply of the current request.

    A reply's payload costs nothing in a cell without shell commands. A user expression would cost
    time in every cell.
    """
    request = _shell.kernel.get_parent()["header"]["msg_id"]
    if _request[0] != request:
        _request[0] = request
        del _exits[:]
    _exits.append(int(code or 0))
    payload = {"source": "nbrun_shell_exits", "request": request, "exits": _exits}
    _shell.payload_manager.write_payload(payload)


def _fail_on_exit_code() -> None:
    """Make `exit(1)` fail, as everywhere else. IPython takes 1 for "keep the kernel"."""
    autocall: Any = type(_shell.exiter)
    leave = autocall.__call__

    def called(self: Any, code: Any = None, **kwargs: Any) -> None:
        if code is None or code is True or code is False or code == 0:
            leave(self, **kwargs)
        else:
            raise SystemExit(code)

    autocall.__call__ = called


def _reporting_exit(system: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap the function behind `!cmd`: IPython keeps only the exit code of the last command."""

    def call_system(cmd: Any) -> Any:
        # Unattended, a command that asks would wait forever on the pty that IPython creates.
        code = system(cmd if _attended else "exec </dev/null\n" + cmd)
        _report_exit(code)
        return code

    return call_system


def _getoutput(cmd: Any) -> str:
    """Replace the function behind `x = !cmd`, `%sx` and `!!cmd`, which drops the exit code."""
    from IPython.utils._process_common import process_handler

    def finish(process: Any) -> Any:
        out = process.communicate()[0]
        _report_exit(process.returncode)
        return out

    out = process_handler(cmd, finish, subprocess.STDOUT)
    return "" if out is None else out.decode("utf-8", "replace")


def _report_last_exit(_result: Any) -> None:
    """Report the exit code of the last `!cmd`, if the functions can't be wrapped."""
    code = _shell.user_ns.pop("_exit_code", None)
    if code is not None:
        _report_exit(code)


def _report_shell_exits() -> None:
    """Wrap the two functions through which IPython runs every shell command of a cell."""
    import ipykernel.zmqshell
    from IPython.utils._process_common import process_handler  # noqa: F401  `_getoutput` needs it

    zmqshell: Any = ipykernel.zmqshell
    zmqshell.system = _reporting_exit(zmqshell.system)
    shell: Any = interactiveshell
    shell.getoutput = _getoutput


def _count_request(result: Any) -> None:
    """Count finished requests, for a supervisor that adopts this kernel after a crash."""
    error = result.error_before_exec or result.error_in_exec
    _ended[0] += 1
    _ended[1] = None if error is None else f"{type(error).__name__}: {error}"[:200]


def _remove_send_limit() -> None:
    """Remove the high-water mark, past which ZeroMQ drops messages to a slow reader."""
    import zmq

    thread = _shell.kernel.iopub_thread
    thread.schedule(lambda: thread.socket.set(zmq.SNDHWM, 0))


def _disable_history() -> None:
    """Keep IPython from writing every source, and so every secret, to a file in the home folder."""
    _shell.history_manager.enabled = False


def _allow_debugpy() -> None:
    """Let cells import debugpy, which the kernel was started without.

    `breakpoint()` does nothing, as with a debugger that nobody is attached to.
    """
    if sys.modules.get("debugpy.server", sys) is not None:
        return
    del sys.modules["debugpy.server"]
    if sys.breakpointhook is sys.__breakpointhook__ and "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = lambda *_args, **_kwargs: None


def _with_current_request(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function`: its output in another thread belongs to the current request."""
    header = _shell.display_pub.parent_header

    def call(*args: Any, **kwargs: Any) -> Any:
        for part in (sys.stdout, sys.stderr, _shell.display_pub, _shell.displayhook):
            if hasattr(part, "set_thread_parent"):
                part.set_thread_parent(header)
        return function(*args, **kwargs)

    return call


def _attribute_threads() -> None:
    """Attribute a thread's output to the cell that started it.

    ipykernel 7 attributes it to the cell that runs at that moment.
    """
    if not hasattr(_shell.display_pub, "set_thread_parent"):
        return
    start, submit = threading.Thread.start, concurrent.futures.ThreadPoolExecutor.submit
    worker: Any = concurrent.futures.thread._worker

    def started(self: Any) -> None:
        if getattr(self, "_target", None) is not worker:  # a pool's worker serves many cells
            self.run = _with_current_request(self.run)
        start(self)

    def submitted(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return submit(self, _with_current_request(function), *args, **kwargs)

    thread: Any = threading.Thread
    thread.start = started
    executor: Any = concurrent.futures.ThreadPoolExecutor
    executor.submit = submitted


def _join_threads(seconds: float) -> None:
    """Wait for the threads that Python waits for at exit, without a pool's idle workers."""
    deadline = time.monotonic() + seconds
    workers = concurrent.futures.thread._threads_queues
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon and thread not in workers:
            thread.join(max(0.0, deadline - time.monotonic()))


def _wait_for_control_thread() -> None:
    """At exit, wait until the control thread has ended.

    The main thread would close iopub first, and then wait for the control thread, which may still
    use iopub to report the end of the shutdown request: for ten seconds, or forever (ipykernel 7.4,
    `IPKernelApp.close` and `Kernel.process_control`).
    """
    kernel = _shell.kernel
    control = getattr(kernel, "control_thread", None)
    if control is not None and getattr(kernel, "_shutdown_message", None) is not None:
        control.join(5.0)


def _freeze_existing_objects() -> None:
    """Exclude IPython's own objects from garbage collection, but not those of the runbook.

    Python's last collection, at exit, would take longer than the rest of the exit.
    """
    if hasattr(gc, "freeze"):
        gc.freeze()


_shell._nbrun_join_threads = _join_threads
try:
    _report_shell_exits()
except (ImportError, AttributeError):
    _shell.events.register("post_run_cell", _report_last_exit)
_shell._nbrun_ended = lambda: tuple(_ended)
_shell.events.register("post_run_cell", _count_request)
_remove_send_limit()
_allow_debugpy()
_disable_history()
_attribute_threads()
_fail_on_exit_code()
atexit.register(_wait_for_control_thread)  # last, so that it runs first
_freeze_existing_objects()
