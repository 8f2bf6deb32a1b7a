"""Test encoding of records: what is written is read back, and its form is the documented one."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core.events import SCHEMA_VERSION, Event, Record
from nbrun.journal.codec import encode, line_schema
from nbrun.journal.reader import JournalReader
from tests.support.build_events import (
    BUILDERS,
    Build,
    kernel_started,
    note_added,
    output,
    record,
    records,
    write,
)


def read(path: Path) -> list[Record]:
    return list(JournalReader(path))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


# Text that UTF-8 can hold, and JSON as a kernel may send it.
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\0", "\u2028\u2029", "\r\n", "\x1b[31m", "\ufeff", "\U0001f4d3", '"\\"', "\x7f\x85"]
)


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)


JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def of_type(kind: Any, *inside: Any) -> st.SearchStrategy[Any]:
    """Build values of a field's type, unusual text among them.

    `inside`: the structs that the field is in. One may have another of its kind, without a third.
    """
    known = {
        str: TEXT,
        float: st.floats(allow_nan=False, allow_infinity=False),
        int: st.integers(-(2**63), 2**63 - 1),
        dict[str, Any]: st.dictionaries(TEXT, JSON, max_size=3),
        dict[str, int]: st.dictionaries(TEXT, st.integers(0, 9), max_size=3),
    }
    if kind in known:
        return known[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return structs(kind, *inside) if inside.count(kind) < 2 else st.none()
    if getattr(kind, "__origin__", None) is tuple:
        return st.lists(of_type(get_args(kind)[0], *inside), max_size=2).map(tuple)
    if getattr(kind, "__args__", None) and type(None) in get_args(kind):
        return st.none() | st.one_of(*(of_type(each, *inside) for each in get_args(kind)[:-1]))
    return st.from_type(kind)


def structs(kind: type[msgspec.Struct], *inside: Any) -> st.SearchStrategy[Any]:
    fields = {each.name: of_type(each.type, kind, *inside) for each in msgspec.structs.fields(kind)}
    return st.deferred(lambda: st.builds(kind, **fields))


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_is_read_back_unchanged(
    kind: type[msgspec.Struct], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    names = iter(range(10**6))

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(structs(kind), min_size=1, max_size=2))
    def comes_back(events: list[Event]) -> None:
        path = write(folder / str(next(names)), events)
        found = read(path)
        assert [each.event for each in found] == events
        assert found == records(events)

    comes_back()


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_line_is_json_object_with_documented_key_order(path: Path, build: Build) -> None:
    event = build()
    write(path, [event])
    (line,) = lines_of(path)
    found = json.loads(line, parse_constant=pytest.fail)
    own = list(event.__struct_fields__)
    assert list(found) == ["v", "seq", "at", "mono", "event", *own, "prev"]
    assert found["v"] == SCHEMA_VERSION
    assert found["seq"] == 0
    assert found["at"] == "2026-11-23T09:30:00.000000Z"
    assert found["mono"] == 0
    assert found["event"] == type(event).__struct_config__.tag


def test_line_separators_in_text_do_not_split_line(path: Path) -> None:
    text = "one\ntwo\r\nthree\u2028four\u2029five\x85six\0seven"
    write(path, [note_added(text), note_added("after")])
    assert path.read_bytes().count(b"\n") == 2
    assert [each.event for each in read(path)] == [note_added(text), note_added("after")]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (float("nan"), None),
        (float("inf"), None),
        ("half \ud83d pair", "half \\ud83d pair"),
        ({"\udc80": ["\udc81"]}, {"\\udc80": ["\\udc81"]}),
    ],
)
def test_values_outside_json_are_stored_as_text_or_null(
    path: Path, value: Any, stored: Any
) -> None:
    data = {"application/json": value}
    write(path, [output({"output_type": "display_data", "data": data, "metadata": {}})])
    found = json.loads(path.read_bytes(), parse_constant=pytest.fail)
    assert found["output"]["data"] == {"application/json": stored}
    assert read(path)[0].event.output["data"] == {"application/json": stored}


@pytest.mark.parametrize("value", [2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, 10**400])
def test_long_integer_keeps_all_digits(path: Path, value: int) -> None:
    """An older msgspec writes one over 64 bits as text."""
    write(path, [output({"output_type": "display_data", "data": {"n": value}, "metadata": {}})])
    assert str(read(path)[0].event.output["data"]["n"]) == str(value)


def test_lone_surrogate_in_note_is_escaped(path: Path) -> None:
    write(path, [note_added("\ud83d"), note_added("next")])
    assert [each.event.text for each in read(path)] == ["\\ud83d", "next"]


def test_schema_describes_every_event_and_envelope() -> None:
    schema = line_schema()
    tags = {kind.__struct_config__.tag for kind in get_args(Event)}
    described = {
        tag: definition
        for definition in schema["$defs"].values()
        for tag in definition.get("properties", {}).get("event", {}).get("enum", [])
    }
    assert set(described) == tags
    for definition in described.values():
        assert {"v", "seq", "at", "mono", "event", "prev"} <= {*definition["required"]}


def test_encoded_record_equals_line_in_file(path: Path) -> None:
    write(path, [kernel_started()])
    assert path.read_bytes() == encode(record(kernel_started())) + b"\n"
    assert isinstance(read(path)[0].event, ev.KernelStarted)
