"""Code that nbrun runs once in an IPython kernel, before the first step.

It keeps output from being lost or attributed to the wrong step.

The supervisor sends this file as text. It is executed in a namespace of its own, so that it touches
no name of the runbook. It must not import nbrun, which the kernel's Python need not have.

The names `_nbrun_…` and `nbrun_…` are used by the supervisor, which may be of a later version.
"""

import atexit
import concurrent.futures.thread
import gc
import os
import sys
import threading
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython

_shell: Any = get_ipython()
_ended: "list[Any]" = [0, None]  # number of finished requests, and the error of the last one


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


def _set_trace_context() -> None:
    """Let what a step starts find the step's place in the trace of the run (W3C Trace Context)."""
    message: Any = getattr(_shell.kernel, "get_parent", dict)()
    own = (message.get("metadata") or {}).get("nbrun")
    if isinstance(own, dict) and isinstance(own.get("traceparent"), str):
        os.environ["TRACEPARENT"] = own["traceparent"]


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


def _flush_before_each_display() -> None:
    """Flush the kernel's own streams before a display, also if a program has replaced `sys.stdout`.

    rich does that while it shows progress. What the cell had printed before would then come later,
    into rich's `Output` widget, which rich clears.
    """
    publisher = _shell.display_pub
    flush = getattr(publisher, "_flush_streams", None)
    if flush is None:
        return
    streams = sys.stdout, sys.stderr

    def flush_all() -> None:
        flush()
        for stream in streams:
            stream.flush()

    publisher._flush_streams = flush_all


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


_shell._nbrun_ended = lambda: tuple(_ended)
_shell.events.register("post_run_cell", _count_request)
_shell.events.register("pre_execute", _set_trace_context)
_remove_send_limit()
_allow_debugpy()
_disable_history()
_attribute_threads()
_flush_before_each_display()
atexit.register(_wait_for_control_thread)  # last, so that it runs first
_freeze_existing_objects()
