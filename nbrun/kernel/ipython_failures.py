"""Code that nbrun runs once in an IPython kernel: it reports failures that IPython only shows.

IPython's reply to a cell is `ok` although a shell command failed, a script that the cell runs
raised, or a magic printed its error and returned. This file adds each of them to the payload of the
reply. A payload costs nothing in a cell without failures; a user expression would cost time in
every cell.

The supervisor sends this file as text, as it does `ipython_prelude.py`, and it must not import
nbrun. If IPython's internals are not as expected, it does not change them, and reports less.
"""

import functools
import inspect
import os
import queue
import re
import subprocess
import sys
import threading
import time
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython
from IPython.core import interactiveshell

_shell: Any = get_ipython()
_guard: Any = _shell._nbrun_interrupt_guard
_exits: "list[int]" = []
_request: "list[Any]" = [None, False]  # the last request with a report; True if it has an error
_raised_again: "list[Any]" = [None]  # an error that was shown, and must not be shown twice
_READS = re.compile(r"\bread\b")  # the shell's own command that reads a line of input
_STARTUP = 0.2  # seconds in which a background script that can't run at all ends

# The functions of IPython that show a cell's own errors, which are in the cell's result.
_OF_A_CELL = frozenset({"run_code", "run_ast_nodes", "run_cell_async", "_run_cell"})


def _current_request() -> Any:
    """Return the id of the running request. Drop what was reported about an earlier one."""
    request = _shell.kernel.get_parent()["header"]["msg_id"]
    if _request[0] != request:
        _request[:] = [request, False]
        del _exits[:]
    return request


# ── shell commands ───────────────────────────────────────────────────────────────────────────


def _report_exit(code: Any) -> None:
    """Add the exit code of one shell command, as `$?` has it, to the reply of the request.

    IPython turns 128 + n into -n, for a signal as for `exit 255`.
    """
    code = int(code or 0)
    request = _current_request()
    _exits.append(code if code >= 0 else 128 - code)
    payload = {"source": "nbrun_shell_exits", "request": request, "exits": _exits}
    _shell.payload_manager.write_payload(payload)


def _reporting_exit(system: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap the function behind `!cmd`: IPython keeps only the exit code of the last command."""

    def call_system(cmd: Any) -> Any:
        # A command that asks would wait forever on the pty that IPython creates, where nobody
        # types. The redirection is on the command's first line, so that line numbers stay right.
        with _guard():
            code = system("exec </dev/null; " + cmd)
        if code and _READS.search(cmd):
            sys.stderr.write("nbrun: a shell command gets no input: ask with input() instead\n")
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

    with _guard():
        out = process_handler(cmd, finish, subprocess.STDOUT)
    return "" if out is None else out.decode("utf-8", "replace")


def _system_raw(cmd: Any) -> None:
    """Replace `system_raw`, which swallows interrupts, and reports no exit code."""
    cmd = _shell.var_expand(cmd, depth=1)
    code = subprocess.call(cmd, shell=True, executable=os.environ.get("SHELL"))  # noqa: S602
    _report_exit(code)
    _shell.user_ns["_exit_code"] = code if code <= 128 else 128 - code
    if code and getattr(_shell, "system_raise_on_error", False):
        raise subprocess.CalledProcessError(code, cmd)


def _report_last_exit(_result: Any) -> None:
    """Report the exit code of the last `!cmd`, if the functions can't be wrapped."""
    code = _shell.user_ns.pop("_exit_code", None)
    if code is not None:
        _report_exit(code)


def _watch_shell_commands() -> None:
    """Wrap the functions through which IPython runs every shell command of a cell."""
    import ipykernel.zmqshell
    from IPython.utils._process_common import process_handler  # noqa: F401  `_getoutput` needs it

    zmqshell: Any = ipykernel.zmqshell
    zmqshell.system = _reporting_exit(zmqshell.system)
    shell: Any = interactiveshell
    shell.getoutput = _getoutput
    if os.name == "posix":
        _shell.system_raw = _system_raw


# ── errors that are shown, and end nothing ───────────────────────────────────────────────────


def _report_error(error: BaseException) -> None:
    """Add an error that the cell neither raised nor caught to the reply, if it is the first."""
    request = _current_request()
    if _request[1]:
        return
    _request[1] = True
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  the runbook's own exceptions may do anything
        text = ""
    payload = {
        "source": "nbrun_nested_error",
        "request": request,
        "ename": type(error).__name__,
        "evalue": text,
    }
    _shell.payload_manager.write_payload(payload)


def _raise_again(error: BaseException) -> None:
    """Raise an error that was already shown, so that it is not shown a second time."""
    _raised_again[0] = error
    raise error


def _watch_nested_cells() -> None:
    """Report the errors of `%%capture`, `%run x.ipynb` and `get_ipython().run_cell`.

    A KeyboardInterrupt and `sys.exit(0)` are raised again: they are meant for the whole step.
    """
    run_cell = _shell.run_cell

    @functools.wraps(run_cell)
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = run_cell(*args, **kwargs)
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__") == "ipykernel.ipkernel":  # the step itself
            return result
        error = result and (result.error_before_exec or result.error_in_exec)
        if isinstance(error, KeyboardInterrupt):
            _raise_again(error)
        elif isinstance(error, SystemExit) and not error.code:
            if caller.f_code.co_name != "safe_execfile_ipy":  # a script may end so
                _raise_again(error)
        elif error:
            _report_error(error)
        return result

    _shell.run_cell = watched


def _watch_tracebacks() -> None:
    """Report the errors that `%run x.py`, ipywidgets' `Output`, callbacks and displays show."""
    show = _shell.showtraceback

    @functools.wraps(show)
    def watched(exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        error = (exc_tuple or sys.exc_info())[1]
        if error is not None and error is _raised_again[0]:
            _raised_again[0] = None
            return
        show(exc_tuple, *args, **kwargs)
        caller: Any = sys._getframe(1)
        if error is None or threading.current_thread() is not threading.main_thread():
            return
        if _is_from_cell(caller):
            return
        if isinstance(error, KeyboardInterrupt) and caller.f_code.co_name != "trigger":
            _raise_again(error)
        _report_error(error)

    _shell.showtraceback = watched


def _is_from_cell(caller: Any) -> bool:
    """Return True if the cell raised the error, caught it, or asked to see it (`%tb`)."""
    if caller.f_code.co_name == "excepthook" and caller.f_back is not None:
        caller = caller.f_back
    name, module = caller.f_code.co_name, caller.f_globals.get("__name__")
    return (
        caller.f_globals is _shell.user_ns
        or (module == "IPython.core.interactiveshell" and name in _OF_A_CELL)
        or (module == "IPython.core.magics.execution" and name == "tb")
    )


# ── magics that print their error and return ─────────────────────────────────────────────────


def _reporting_print(*args: Any, **kwargs: Any) -> None:
    """Replace `print` in the modules of `%cd` and `%%script`, which print errors and return."""
    print(*args, **kwargs)  # noqa: T201  the output of the magic
    error = sys.exc_info()[1]
    traceback = error.__traceback__ if error is not None else None
    if error is not None and traceback is not None and traceback.tb_frame is sys._getframe(1):
        _report_error(error)


def _watch_magics() -> None:
    """Wrap the magics that are loaded. IPython 9 loads most of them when they are first used."""
    for name in ("IPython.core.magics.osm", "IPython.core.magics.script"):
        module: Any = sys.modules.get(name)
        if module is not None:
            module.print = _reporting_print
    cell_magics = _shell.magics_manager.magics["cell"]
    script = cell_magics.get("script")
    scripts: Any = script.__self__ if inspect.ismethod(script) else None
    if scripts is not None and inspect.iscoroutinefunction(getattr(scripts, "_run_script", None)):
        scripts.shebang = cell_magics["script"] = _watched_script(scripts, scripts.shebang)


def _watched_script(scripts: Any, shebang: Any) -> Any:
    """Wrap `%%script` and `%%bash`, which swallow interrupts and the end of background scripts."""
    run = scripts._run_script
    begun: queue.Queue[Any] = queue.Queue()
    reported: set[int] = set()  # process ids

    async def run_in_background(process: Any, *args: Any) -> None:
        begun.put(process)
        await run(process, *args)
        if process.returncode and process.pid not in reported:
            sys.stderr.write(f"a background script ended with exit code {process.returncode}\n")

    @functools.wraps(shebang)
    def watched(line: str, cell: str) -> Any:
        with _guard():
            result = shebang(line, cell)
        if "--bg" in line.split():
            _report_early_end(begun, reported)
        return result

    scripts._run_script = run_in_background
    return watched


def _report_early_end(begun: "queue.Queue[Any]", reported: "set[int]") -> None:
    """Wait a moment, and report a background script that has failed, as one that can't run does."""
    deadline = time.monotonic() + _STARTUP
    try:
        process = begun.get(timeout=_STARTUP)
    except queue.Empty:  # there is no such program
        return
    while process.returncode is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.returncode:
        reported.add(process.pid)
        _report_exit(process.returncode)


def _watch_magics_as_they_load() -> None:
    manager = _shell.magics_manager
    load = getattr(manager, "load_lazy", None)
    if load is None:
        return

    @functools.wraps(load)
    def loading(*args: Any, **kwargs: Any) -> Any:
        result = load(*args, **kwargs)
        _watch_magics()
        return result

    manager.load_lazy = loading


# ── exit() ───────────────────────────────────────────────────────────────────────────────────


def _end_cell_on_exit() -> None:
    """Make `exit()` and `quit()` raise SystemExit, as everywhere else.

    IPython would run the rest of the cell, and take 1 for "keep the kernel".
    """

    def called(_self: Any, code: Any = None, **_kwargs: Any) -> None:
        raise SystemExit(None if code is None or code is True or code is False else code)

    autocall: Any = type(_shell.exiter)
    autocall.__call__ = called


try:
    _watch_shell_commands()
except (ImportError, AttributeError):
    _shell.events.register("post_run_cell", _report_last_exit)
_watch_nested_cells()
_watch_tracebacks()
try:
    _watch_magics()
    _watch_magics_as_they_load()
except (KeyError, AttributeError):
    pass
_end_cell_on_exit()
