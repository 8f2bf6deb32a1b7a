"""xeus-python, which is IPython without ipykernel.

Its prelude makes an interrupt end the cell instead of the kernel, and reports failed shell
commands, which the kernel calls a success.
"""

from nbrun.kernel.kinds.kind import KernelKind, python_prelude


def _prelude() -> str:
    return python_prelude(
        "kinds/xeus_python_prelude.py",
        "kinds/xeus_python_output.py",
        "ipython_interrupts.py",
        "kinds/xeus_python_shell.py",
    )


XEUS_PYTHON = KernelKind(
    prelude=_prelude,
    ended_expression="__import__('IPython').get_ipython()._nbrun_ended()",
)
