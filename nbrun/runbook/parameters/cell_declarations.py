"""Parse the source of a `parameters` cell: names, types, defaults and comments of parameters.

No code is run. A Python cell is parsed by `ast`, a cell of another language line by line.
"""

import ast
import re
import warnings
from collections.abc import Iterator

from nbrun.runbook.parameters.types import Parameter, ParameterType

_ANNOTATION_TYPES: dict[str, ParameterType] = {
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
_EXPRESSION_TYPES: dict[type[ast.expr], ParameterType] = {
    ast.JoinedStr: "str",
    ast.List: "list",
    ast.Tuple: "list",
    ast.Set: "list",
    ast.ListComp: "list",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Compare: "bool",
}
_LINE_END = re.compile(r"\r\n|\r|\n")  # the line ends that Python's parser counts
_MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
_ASSIGNMENT = re.compile(
    r"(?:(?:val|var|let|const|export|readonly|int|long|double|float|string|bool)\s+)?\$?"
    r"(?P<name>[A-Za-z_][\w.]*)\s*(?:=(?!=)|<-)\s*(?P<default>.*?)\s*;?"
    r"(?:\s(?:#|//|%)\s*(?P<help>.*))?"
)
_LITERALS: tuple[tuple[re.Pattern[str], ParameterType], ...] = (
    (re.compile(r"[+-]?\d+L?"), "int"),
    (re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?"), "float"),
    (re.compile(r"\$?(true|false)", re.IGNORECASE), "bool"),
    (re.compile(r"\"[^\"]*\"|'[^']*'"), "str"),
)


def python_parameters(source: str) -> dict[str, Parameter]:
    """Return the parameters that a Python cell assigns, by name, in order.

    If the cell does not parse even without its magics, each line that parses counts.
    """
    for candidate in (source, _MAGIC.sub("", source)):
        found = _parse(candidate)
        if found is not None:
            return found
    lines = [_parse(line) or {} for line in _LINE_END.split(source)]
    return {name: parameter for line in lines for name, parameter in line.items()}


def _parse(source: str) -> dict[str, Parameter] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as one about `"\d"`, which concerns the author
            body = ast.parse(source).body
        return {p.name: p for p in _assignments(source, body)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def line_parameters(source: str, language: str) -> dict[str, Parameter]:
    """Return the parameters of a cell in another language: each line that assigns to one name.

    Every bash variable is text, except for arrays.
    """
    found = {}
    for line in _LINE_END.split(source):
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            kind = (
                _bash_type(match["default"])
                if language == "bash"
                else _literal_type(match["default"])
            )
            parameter = Parameter(match["name"], kind, match["default"], match["help"] or "")
            found[parameter.name] = parameter
    return found


def _literal_type(default: str) -> ParameterType:
    return next((kind for pattern, kind in _LITERALS if pattern.fullmatch(default)), "any")


def _bash_type(default: str) -> ParameterType:
    return "list" if default.startswith("(") else "str"


def _assignments(source: str, body: list[ast.stmt]) -> Iterator[Parameter]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                kind, optional = _inferred_type(value), False
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                kind, optional = _annotation(annotation)
            case _:
                continue
        default = (ast.get_source_segment(source, value) or "") if value else ""
        yield Parameter(name, kind, default, _comment_after(source, statement), optional)


def _comment_after(source: str, statement: ast.stmt) -> str:
    line = _LINE_END.split(source)[(statement.end_lineno or 1) - 1]
    rest = line.encode()[statement.end_col_offset :].decode().strip()  # ast counts bytes
    return rest.lstrip("#").strip() if rest.startswith("#") else ""


def _annotation(annotation: ast.expr) -> tuple[ParameterType, bool]:
    """Return the annotation's type, and True if the annotation allows None."""
    match annotation:
        case ast.Constant(value=str(text)):
            return _string_annotation(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _ANNOTATION_TYPES.get(name, "any"), False
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional")):
            return _annotation(annotation.slice)[0], True
        case ast.Subscript(value=value):
            return _annotation(value)
        case ast.BinOp(left=kind, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _annotation(kind)[0], True
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=kind):
            return _annotation(kind)[0], True
    return "any", False


def _string_annotation(text: str) -> tuple[ParameterType, bool]:
    try:
        return _annotation(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "any", False


def _inferred_type(value: ast.expr) -> ParameterType:
    """Return the type of a default: "any" for None and for code that would have to run."""
    match value:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return _ANNOTATION_TYPES[type(constant).__name__]
        case ast.UnaryOp(op=ast.Not()):
            return "bool"
        case ast.UnaryOp(operand=operand):
            return _inferred_type(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _operation_type(_inferred_type(left), op, _inferred_type(right))
        case ast.Call(func=ast.Name(id="int" | "float" | "str" | "bool" | "list" | "dict" as name)):
            return _ANNOTATION_TYPES[name]
    return _EXPRESSION_TYPES.get(type(value), "any")


def _operation_type(left: ParameterType, op: ast.operator, right: ParameterType) -> ParameterType:
    if left == "str" and isinstance(op, ast.Mod | ast.Add | ast.Mult):
        return "str"
    if {left, right} <= {"int", "float"}:
        return "float" if isinstance(op, ast.Div) or "float" in (left, right) else "int"
    return left if left == right and left == "list" else "any"
