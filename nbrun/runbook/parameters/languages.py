"""The languages that parameters can be written in, and which names one may have there."""

import keyword
import re

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.literals import DIALECTS

PYTHON = ("python", "pysparkkernel")
_ALIASES = {
    "ipython": "python",
    "r": "R",
    "c#": ".net-csharp",
    "f#": ".net-fsharp",
    "powershell": ".net-powershell",
    "pwsh": ".net-powershell",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*")
# bash runs or obeys what these hold, so only a runbook that declares one may be given it
_BASH_OWN = re.compile(r"PROMPT_COMMAND|PS[0-4]|ENV|PATH|IFS|SHELLOPTS|BASH.*|LD_.*")


def tongue(kernel_name: str | None, language: str | None) -> str:
    """The name that papermill knows the language by: the kernel's comes first, as in papermill.

    Python where nothing is said; what nobody knows is given back as it is.
    """
    for name in (kernel_name, language):
        known = _ALIASES.get((name or "").lower(), (name or "").lower())
        if known in DIALECTS or known in PYTHON:
            return known
    if language is None and (kernel_name or "python").startswith("python"):
        return "python"
    return language or kernel_name or ""


def check_form(name: str, spoken: str) -> None:
    """ParameterError when a variable of the language `spoken` can't be called so."""
    if spoken in PYTHON:
        dunder = name.startswith("__") and name.endswith("__")
        good = name.isidentifier() and not keyword.iskeyword(name) and not dunder
    else:
        good = bool((_R_NAME if DIALECTS.get(spoken) is DIALECTS["R"] else _NAME).fullmatch(name))
    if not good:
        raise ParameterError(f"is no name for a parameter in {spoken or 'this language'}")


def refuse_shells_own(name: str, spoken: str) -> None:
    """ParameterError for a name that the shell itself acts on."""
    if spoken == "bash" and _BASH_OWN.fullmatch(name):
        raise ParameterError(
            "bash itself acts on it: it can be set only where the notebook declares it"
        )
