"""Names bound in a Python kernel by the steps that ran: what a restart loses."""

import ast
from collections.abc import Iterable, Iterator

from nbrun.core.state import RunState

_MAX_NAMES = 40


def lost_names(state: RunState) -> tuple[str, ...] | None:
    """Return the names that the steps that ran have bound and no setup step binds again.

    They are in order and at most 40. Return None if the kernel's language is not Python.
    """
    if state.kernel_info is None or state.kernel_info.language != "python":
        return None
    bound: dict[str, None] = {}
    rebound: set[str] = set()
    for step in state.steps.values():
        names = bound_names(step.last_source or "")
        if step.succeeded and step.step.is_setup:
            rebound.update(names)
        else:
            bound.update(dict.fromkeys(names))
    return tuple(name for name in bound if name not in rebound)[:_MAX_NAMES]


def bound_names(source: str) -> list[str]:
    """Return the names that a cell binds at its top level, in order; none if it is not Python."""
    python = "\n".join("" if line.lstrip()[:1] in "!%" else line for line in source.split("\n"))
    try:
        tree = ast.parse(python)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(_bound_in(tree.body)))


def _bound_in(body: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that are bound below `body`, without recursion: a sum may be very deep."""
    waiting = [*body][::-1]
    while waiting:
        match node := waiting.pop():
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name).split(".")[0] for alias in aliases)
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                pass  # these have their own scope
            case ast.GeneratorExp():
                pass
            case _:
                waiting += [*ast.iter_child_nodes(node)][::-1]
