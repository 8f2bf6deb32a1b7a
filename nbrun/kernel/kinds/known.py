"""The kinds of kernels that nbrun knows, by the name that each gives of its implementation."""

from collections.abc import Mapping
from types import MappingProxyType

from nbrun.kernel.kinds.bash import BASH
from nbrun.kernel.kinds.deno import DENO
from nbrun.kernel.kinds.irkernel import IRKERNEL
from nbrun.kernel.kinds.kind import KernelKind, python_prelude
from nbrun.kernel.kinds.xeus_python import XEUS_PYTHON


def _ipython_prelude() -> str:
    return python_prelude(
        "ipython_interrupts.py",
        "ipython_failures.py",
        "ipython_background.py",
        "ipython_prelude.py",
    )


_IPYKERNEL = KernelKind(
    prelude=_ipython_prelude,
    ended_expression="__import__('IPython').get_ipython()._nbrun_ended()",
    is_ipykernel=True,
)
_UNKNOWN = KernelKind(
    doubts=("nbrun has not been tried with this kernel, and can't say which failures it hides",),
)
_KINDS: Mapping[str, KernelKind] = MappingProxyType(
    {
        "ipython": _IPYKERNEL,
        "bash_kernel": BASH,
        "xeus-python": XEUS_PYTHON,
        "IRkernel": IRKERNEL,
        "Deno kernel": DENO,
    }
)


def kind_of(implementation: str) -> KernelKind:
    """Return the kind of the kernel whose `kernel_info_reply` has this `implementation`."""
    return _KINDS.get(implementation, _UNKNOWN)
