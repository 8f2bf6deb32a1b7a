"""Parse the source of a `parameters` cell: names, types, defaults and comments of parameters.

No code is run. A Python cell is parsed by `ast`, a cell of another language line by line.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nbrun.runbook.parameters.types import Parameter, ParameterType

_ANNOTATION_TYPES: dict[str, ParameterType] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "tuple": "list",
    "Tuple": "list",
    "set": "list",
    "Set": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
    "Any": "any",
    "object": "any",
}
# Classes whose values can't be given. A call of one, such as `date.today()`, declares the type.
_OTHER_CLASSES = frozenset(
    ("date", "datetime", "timedelta", "Timestamp", "Timedelta", "Decimal", "Fraction", "UUID")
) | {"Path", "PurePath", "PosixPath", "bytes", "bytearray", "complex"}
_TEXT_METHODS = ("isoformat", "strftime", "ctime")  # of these classes
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
# As in papermill: one word, here with brackets, and the help after it
_TYPE_COMMENT = re.compile(r"type:\s*(?P<type>[^\s\[]+(?:\[.*\])?)\s*(?P<help>.*)")
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
    source = textwrap.dedent(source)  # IPython runs an indented cell too
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


def line_parameters(source: str) -> dict[str, Parameter]:
    """Return the parameters of a cell in another language: each line that assigns to one name."""
    found = {}
    for line in _LINE_END.split(source):
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match:
            kind = _literal_type(match["default"])
            parameter = Parameter(match["name"], kind, match["default"], match["help"] or "")
            found[parameter.name] = parameter
    return found


def _literal_type(default: str) -> ParameterType:
    return next((kind for pattern, kind in _LITERALS if pattern.fullmatch(default)), "any")


def _assignments(source: str, body: list[ast.stmt]) -> Iterator[Parameter]:
    for statement in body:
        comment = _comment_after(source, statement)
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                declared, help_text = _type_comment(comment)
                declared = declared or _inferred_type(value)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                declared, help_text = _annotation(annotation), _type_comment(comment)[1]
            case _:
                continue
        default = (ast.get_source_segment(source, value) or "") if value else ""
        yield declared.parameter(name, default, help_text)


def _type_comment(comment: str) -> tuple["_Declared | None", str]:
    """Return the type that a comment such as `type: int how many` names, and the rest.

    A comment that names no known type is help from its beginning to its end.
    """
    match = _TYPE_COMMENT.fullmatch(comment)
    if not match:
        return None, comment
    if match["type"].partition("[")[0] == "ignore":  # addressed to a type checker
        return None, match["help"]
    declared = _string_annotation(match["type"])
    if declared.type == "other" and declared.name.rpartition(".")[2] not in _OTHER_CLASSES:
        return None, comment
    return declared, match["help"]


def _comment_after(source: str, statement: ast.stmt) -> str:
    line = _LINE_END.split(source)[(statement.end_lineno or 1) - 1]
    rest = line.encode()[statement.end_col_offset :].decode().strip()  # ast counts bytes
    return rest.lstrip("#").strip() if rest.startswith("#") else ""


@dataclass(frozen=True)
class _Declared:
    """A type as a cell declares it.

    Attributes:
        name: for the type "other", the source that names it.
        choices: the only valid values; empty if any value of the type is valid.
    """

    type: ParameterType
    optional: bool = False
    name: str = ""
    choices: tuple[Any, ...] = ()

    def parameter(self, name: str, default: str, help_text: str) -> Parameter:
        choices = [*self.choices, None] if self.optional else [*self.choices]
        return Parameter(
            name,
            self.type,
            default,
            help_text,
            self.optional,
            schema={"enum": choices} if self.choices else {},
            declared=self.name,
        )


def _annotation(annotation: ast.expr) -> _Declared:
    match annotation:
        case ast.Constant(value=None):
            return _Declared("any", optional=True)
        case ast.Constant(value=str(text)):
            return _string_annotation(text)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _ANNOTATION_TYPES:
            return _Declared(_ANNOTATION_TYPES[name])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right], annotation)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _subscript(name, inner, annotation)
    return _Declared("other", name=ast.unparse(annotation))


def _subscript(name: str, inner: ast.expr, annotation: ast.expr) -> _Declared:
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match name:
        case "Optional":
            return replace(_annotation(inner), optional=True)
        case "Union":
            return _union(items, annotation)
        case "Annotated" | "Final" | "ClassVar":
            return _annotation(items[0])
        case "Literal":
            return _literal(items, annotation)
    if name in _ANNOTATION_TYPES:
        return _Declared(_ANNOTATION_TYPES[name])
    return _Declared("other", name=ast.unparse(annotation))


def _union(members: list[ast.expr], annotation: ast.expr) -> _Declared:
    """Return the type of a union: its only type, or float for numbers, or any if text is valid."""
    declared = [_annotation(each) for each in members]
    optional = any(each.optional for each in declared)
    types = {each.type for each in declared if each != _Declared("any", optional=True)}
    if any(each.choices for each in declared):
        types = {"other"} if len(types) > 1 else types
    if len(types) == 1:
        only = next(each for each in declared if each.type in types)
        return replace(only, optional=optional)
    if types == {"int", "float"}:
        return _Declared("float", optional)
    if types & {"str", "any"}:
        return _Declared("any", optional)
    return _Declared("other", optional, ast.unparse(annotation))


def _literal(items: list[ast.expr], annotation: ast.expr) -> _Declared:
    """Return the choices of a `Literal`, and the type that all of them share."""
    try:
        values = [ast.literal_eval(item) for item in items]
    except ValueError:  # a member of an enum
        return _Declared("other", name=ast.unparse(annotation))
    choices = tuple(value for value in values if value is not None)
    names = {type(value).__name__ for value in choices}
    kind = _ANNOTATION_TYPES.get(names.pop(), "any") if len(names) == 1 else "any"
    return _Declared(kind, None in values, choices=choices)


def _string_annotation(text: str) -> _Declared:
    try:
        return _annotation(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Declared("other", name=" ".join(text.split()))


def _inferred_type(value: ast.expr) -> _Declared:
    """Return the type of a default: "any" for None and for code that would have to run."""
    match value:
        case ast.Constant(value=bool() | int() | float() | str() as constant):
            return _Declared(_ANNOTATION_TYPES[type(constant).__name__])
        case ast.Constant(value=bytes() | complex() as constant):
            return _Declared("other", name=type(constant).__name__)
        case ast.UnaryOp(op=ast.Not()):
            return _Declared("bool")
        case ast.UnaryOp(operand=operand):
            return _inferred_type(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _operation_type(_inferred_type(left), op, _inferred_type(right))
        case ast.Call(func=ast.Name(id="int" | "float" | "str" | "bool" | "list" | "dict" as name)):
            return _Declared(_ANNOTATION_TYPES[name])
        case ast.Call(func=function):
            return _called(ast.unparse(function).split("."))
    return _Declared(_EXPRESSION_TYPES.get(type(value), "any"))


def _called(names: list[str]) -> _Declared:
    """Return the type of a call: that of a class that can't be given, or of one of its methods."""
    classes = [index for index, name in enumerate(names) if name in _OTHER_CLASSES]
    is_dotted = all(name.isidentifier() for name in names)
    if not classes or not is_dotted or names[-1] in _TEXT_METHODS:
        return _Declared("any")
    return _Declared("other", name=".".join(names[: classes[-1] + 1]))


def _operation_type(left: _Declared, op: ast.operator, right: _Declared) -> _Declared:
    types = {left.type, right.type}
    if left.type == "str" and isinstance(op, ast.Mod | ast.Add | ast.Mult):
        return _Declared("str")
    if types <= {"int", "float"}:
        return _Declared("float" if isinstance(op, ast.Div) or "float" in types else "int")
    if "other" in types:
        return left if left.type == "other" else right
    return left if types == {"list"} else _Declared("any")
