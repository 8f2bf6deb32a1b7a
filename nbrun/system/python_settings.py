"""Settings of Python in the environment: for the kernel of a runbook, not for nbrun itself.

With `PYTHONWARNINGS=error`, for example, a warning of a library would end a thread of the
supervisor. This module imports little, since `nbrun --version` waits for its imports.
"""

import os
import sys

_KEPT_FOR_KERNEL = "_NBRUN_KERNEL_"  # prefix of a variable that the supervisor's own Python ignores
# Without these, Python might not find nbrun, or not read its files.
_OWN = {
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "PYTHONNOUSERSITE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUTF8",
    "PYTHONIOENCODING",
    "PYTHONCOERCECLOCALE",
}


def ignore_warnings() -> None:
    """Ignore warnings in this process, whatever its environment says about them."""
    if sys.warnoptions:
        import warnings

        warnings.resetwarnings()
        warnings.simplefilter("ignore")


def environment_without_settings() -> dict[str, str]:
    """Return an environment for a Python of nbrun's own, which calls `restore_settings`."""
    return {
        _KEPT_FOR_KERNEL + name if _is_setting(name) else name: value
        for name, value in os.environ.items()
    }


def restore_settings() -> None:
    """Give this process its whole environment back: its children inherit it, the kernel too."""
    for name in [name for name in os.environ if name.startswith(_KEPT_FOR_KERNEL)]:
        os.environ[name.removeprefix(_KEPT_FOR_KERNEL)] = os.environ.pop(name)


def _is_setting(name: str) -> bool:
    return name.startswith("PYTHON") and name not in _OWN
