"""Parameters that a JSON Schema in the notebook declares, and values that it refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.errors import ParameterError, RunbookError
from nbrun.runbook.parameters.declarations import Declarations, declarations_of
from nbrun.runbook.parameters.resolve import resolve
from nbrun.runbook.parameters.schema import FORMATS, parameters_in
from nbrun.runbook.parameters.types import RawValue, raw_text
from tests.support.build_notebooks import code, notebook


def metadata(schema: Any) -> dict[str, Any]:
    return {"nbrun": {"parameters": schema}}


def book(schema: Any, source: str = "") -> dict[str, Any]:
    return notebook(code(source, tags=["parameters"]), metadata=metadata(schema))


def declared(document: dict[str, Any]) -> Declarations:
    return declarations_of(document, "python")


def given_as(schema: dict[str, Any], text: str, **top: Any) -> Any:
    """Return the value of `-p x=text` if `schema` is the schema of x."""
    declarations = declared(book({"properties": {"x": schema}, **top}))
    return resolve(declarations, {"x": raw_text(text, "-p")}).values["x"]


VALID_TEXTS = [
    ("date", "2026-02-28"),
    ("date-time", "2026-02-28T23:59:59.5+01:00"),
    ("date-time", "2026-02-28T23:59:59Z"),
    ("email", "ada.b+x@mail.example.org"),
    ("hostname", "db-1.example.org"),
    ("ipv4", "10.0.0.255"),
    ("ipv6", "fe80::1"),
    ("uri", "https://example.org/a?b=c#d"),
    ("uuid", "00000000-0000-0000-0000-00000000000a"),
]
INVALID_TEXTS = [
    ("date", "2026-02-29"),
    ("date", "20260228"),
    ("date-time", "2026-02-28 23:59:59"),
    ("date-time", "2026-02-28T25:00:00Z"),
    ("email", "ada"),
    ("email", "ada@"),
    ("email", "a b@example.org"),
    ("email", "ada@example.org\n"),
    ("email", "ada@-x-.org"),
    ("hostname", "$(id)"),
    ("hostname", "db 1"),
    ("hostname", "-db"),
    ("hostname", "db\n"),
    ("hostname", ""),
    ("ipv4", "10.0.0.256"),
    ("ipv4", "10.0.0.1\n"),
    ("ipv6", "10.0.0.1"),
    ("uri", "example.org"),
    ("uri", "https://a b"),
    ("uri", "https://a\n"),
    ("date-time", "2026-02-28T23:59:59Z\n"),
    ("uuid", "0"),
]


@pytest.mark.parametrize(("kind", "text"), VALID_TEXTS)
def test_format_accepts_valid_text(kind: str, text: str) -> None:
    assert given_as({"type": "string", "format": kind}, text) == text


def test_every_format_has_valid_and_invalid_examples() -> None:
    assert {*FORMATS} == {kind for kind, _ in VALID_TEXTS} == {kind for kind, _ in INVALID_TEXTS}


def test_property_named_format_is_not_a_format() -> None:
    inner = {"type": "object", "properties": {"format": {"enum": ["csv"]}}}
    assert given_as(inner, '{"format": "csv"}') == {"format": "csv"}
    assert list(parameters_in(metadata({"properties": {"format": {"enum": ["csv"]}}}))) == [
        "format"
    ]


def test_closed_schema_refuses_other_parameters() -> None:
    schema = {"properties": {"db": {"type": "string"}}, "additionalProperties": False}
    closed = declared(book(schema, "db = 'a'\nother = 1"))
    assert list(closed.parameters) == ["db"]
    given = {"other": raw_text("2", "-p")}
    for undeclared, message in ((False, "not declared"), (True, "additionalProperties is false")):
        with pytest.raises(ParameterError, match=message):
            resolve(closed, given, undeclared=undeclared)


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "007", "007"),
        ({"type": "integer", "minimum": 1}, "7", 7),
        ({"type": "number", "exclusiveMaximum": 1}, "0.5", 0.5),
        ({"type": "boolean"}, "true", True),
        ({"type": "array", "items": {"type": "integer"}}, "[1, 2]", [1, 2]),
        ({"type": "object", "required": ["a"]}, '{"a": 1}', {"a": 1}),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": ["1", 2]}, "1", "1"),
        ({"enum": ["1", 2, True]}, "true", True),
        ({"type": ["integer", "null"]}, "3", 3),
        ({"$ref": "#/$defs/port"}, "80", 80),
        ({"type": "string", "pattern": "^[a-z]+[0-9]$"}, "db1", "db1"),
        ({"type": "string", "pattern": "[$]"}, "a$b", "a$b"),
        ({"type": "string", "pattern": r"\$$"}, "5$", "5$"),
    ],
)
def test_text_converted_as_schema_allows(schema: Any, text: str, value: Any) -> None:
    port = {"type": "integer", "minimum": 1}
    got = given_as(schema, text, **{"$defs": {"port": port}})
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        ({"type": "integer", "minimum": 1}, "0", "minimum of 1"),
        ({"type": "integer"}, "nan", "expected an int"),
        ({"type": "number"}, "nan", "expected a float"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "not one of"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "db\n", "does not match"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "$(id)", "does not match"),
        ({"type": "string", "maxLength": 2}, "abc", "too long"),
        ({"type": "array", "items": {"type": "integer"}}, '["a"]', "not of type 'integer'"),
        ({"type": "object", "required": ["a"]}, "{}", "'a' is a required property"),
        (False, "x", "should not be valid"),
        *(
            ({"type": "string", "format": kind}, text, f"is not a {kind!r}")
            for kind, text in INVALID_TEXTS
        ),
        ({"type": "array", "items": {"format": "ipv4"}}, '["10.0.0.256"]', "is not a 'ipv4'"),
    ],
)
def test_disallowed_value_refused_with_parameter_and_value(
    schema: Any, text: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x' \(-p\): ") as caught:
        given_as(schema, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["hunter2\nhunter2", "hunter2"])
def test_disallowed_secret_is_not_shown(text: str) -> None:
    for schema in ({"type": "integer"}, {"type": "string", "pattern": "^x$"}):
        with pytest.raises(ParameterError) as caught:
            given_as({**schema, "writeOnly": True}, text)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([], "must be an object"),
        ({"type": "array"}, "'type' is not supported"),
        ({"additionalProperties": True}, "additionalProperties can only be false"),
        ({"additionalProperties": {"type": "string"}}, "additionalProperties can only be false"),
        ({"patternProperties": {"^x": {}}}, "'patternProperties' is not supported"),
        ({"properties": {"x": {"format": "iri"}}}, "x: nbrun can't check the format 'iri'"),
        ({"properties": {"x": {"items": {"format": "time"}}}}, "can't check the format 'time'"),
        (
            {"$defs": {"y": {"anyOf": [{"format": "nope"}]}}},
            "y: nbrun can't check the format 'nope'",
        ),
        ({"properties": {"x": {"type": "strng"}}}, "properties.x.type"),
        ({"properties": {"x": {"pattern": "("}}}, "properties.x.pattern"),
        ({"properties": {"x": 5}}, "properties.x"),
        ({"required": ["x"]}, "'x' is not among the properties"),
    ],
)
def test_invalid_schema_refused_with_its_key(schema: Any, message: str) -> None:
    with pytest.raises(RunbookError) as caught:
        parameters_in(metadata(schema))
    assert "metadata.nbrun.parameters" in str(caught.value)
    assert message in str(caught.value)


def test_reference_outside_schema_is_not_loaded() -> None:
    with pytest.raises(RunbookError, match="which is not in the schema"):
        given_as({"$ref": "http://127.0.0.1:1/x"}, "a")


def test_schema_and_cell_declare_parameter_together() -> None:
    schema = {
        "properties": {
            "days": {"type": "integer", "description": "how\nlong"},
            "db": {"type": "string"},
            "mode": {"default": "dry"},
        },
        "required": ["db", "mode"],
    }
    declarations = declared(book(schema, "other = 1\ndays = '7'  # in the cell\ndb = ''  # which"))
    found = declarations.parameters
    assert list(found) == ["days", "db", "mode", "other"]
    assert (found["days"].type, found["days"].default, found["days"].help) == (
        "int",
        "'7'",
        "how long",
    )
    assert found["db"].help == "which"
    assert [each.name for each in declarations.missing({})] == ["db"]
    given = {"db": raw_text("x", "-p")}
    assert declarations.missing(given) == []
    assert resolve(declarations, given).values == {"db": "x", "mode": "dry"}


def test_schema_default_must_be_allowed_by_schema() -> None:
    declarations = declared(book({"properties": {"x": {"type": "integer", "default": "a"}}}))
    with pytest.raises(ParameterError, match="the schema's default"):
        resolve(declarations, {})


def test_null_in_file_accepted_if_schema_allows_it() -> None:
    declarations = declared(book({"properties": {"x": {"type": ["string", "null"]}}}))
    null = RawValue(None, "null", "v.yaml:1")
    assert resolve(declarations, {"x": null}).values == {"x": None}


@given(st.text())
def test_pattern_never_accepts_newline_at_end(text: str) -> None:
    try:
        got = given_as({"type": "string", "pattern": "^[a-z]*$"}, text)
    except ParameterError:
        return
    assert got == "" or (got.isascii() and got.isalpha() and got.islower())
