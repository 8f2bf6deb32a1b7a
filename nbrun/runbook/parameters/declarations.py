"""What the source of a `parameters` cell declares: names, types, defaults and their comments."""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbrun.runbook.parameters.types import Type

_ANNOTATIONS: dict[str, Type] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
}
_DISPLAYS: dict[type[ast.expr], Type] = {
    ast.JoinedStr: "str",
    ast.List: "list",
    ast.Tuple: "list",
    ast.Set: "list",
    ast.ListComp: "list",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Compare: "bool",
}
_LINE_END = re.compile(r"\r\n|\r|\n")  # as Python's parser counts lines
_MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
_ASSIGNMENT = re.compile(
    r"(?:(?:val|var|let|const|export|readonly|int|long|double|float|string|bool)\s+)?\$?"
    r"(?P<name>[A-Za-z_][\w.]*)\s*(?:=(?!=)|<-)\s*(?P<default>.*?)\s*;?"
    r"(?:\s(?:#|//|%)\s*(?P<help>.*))?"
)
_LITERALS: tuple[tuple[re.Pattern[str], Type], ...] = (
    (re.compile(r"[+-]?\d+L?"), "int"),
    (re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?"), "float"),
    (re.compile(r"\$?(true|false)", re.IGNORECASE), "bool"),
    (re.compile(r"\"[^\"]*\"|'[^']*'"), "str"),
)


@dataclass(frozen=True)
class Parameter:
    """One declared parameter. `default` is source text, empty when there is none.

    `optional`: null is a value of it too; `required`: it must be given; `secret`: its value is
    never recorded or shown; `schema`: its JSON Schema, empty when the notebook has none for it.
    """

    name: str
    type: Type
    default: str = ""
    help: str = ""
    optional: bool = False
    required: bool = False
    secret: bool = False
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def choices(self) -> list[Any]:
        """The values that its schema lists; empty when it lists none."""
        return list(self.schema.get("enum", ()))


def in_python(source: str) -> dict[str, Parameter]:
    """The assignments of a Python cell in order.

    Of a cell that does not parse even without its magics, those of the lines that do.
    """
    for candidate in (source, _MAGIC.sub("", source)):
        found = _parsed(candidate)
        if found is not None:
            return found
    lines = [_parsed(line) or {} for line in _LINE_END.split(source)]
    return {name: parameter for line in lines for name, parameter in line.items()}


def _parsed(source: str) -> dict[str, Parameter] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about `"\d"` and such: the cell's own business
            body = ast.parse(source).body
        return {p.name: p for p in _assigned(source, body)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def in_lines(source: str, language: str) -> dict[str, Parameter]:
    """The lines of another language's cell that assign to one name.

    Every bash variable is text, so of those only arrays have another type.
    """
    found = {}
    for line in _LINE_END.split(source):
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            kind = _bash_type(match["default"]) if language == "bash" else _type(match["default"])
            parameter = Parameter(match["name"], kind, match["default"], match["help"] or "")
            found[parameter.name] = parameter
    return found


def _type(default: str) -> Type:
    return next((kind for pattern, kind in _LITERALS if pattern.fullmatch(default)), "any")


def _bash_type(default: str) -> Type:
    return "list" if default.startswith("(") else "str"


def _assigned(source: str, body: list[ast.stmt]) -> Iterator[Parameter]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                kind, optional = _inferred(value), False
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                kind, optional = _annotated(annotation)
            case _:
                continue
        default = (ast.get_source_segment(source, value) or "") if value else ""
        yield Parameter(name, kind, default, _comment_after(source, statement), optional)


def _comment_after(source: str, statement: ast.stmt) -> str:
    line = _LINE_END.split(source)[(statement.end_lineno or 1) - 1]
    rest = line.encode()[statement.end_col_offset :].decode().strip()  # ast counts bytes
    return rest.lstrip("#").strip() if rest.startswith("#") else ""


def _annotated(annotation: ast.expr) -> tuple[Type, bool]:
    """The annotation's type, and whether None is one of its values."""
    match annotation:
        case ast.Constant(value=str(text)):
            return _annotated_by_text(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _ANNOTATIONS.get(name, "any"), False
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional")):
            return _annotated(annotation.slice)[0], True
        case ast.Subscript(value=value):
            return _annotated(value)
        case ast.BinOp(left=kind, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _annotated(kind)[0], True
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=kind):
            return _annotated(kind)[0], True
    return "any", False


def _annotated_by_text(text: str) -> tuple[Type, bool]:
    try:
        return _annotated(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "any", False


def _inferred(value: ast.expr) -> Type:
    """The type of a default. "any" for None and for what only running it would tell."""
    match value:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return _ANNOTATIONS[type(constant).__name__]
        case ast.UnaryOp(op=ast.Not()):
            return "bool"
        case ast.UnaryOp(operand=operand):
            return _inferred(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _of_operation(_inferred(left), op, _inferred(right))
        case ast.Call(func=ast.Name(id="int" | "float" | "str" | "bool" | "list" | "dict" as name)):
            return _ANNOTATIONS[name]
    return _DISPLAYS.get(type(value), "any")


def _of_operation(left: Type, op: ast.operator, right: Type) -> Type:
    if left == "str" and isinstance(op, ast.Mod | ast.Add | ast.Mult):
        return "str"
    if {left, right} <= {"int", "float"}:
        return "float" if isinstance(op, ast.Div) or "float" in (left, right) else "int"
    return left if left == right and left == "list" else "any"
