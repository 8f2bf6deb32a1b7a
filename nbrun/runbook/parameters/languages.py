"""The languages that nbrun can write parameters in, and the names that a parameter may have."""

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
# bash runs or obeys the contents of these variables: the notebook must declare them itself.
_BASH_BUILTIN = re.compile(r"PROMPT_COMMAND|PS[0-4]|ENV|PATH|IFS|SHELLOPTS|BASH.*|LD_.*")


def language_name(kernel_name: str | None, language: str | None) -> str:
    """Return the name under which papermill knows a notebook's language.

    As in papermill, the kernel's name takes precedence. Python is the default. A language that
    neither nbrun nor papermill knows is returned unchanged.
    """
    for name in (kernel_name, language):
        known = _ALIASES.get((name or "").lower(), (name or "").lower())
        if known in DIALECTS or known in PYTHON:
            return known
    if language is None and (kernel_name or "python").startswith("python"):
        return "python"
    return language or kernel_name or ""


def check_name(name: str, language: str) -> None:
    """Raise ParameterError if a variable of `language` can't have this name."""
    if language in PYTHON:
        dunder = name.startswith("__") and name.endswith("__")
        valid = name.isidentifier() and not keyword.iskeyword(name) and not dunder
    else:
        valid = bool(
            (_R_NAME if DIALECTS.get(language) is DIALECTS["R"] else _NAME).fullmatch(name)
        )
    if not valid:
        raise ParameterError(f"not a valid parameter name in {language or 'this language'}")


def check_undeclared_name(name: str, language: str) -> None:
    """Raise ParameterError if only a notebook that declares this name may be given it."""
    if language == "bash" and _BASH_BUILTIN.fullmatch(name):
        raise ParameterError(
            "bash itself uses this variable: you can set it only if the notebook declares it"
        )
