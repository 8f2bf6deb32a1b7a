"""The names that steps bind in a Python kernel: what is lost when it is."""

import ast
from collections.abc import Iterable

from nbrun.core.reducer import SETUP_TAGS
from nbrun.core.state import RunState

_SHOWN = 40  # names


def lost_names(state: RunState) -> tuple[str, ...] | None:
    """What the steps that ran bound, and no setup step binds again, in order; None where the
    language is not Python."""
    if state.kernel_info is None or state.kernel_info.language != "python":
        return None
    made: dict[str, None] = {}
    again: set[str] = set()
    for step in state.steps.values():
        names = bound_names(step.last_source or "")
        if step.succeeded and SETUP_TAGS.intersection(step.step.tags):
            again.update(names)
        else:
            made.update(dict.fromkeys(names))
    return tuple(name for name in made if name not in again)[:_SHOWN]


def bound_names(source: str) -> list[str]:
    """The names that a cell binds at its top level, in order; none of one that is no Python."""
    plain = "\n".join("" if line.lstrip()[:1] in "!%" else line for line in source.split("\n"))
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError):
        return []
    return list(dict.fromkeys(_names(tree.body)))


def _names(body: Iterable[ast.AST]) -> Iterable[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name):
                yield name
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name).split(".")[0] for alias in aliases)
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                pass  # these have a scope of their own
            case ast.GeneratorExp():
                pass
            case _:
                yield from _names(ast.iter_child_nodes(node))
