"""The JSON Schema of a notebook's parameters, in its metadata under `nbrun.parameters`.

The schema is of JSON Schema 2020-12 and describes one object, whose `properties` are the
parameters. This is the only importer of jsonschema. References outside the schema are never loaded:
a notebook can't make nbrun open an address.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nbrun.core.bounded_patterns import BoundedPattern
from nbrun.errors import RunbookError, SlowPatternError
from nbrun.runbook.parameters.types import Parameter, ParameterType
from nbrun.system.time_limit import processor_time_limit

_WHERE = "the notebook's metadata.nbrun.parameters"
# Other keys of an object's schema have no meaning for a single parameter.
_TOP = frozenset(("$schema", "$defs", "type", "title", "description", "properties", "required")) | {
    "additionalProperties"
}
_SECONDS = 2  # of the processor's time, for one schema, or for one value
FORMATS = ("date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
# The part of an email address before its @, as the HTML standard defines it
_EMAIL_LOCAL_PART = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+", re.ASCII)
_TYPES: dict[Any, ParameterType] = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
}


def parameters_in(metadata: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the parameters that a notebook's schema declares, by name; none without a schema.

    Raises:
        RunbookError: the schema is not valid. The message names the key.
    """
    schema = _schema_in(metadata)
    if schema is None:
        return {}
    with _bounded("the schema"):
        return _parameters(schema)


def _parameters(schema: Any) -> dict[str, Parameter]:
    _check(schema)
    for name, each in (*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()):
        _check_formats(name, each)
    required = schema.get("required", ())
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name in required:
        if name not in properties:
            raise RunbookError(f"{_WHERE}.required: {name!r} is not among the properties: add it")
    return {
        name: _parameter(name, _standalone(schema, each), required=name in required)
        for name, each in properties.items()
    }


def is_closed(metadata: Mapping[str, Any]) -> bool:
    """Return True if a notebook's schema, which is valid, accepts no other parameters."""
    schema = _schema_in(metadata)
    return isinstance(schema, Mapping) and schema.get("additionalProperties") is False


def _schema_in(metadata: Mapping[str, Any]) -> Any:
    own = metadata.get("nbrun")
    return own.get("parameters") if isinstance(own, Mapping) else None


def schema_fault(parameter: Parameter, value: Any) -> str | None:
    """Return why the parameter's schema does not allow `value`; None if it does.

    The text does not quote the value of a secret.

    Raises:
        RunbookError: the schema refers to something that is not in it.
    """
    if not parameter.schema:
        return None
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        with _bounded(parameter.name):
            error = best_match(_validator(parameter.schema).iter_errors(value))
    except Unresolvable as problem:
        raise RunbookError(
            f"{_WHERE}: {parameter.name} refers to {problem.ref!r}, which is not in the schema"
        ) from None
    if error is None:
        return None
    if parameter.secret:
        return f"its schema's {error.validator!r} does not allow it"
    return _short(error.message)


@contextmanager
def _bounded(what: str) -> Iterator[None]:
    """Bound the work that a hostile schema can cause: patterns, references, depth."""
    try:
        with processor_time_limit(_SECONDS):
            yield
    except SlowPatternError:
        raise RunbookError(
            f"{_WHERE}: {what} takes more than {_SECONDS} s to check: simplify its patterns and "
            "references"
        ) from None
    except RecursionError:
        raise RunbookError(f"{_WHERE}: {what} is nested too deep, or refers to itself") from None


def _check(schema: Any) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(schema, Mapping):
        raise RunbookError(f"{_WHERE} must be an object: write a JSON Schema with properties")
    unknown = sorted(set(schema) - _TOP)
    if unknown or schema.get("type", "object") != "object":
        raise RunbookError(
            f"{_WHERE}: {unknown[0] if unknown else 'type'!r} is not supported there "
            f"(known: {', '.join(sorted(_TOP))}; the type is object)"
        )
    if schema.get("additionalProperties", False) is not False:
        raise RunbookError(
            f"{_WHERE}.additionalProperties can only be false, which refuses other parameters; "
            "without it, --undeclared accepts them"
        )
    try:
        Draft202012Validator.check_schema(_plain(schema))
    except SchemaError as error:
        place = ".".join(map(str, ("", *error.absolute_path)))
        raise RunbookError(f"{_WHERE}{place}: {_short(error.message)}") from None


def _check_formats(name: str, schema: Any) -> None:
    """Raise RunbookError for a `format` that nbrun can't check, here or in a subschema."""
    from referencing.jsonschema import DRAFT202012

    name_of_format = schema.get("format") if isinstance(schema, Mapping) else None
    if name_of_format is not None and name_of_format not in FORMATS:
        raise RunbookError(
            f"{_WHERE}: {name}: nbrun can't check the format {name_of_format!r} (known: "
            f"{', '.join(FORMATS)}): write a pattern instead"
        )
    for inner in DRAFT202012.subresources_of(schema):
        _check_formats(name, inner)


def _standalone(schema: Mapping[str, Any], own: Any) -> dict[str, Any]:
    """Return the schema `own` of one parameter, with the definitions that it may refer to."""
    standalone = _plain(own) if isinstance(own, Mapping) else {} if own else {"not": {}}
    return standalone | ({"$defs": _plain(schema["$defs"])} if "$defs" in schema else {})


def _parameter(name: str, schema: dict[str, Any], *, required: bool) -> Parameter:
    merged = _referenced(schema) | schema
    types = merged.get("type")
    listed = types if isinstance(types, list) else [types]
    kinds = [kind for kind in listed if kind != "null"]
    kind = _TYPES.get(kinds[0], "any") if len(kinds) == 1 else "any"
    return Parameter(
        name,
        _enum_type(merged.get("enum")) if kinds == [None] else kind,
        help=" ".join(str(merged.get("description", "")).split()),
        optional="null" in listed,
        required=required and "default" not in merged,
        secret=merged.get("writeOnly") is True,
        schema=merged,
    )


def _enum_type(choices: Any) -> ParameterType:
    """Return the type that all values of an `enum` share; "any" if they share none."""
    kinds = {type(choice).__name__ for choice in choices or ()}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return next((each for each in _TYPES.values() if each == kind), "any")


def _referenced(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition in `$defs` that `$ref` names; empty if there is none."""
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
    """Return the checks of FORMATS, stricter than jsonschema's own.

    Some of jsonschema's checks accept a newline at the end, and its `email` accepts any text that
    contains an @.
    """
    from jsonschema import FormatChecker

    checker = FormatChecker(formats=FORMATS)  # KeyError if a library for a format is not installed
    originals = {name: check for name, (check, _raises) in checker.checkers.items()}

    def conforms(name: str, value: str) -> bool:
        if name == "email":
            local, _, domain = value.rpartition("@")
            return bool(_EMAIL_LOCAL_PART.fullmatch(local)) and conforms("hostname", domain)
        return bool(value) and not value[-1].isspace() and bool(originals[name](value))

    def check(name: str) -> tuple[Any, Any]:
        raises = checker.checkers[name][1]
        return (lambda value: not isinstance(value, str) or conforms(name, value)), raises

    checker.checkers = {name: check(name) for name in FORMATS}
    return checker


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    """Check `pattern` as JSON Schema defines it."""
    from jsonschema import ValidationError

    if not isinstance(value, str):
        return
    try:
        found = BoundedPattern(_with_true_ends(pattern)).found_in(value, _SECONDS)
    except ValueError as error:
        raise RunbookError(f"{_WHERE}: {pattern!r} is not a pattern: {error}") from None
    if not found:
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _with_true_ends(pattern: str) -> str:
    """Return `pattern` with each `$` as Python's `\\Z`, which matches only at the very end.

    Python's `$` would accept a newline at the end.
    """
    parts = re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL)
    return "".join(r"\Z" if part == "$" else part for part in parts)


def _plain(value: Any) -> Any:
    """Return a copy in plain dicts and lists, which shares nothing with the notebook."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
