"""Code that nbrun runs once in a xeus-python kernel: failed shell commands are in the reply.

The supervisor sends this file as text, after `ipython_interrupts.py`, whose guard it uses. It must
not import nbrun. ipykernel's counterpart is `ipython_failures.py`.
"""

import subprocess
import sys
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython
from IPython.core import interactiveshell
from IPython.utils._process_common import process_handler

_shell: Any = get_ipython()
_guard: Any = _shell._nbrun_interrupt_guard
_exits: "list[int]" = []


def _report_exit(code: Any) -> None:
    """Add the exit code of one shell command, as `$?` has it, to the reply.

    IPython turns 128 + n into -n, for a signal as for `exit 255`.
    """
    code = int(code or 0)
    _exits.append(code if code >= 0 else 128 - code)
    payload = {"source": "nbrun_shell_exits", "exits": list(_exits)}
    _shell.payload_manager.write_payload(payload)


def _reporting_exit(system: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wrap the function behind `!cmd`, and give the command no input: nobody types there."""

    def call_system(cmd: Any) -> Any:
        with _guard():
            code = system("exec </dev/null; " + cmd)
        _report_exit(code)
        return code

    return call_system


def _getoutput(cmd: Any) -> str:
    """Replace the function behind `x = !cmd`, which drops the exit code."""

    def finish(process: Any) -> Any:
        out = process.communicate()[0]
        _report_exit(process.returncode)
        return out

    with _guard():
        out = process_handler(cmd, finish, subprocess.STDOUT)
    return "" if out is None else out.decode("utf-8", "replace")


def _begin_cell(_info: Any) -> None:
    del _exits[:]


if sys.platform != "win32":
    module: Any = interactiveshell
    module.system = _reporting_exit(module.system)
    module.getoutput = _getoutput
    _shell.events.register("pre_run_cell", _begin_cell)
