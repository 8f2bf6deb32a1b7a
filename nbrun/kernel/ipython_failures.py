"""Code that nbrun runs once in an IPython kernel: it reports failures that IPython only shows.

IPython's reply to a cell is `ok` although a shell command failed. This file adds the exit codes to
the payload of the reply. A payload costs nothing in a cell without failures; a user expression
would cost time in every cell.

The supervisor sends this file as text, as it does `ipython_prelude.py`, and it must not import
nbrun. If IPython's internals are not as expected, it does not change them, and reports less.
"""

import os
import subprocess
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython
from IPython.core import interactiveshell

_attended: bool = globals()["attended"]  # set by the supervisor: somebody can answer a prompt
_shell: Any = get_ipython()
_exits: "list[int]" = []
_request: "list[Any]" = [None]  # the last request with a report


def _current_request() -> Any:
    """Return the id of the running request. Drop what was reported about an earlier one."""
    request = _shell.kernel.get_parent()["header"]["msg_id"]
    if _request[0] != request:
        _request[0] = request
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
        # Unattended, a command that asks would wait forever on the pty that IPython creates. The
        # redirection is on the command's first line, so that the shell's line numbers stay right.
        code = system(cmd if _attended else "exec </dev/null; " + cmd)
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
_end_cell_on_exit()
