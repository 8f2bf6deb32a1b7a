"""The languages that nbrun can write parameters in, and the names that a parameter may have."""

import keyword
import re
from collections.abc import Mapping
from types import MappingProxyType

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
    "deno": "typescript",
    "ir": "R",
    "xpython": "python",
    "xpython-raw": "python",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_R_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._]*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RESERVED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "R": frozenset(
            [
                "if",
                "else",
                "repeat",
                "while",
                "function",
                "for",
                "next",
                "break",
                "in",
                "TRUE",
                "FALSE",
                "NULL",
                "NA",
                "NaN",
                "Inf",
            ]
        ),
        "javascript": frozenset(
            [
                "arguments",
                "await",
                "break",
                "case",
                "catch",
                "class",
                "const",
                "continue",
                "debugger",
                "default",
                "delete",
                "do",
                "else",
                "enum",
                "eval",
                "export",
                "extends",
                "false",
                "finally",
                "for",
                "function",
                "if",
                "implements",
                "import",
                "in",
                "instanceof",
                "interface",
                "let",
                "new",
                "null",
                "package",
                "private",
                "protected",
                "public",
                "return",
                "static",
                "super",
                "switch",
                "this",
                "throw",
                "true",
                "try",
                "typeof",
                "undefined",
                "var",
                "void",
                "while",
                "with",
                "yield",
            ]
        ),
    }
)
# bash runs or obeys the contents of these variables: the notebook must declare them itself.
_BASH_BUILTIN = re.compile(r"PROMPT_COMMAND|PS[0-4]|ENV|PATH|IFS|SHELLOPTS|BASH.*|LD_.*|__nbrun.*")


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
        ) and name not in _RESERVED.get(_family(language), ())
    if not valid:
        raise ParameterError(f"not a valid parameter name in {language or 'this language'}")


def _family(language: str) -> str:
    """Return the name of the language that `language` is a form of."""
    return {"sparkrkernel": "R", "typescript": "javascript"}.get(language, language)


def check_undeclared_name(name: str, language: str) -> None:
    """Raise ParameterError if only a notebook that declares this name may be given it."""
    if language == "bash" and _BASH_BUILTIN.fullmatch(name):
        raise ParameterError(
            "bash itself uses this variable: you can set it only if the notebook declares it"
        )
