"""What a JSON Schema in the notebook says of parameters, and what does not fit it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.errors import ParameterError, RunbookError
from nbrun.runbook.parameters.resolve import Given, as_text, declared, missing, resolve
from nbrun.runbook.parameters.schema import FORMATS, in_metadata
from nbrun.supervisor.bound_parameters import resolved
from tests.support.build_notebooks import code, notebook


def metadata(schema: Any) -> dict[str, Any]:
    return {"nbrun": {"parameters": schema}}


def book(schema: Any, source: str = "") -> dict[str, Any]:
    return notebook(code(source, tags=["parameters"]), metadata=metadata(schema))


def given_as(schema: dict[str, Any], text: str, **top: Any) -> Any:
    """What `-p x=text` gives where `schema` is that of x."""
    known = declared(book({"properties": {"x": schema}, **top}), "python")
    values = resolve(known, {"x": as_text(text, "-p")}, language="python", undeclared=False)
    return values["x"]


RIGHT_FORMS = [
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
WRONG_FORMS = [
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


@pytest.mark.parametrize(("kind", "text"), RIGHT_FORMS)
def test_a_format_lets_through_what_has_it(kind: str, text: str) -> None:
    assert given_as({"type": "string", "format": kind}, text) == text


def test_every_format_is_tried() -> None:
    assert {*FORMATS} == {kind for kind, _ in RIGHT_FORMS} == {kind for kind, _ in WRONG_FORMS}


def test_a_parameter_or_a_property_called_format_is_none() -> None:
    inner = {"type": "object", "properties": {"format": {"enum": ["csv"]}}}
    assert given_as(inner, '{"format": "csv"}') == {"format": "csv"}
    assert list(in_metadata(metadata({"properties": {"format": {"enum": ["csv"]}}}))) == ["format"]


def test_a_closed_schema_takes_its_own_parameters_and_no_others() -> None:
    schema = {"properties": {"db": {"type": "string"}}, "additionalProperties": False}
    closed = book(schema, "db = 'a'\nother = 1")
    assert list(declared(closed, "python")) == ["db"]
    for undeclared, said in ((False, "is not declared"), (True, "additionalProperties is false")):
        with pytest.raises(ParameterError, match=said):
            resolved(
                {"other": as_text("2", "-p")},
                closed,
                kernel_name="python3",
                language="python",
                undeclared=undeclared,
            )


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
def test_a_text_becomes_a_value_that_fits(schema: Any, text: str, value: Any) -> None:
    port = {"type": "integer", "minimum": 1}
    got = given_as(schema, text, **{"$defs": {"port": port}})
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("schema", "text", "said"),
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
            for kind, text in WRONG_FORMS
        ),
        ({"type": "array", "items": {"format": "ipv4"}}, '["10.0.0.256"]', "is not a 'ipv4'"),
    ],
)
def test_what_does_not_fit_is_refused_with_parameter_and_value(
    schema: Any, text: str, said: str
) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x' \(-p\): ") as caught:
        given_as(schema, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["hunter2\nhunter2", "hunter2"])
def test_a_secret_that_does_not_fit_is_not_shown(text: str) -> None:
    for schema in ({"type": "integer"}, {"type": "string", "pattern": "^x$"}):
        with pytest.raises(ParameterError) as caught:
            given_as({**schema, "writeOnly": True}, text)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], "is no object"),
        ({"type": "array"}, "'type' is not read"),
        ({"additionalProperties": True}, "additionalProperties may be false"),
        ({"additionalProperties": {"type": "string"}}, "additionalProperties may be false"),
        ({"patternProperties": {"^x": {}}}, "'patternProperties' is not read"),
        ({"properties": {"x": {"format": "iri"}}}, "x: the format 'iri' is not checked"),
        ({"properties": {"x": {"items": {"format": "time"}}}}, "the format 'time' is not checked"),
        ({"$defs": {"y": {"anyOf": [{"format": "nope"}]}}}, "y: the format 'nope' is not"),
        ({"properties": {"x": {"type": "strng"}}}, "properties.x.type"),
        ({"properties": {"x": {"pattern": "("}}}, "properties.x.pattern"),
        ({"properties": {"x": 5}}, "properties.x"),
        ({"required": ["x"]}, "'x' is not among the properties"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: Any, said: str) -> None:
    with pytest.raises(RunbookError) as caught:
        in_metadata(metadata(schema))
    assert "metadata.nbrun.parameters" in str(caught.value)
    assert said in str(caught.value)


def test_a_schema_can_not_make_nbrun_look_elsewhere() -> None:
    with pytest.raises(RunbookError, match="which is not in the schema"):
        given_as({"$ref": "http://127.0.0.1:1/x"}, "a")


def test_a_parameter_is_what_schema_and_cell_say_together() -> None:
    schema = {
        "properties": {
            "days": {"type": "integer", "description": "how\nlong"},
            "db": {"type": "string"},
            "mode": {"default": "dry"},
        },
        "required": ["db", "mode"],
    }
    found = declared(
        book(schema, "other = 1\ndays = '7'  # in the cell\ndb = ''  # which"), "python"
    )
    assert list(found) == ["days", "db", "mode", "other"]
    assert (found["days"].type, found["days"].default, found["days"].help) == (
        "int",
        "'7'",
        "how long",
    )
    assert found["db"].help == "which"
    assert [each.name for each in missing(found, {})] == ["db"]
    assert missing(found, {"db": as_text("x", "-p")}) == []
    assert resolve(found, {}, language="python", undeclared=False) == {"mode": "dry"}


def test_a_default_of_the_schema_has_to_fit_it() -> None:
    known = declared(book({"properties": {"x": {"type": "integer", "default": "a"}}}), "python")
    with pytest.raises(ParameterError, match="the schema's default"):
        resolve(known, {}, language="python", undeclared=False)


def test_null_is_given_in_a_file_where_the_schema_allows_it() -> None:
    known = declared(book({"properties": {"x": {"type": ["string", "null"]}}}), "python")
    null = Given(None, "null", "v.yaml:1")
    assert resolve(known, {"x": null}, language="python", undeclared=False) == {"x": None}


@given(st.text())
def test_no_text_passes_a_pattern_by_its_last_newline(text: str) -> None:
    try:
        got = given_as({"type": "string", "pattern": "^[a-z]*$"}, text)
    except ParameterError:
        return
    assert got == "" or (got.isascii() and got.isalpha() and got.islower())
