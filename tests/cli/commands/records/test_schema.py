"""`nbrun schema` prints a JSON Schema that accepts real journals."""

import json
from typing import get_args

import jsonschema
import pytest

from nbrun.cli.commands.records import schema
from nbrun.core import events as ev


@pytest.fixture
def validator(capsys):
    assert schema.show() == 0
    printed = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(printed)
    return jsonschema.Draft202012Validator(printed)


@pytest.fixture
def lines(keep, tale):
    return [json.loads(line) for line in keep(tale).read_text("utf-8").splitlines()]


def test_every_line_of_a_journal_is_valid(validator, lines):
    assert len(lines) > 10
    for line in lines:
        validator.validate(line)


def test_every_event_has_a_definition(validator):
    tags = {event.__struct_config__.tag for event in get_args(ev.Event)}
    defined = {
        constant
        for definition in validator.schema["$defs"].values()
        for constant in definition.get("properties", {}).get("event", {}).get("enum", ())
    }
    assert defined == tags


@pytest.mark.parametrize("key", ["v", "seq", "at", "mono", "event", "prev", "step", "source"])
def test_line_without_a_required_field_is_invalid(validator, lines, key):
    line = next(line for line in lines if line["event"] == "attempt.started")
    del line[key]
    assert not validator.is_valid(line)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2),
        ("seq", -1),
        ("prev", "short"),
        ("event", "attempt.invented"),
        ("attempt", "1"),
        ("cause", "boredom"),
    ],
)
def test_line_with_a_wrong_value_is_invalid(validator, lines, key, value):
    line = next(line for line in lines if line["event"] == "attempt.started")
    assert not validator.is_valid(line | {key: value})
