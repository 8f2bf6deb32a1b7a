"""xeus-python, which is IPython without ipykernel.

Its prelude makes an interrupt end the cell instead of the kernel, and reports failed shell
commands, which the kernel calls a success.
"""

from nbrun.kernel.kinds.kind import Content, Interview, KernelKind, plain_error, python_prelude

_RAISE_ERROR = "__import__('IPython').get_ipython()._nbrun_raise_error()"


def _prelude() -> str:
    return python_prelude(
        "kinds/xeus_python_prelude.py",
        "kinds/xeus_python_output.py",
        "ipython_interrupts.py",
        "kinds/xeus_python_shell.py",
    )


def _complete(content: Content) -> Interview:
    """Complete an `ok`, which the kernel replies also for a cell interrupted in `input()`."""
    if content.get("status") != "ok":
        return plain_error(content)
    answer = plain_error((yield _RAISE_ERROR))
    if answer.get("status") != "error":
        return content
    return {**content, **{name: answer.get(name) for name in ("status", "ename", "evalue")}}


XEUS_PYTHON = KernelKind(
    prelude=_prelude,
    complete=_complete,
    ended_expression="__import__('IPython').get_ipython()._nbrun_ended()",
)
