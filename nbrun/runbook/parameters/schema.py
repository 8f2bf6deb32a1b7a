"""The JSON Schema that a notebook's metadata may hold for its parameters (`nbrun.parameters`).

JSON Schema 2020-12, one object whose `properties` are the parameters. The only importer of
jsonschema, which never looks for a schema elsewhere: a notebook can't make nbrun open an address.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook.parameters.declarations import Parameter
from nbrun.runbook.parameters.types import Type

_WHERE = "the notebook's metadata.nbrun.parameters"
_TOP = frozenset(("$schema", "$defs", "type", "title", "description", "properties", "required")) | {
    "additionalProperties"
}  # what an object's schema may say besides has no meaning for a parameter alone
FORMATS = ("date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+", re.ASCII)  # HTML's, of an address before its @
_TYPES: dict[Any, Type] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


def in_metadata(metadata: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters that the schema in a notebook's metadata declares; none without one.

    RunbookError names the key when it is no such schema.
    """
    own = metadata.get("nbrun")
    schema = own.get("parameters") if isinstance(own, Mapping) else None
    if schema is None:
        return {}
    _check(schema)
    for name, each in (*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()):
        _check_formats(name, each)
    required = schema.get("required", ())
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name in required:
        if name not in properties:
            raise RunbookError(f"{_WHERE}.required: {name!r} is not among the properties; add it")
    return {
        name: _parameter(name, _whole(schema, each), required=name in required)
        for name, each in properties.items()
    }


def is_closed(metadata: Mapping[str, Any]) -> bool:
    """Whether the schema in a notebook's metadata, a right one, takes no other parameters than its
    own."""
    own = metadata.get("nbrun")
    schema = own.get("parameters") if isinstance(own, Mapping) else None
    return isinstance(schema, Mapping) and schema.get("additionalProperties") is False


def fault(parameter: Parameter, value: Any) -> str | None:
    """Why `value` does not fit the parameter's schema; None when it does.

    RunbookError when the schema refers to what is not in it.
    """
    if not parameter.schema:
        return None
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        error = best_match(_validator(parameter.schema).iter_errors(value))
    except Unresolvable as problem:
        raise RunbookError(
            f"{_WHERE}: {parameter.name} refers to {problem.ref!r}, which is not in the schema"
        ) from None
    if error is None:
        return None
    if parameter.secret:
        return f"it does not fit {error.validator!r} of its schema"
    return _short(error.message)


def _check(schema: Any) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(schema, Mapping):
        raise RunbookError(f"{_WHERE} is no object: write a JSON Schema with properties")
    unknown = sorted(set(schema) - _TOP)
    if unknown or schema.get("type", "object") != "object":
        raise RunbookError(
            f"{_WHERE}: {unknown[0] if unknown else 'type'!r} is not read there "
            f"(known: {', '.join(sorted(_TOP))}; the type is object)"
        )
    if schema.get("additionalProperties", False) is not False:
        raise RunbookError(
            f"{_WHERE}.additionalProperties may be false, so that nothing else is taken; without "
            "it, other parameters are taken with --undeclared"
        )
    try:
        Draft202012Validator.check_schema(_plain(schema))
    except SchemaError as error:
        place = ".".join(map(str, ("", *error.absolute_path)))
        raise RunbookError(f"{_WHERE}{place}: {_short(error.message)}") from None


def _check_formats(name: str, schema: Any) -> None:
    """RunbookError for a `format` that would say something, and not be checked."""
    from referencing.jsonschema import DRAFT202012

    told = schema.get("format") if isinstance(schema, Mapping) else None
    if told is not None and told not in FORMATS:
        raise RunbookError(
            f"{_WHERE}: {name}: the format {told!r} is not checked (there are "
            f"{', '.join(FORMATS)}); write a pattern"
        )
    for inner in DRAFT202012.subresources_of(schema):
        _check_formats(name, inner)


def _whole(schema: Mapping[str, Any], own: Any) -> dict[str, Any]:
    """The schema of one parameter, with what it may refer to."""
    whole = _plain(own) if isinstance(own, Mapping) else {} if own else {"not": {}}
    return whole | ({"$defs": _plain(schema["$defs"])} if "$defs" in schema else {})


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> Parameter:
    told = _referred(schema) | schema
    types = told.get("type")
    listed = types if isinstance(types, list) else [types]
    kinds = [kind for kind in listed if kind != "null"]
    kind = _TYPES.get(kinds[0], "any") if len(kinds) == 1 else "any"
    return Parameter(
        name,
        _of_choices(told.get("enum")) if kinds == [None] else kind,
        help=" ".join(str(told.get("description", "")).split()),
        optional="null" in listed,
        required=required and "default" not in told,
        secret=told.get("writeOnly") is True,
        schema=told,
    )


def _of_choices(choices: Any) -> Type:
    """The type of an enum that names none, where all its values are of one."""
    kinds = {type(choice).__name__ for choice in choices or ()}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return next((each for each in _TYPES.values() if each == kind), "any")


def _referred(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What `$ref` names among the schema's own definitions."""
    reference = schema.get("$ref")
    prefix = "#/$defs/"
    if not isinstance(reference, str) or not reference.startswith(prefix):
        return {}
    found = schema.get("$defs", {}).get(reference.removeprefix(prefix))
    return dict(found) if isinstance(found, Mapping) else {}


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    extend: Any = validators.extend
    made = extend(Draft202012Validator, {"pattern": _pattern})
    return made(schema, registry=Registry(), format_checker=_formats())


def _formats() -> Any:
    """What checks `FORMATS`: jsonschema's, some of which let a newline at the end pass; its `email`
    lets all pass that has an @."""
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=FORMATS)  # KeyError where what it takes is not installed
    theirs = {name: check for name, (check, _raises) in checker.checkers.items()}

    def has(name: str, value: str) -> bool:
        if name == "email":
            local, _, domain = value.rpartition("@")
            return bool(_LOCAL.fullmatch(local)) and has("hostname", domain)
        return bool(value) and not value[-1].isspace() and bool(theirs[name](value))

    def check(name: str) -> tuple[Any, Any]:
        raises = checker.checkers[name][1]
        return (lambda value: not isinstance(value, str) or has(name, value)), raises

    checker.checkers = {name: check(name) for name in FORMATS}
    return checker


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    """`pattern` as JSON Schema means it: Python's `$` would let a last newline pass."""
    from jsonschema import ValidationError

    if isinstance(value, str) and not re.search(_with_true_ends(pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _with_true_ends(pattern: str) -> str:
    """`pattern` with its `$` written as Python's `\\Z`: the end, and nothing after it."""
    parts = re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return "".join(r"\Z" if part == "$" else part for part in parts)


def _plain(value: Any) -> Any:
    """Plain dicts and lists, which share nothing with the notebook."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
