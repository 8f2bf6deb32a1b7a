"""Find Python that does not parse, after the transformations that IPython applies to a cell."""

import ast
import warnings
from typing import Any


def syntax_fault(source: str) -> tuple[int | None, str] | None:
    """Return the line and the message of a fault in a cell; None if the cell parses.

    The line counts from 1; None if it is not known. The body of a cell magic is not checked.
    """
    if _error(source) is None:  # IPython is slow to import, and would not change the cell
        return None
    transformed = _transformed(source)
    error = _error(transformed)
    if error is None:
        return None
    if isinstance(error, SyntaxError):
        return _line(error, source, transformed), f"not valid Python: {error.msg}"
    return None, f"can't be parsed as Python: {error}"


def _error(source: str) -> Exception | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return None


def _transformed(source: str) -> str:
    """Return the Python that IPython runs: magics, `!` and `?` as calls, without the indent."""
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager
    try:
        return str(manager().transform_cell(source))
    except (SyntaxError, ValueError, RecursionError):
        return source


def _line(error: SyntaxError, source: str, transformed: str) -> int | None:
    """Return the error's line in `source`. IPython joins the lines of a continued command."""
    if transformed.rstrip().count("\n") == source.rstrip().count("\n"):
        return error.lineno
    wanted = (error.text or "").strip()
    lines = enumerate(source.splitlines(), start=1)
    return next((number for number, line in lines if wanted and line.strip() == wanted), None)
