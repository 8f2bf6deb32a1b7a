"""The journal: what is written is what is read, and damage never passes for a record."""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import SCHEMA_VERSION, Event, Record
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal import reader as reader_module
from nbrun.journal import writer as journal_module
from nbrun.journal.codec import GENESIS, digest, encode, line_schema
from nbrun.journal.reader import JournalReader, first_record, last_record
from nbrun.journal.writer import Clock, Journal, is_locked
from tests.support.build_events import (
    BEGAN,
    BUILDERS,
    Build,
    attempt_failed,
    attempt_started,
    attempted,
    begun,
    clock,
    kernel_started,
    note_added,
    output,
    record,
    records,
    run_finished,
    run_started,
    step,
    stopped,
    uneventful,
    with_deviations,
    write,
)


def read(path: Path) -> list[Record]:
    return list(JournalReader(path))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


SMALL: list[Event] = [run_started(1), note_added("é"), run_finished()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def small(path: Path) -> Path:
    return write(path, SMALL)


# ── What is written is what is read ──────────────────────────────────────────────────────────

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


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, odd text among them."""
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
        return structs(kind)
    if getattr(kind, "__origin__", None) is tuple:
        return st.lists(of_type(get_args(kind)[0]), max_size=2).map(tuple)
    if getattr(kind, "__args__", None) and type(None) in get_args(kind):
        return st.none() | st.one_of(*(of_type(each) for each in get_args(kind)[:-1]))
    return st.from_type(kind)


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {each.name: of_type(each.type) for each in msgspec.structs.fields(kind)}
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


def test_append_returns_records_as_read_back(path: Path) -> None:
    journal = Journal.create(path, clock())
    first = journal.append(begun(), sync=False)
    second = journal.append(attempted(), sync=True)
    journal.close()
    assert [each.seq for each in [*first, *second]] == [0, 1, 2, 3]
    assert read(path) == [*first, *second]


def test_each_line_has_hash_of_line_before(path: Path) -> None:
    write(path, uneventful())
    prev = GENESIS
    for line in lines_of(path):
        assert json.loads(line)["prev"] == prev
        prev = digest(line[:-1])
    assert json.loads(lines_of(path)[0])["prev"] == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


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


def test_clock_set_back_changes_times_but_not_seconds(
    path: Path,
) -> None:
    walls = iter([BEGAN, BEGAN - timedelta(hours=1), BEGAN + timedelta(microseconds=7)])
    seconds = iter([100.0, 100.0, 100.25, 107.0000004])
    journal = Journal.create(path, Clock(now=walls.__next__, monotonic=seconds.__next__))
    found = journal.append(SMALL, sync=False)
    journal.close()
    assert [each.mono for each in found] == [0.0, 0.25, 7.0]
    assert [each.at for each in found] == [
        "2026-11-23T09:30:00.000000Z",
        "2026-11-23T08:30:00.000000Z",
        "2026-11-23T09:30:00.000007Z",
    ]


def test_first_and_last_record_are_read_alone(small: Path) -> None:
    whole = read(small)
    assert (first_record(small), last_record(small)) == (whole[0], whole[-1])


def test_torn_last_line_is_not_last_record(small: Path) -> None:
    data, whole = small.read_bytes(), read(small)
    small.write_bytes(data[:-1])
    assert last_record(small) == whole[1]
    small.write_bytes(data[: data.index(b"\n")])
    assert (first_record(small), last_record(small)) == (None, None)
    small.write_bytes(b"")
    assert (first_record(small), last_record(small)) == (None, None)


def test_last_record_found_in_long_journal(path: Path) -> None:
    write(path, [run_started(1), note_added("x" * 300_000), run_finished()])
    assert last_record(path) == read(path)[-1]
    write(path.with_name("long"), [run_started(1), note_added("x" * 300_000)])
    assert last_record(path.with_name("long")) is None


def test_first_and_last_record_name_damage(small: Path) -> None:
    small.write_bytes(b"{}\n")
    for look in (first_record, last_record):
        with pytest.raises(DamagedJournalError, match=r"journal\.jsonl: a line is not an event"):
            look(small)


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


# ── Creating ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "occupy",
    [
        pytest.param(lambda path: path.write_text("kept"), id="a file"),
        pytest.param(lambda path: path.symlink_to(path.parent / "elsewhere"), id="a symlink"),
        pytest.param(os.mkfifo, id="a FIFO"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
    ],
)
def test_create_never_replaces_existing_path(path: Path, occupy: Callable[[Path], None]) -> None:
    occupy(path)
    before = path.lstat()
    with pytest.raises(JournalError, match="journal"):
        Journal.create(path)
    assert path.lstat() == before
    assert not (path.parent / "elsewhere").exists()


def test_create_fails_without_folder(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        Journal.create(tmp_path / "none" / "journal.jsonl")


@pytest.mark.parametrize("umask", [0, 0o777])
def test_created_journal_is_private_under_any_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Journal.create(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_journal_is_locked_until_closed(path: Path) -> None:
    journal = Journal.create(path)
    assert is_locked(path)
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.close()
    assert not is_locked(path)


# ── Damage ───────────────────────────────────────────────────────────────────────────────────


def test_reader_returns_complete_lines_of_any_cut(small: Path) -> None:
    data, whole = small.read_bytes(), read(small)
    for size in range(len(data) + 1):
        small.write_bytes(data[:size])
        reader = JournalReader(small)
        lines = data[:size].count(b"\n")
        assert list(reader) == whole[:lines]
        assert reader.torn == data[:size].rpartition(b"\n")[2]


def replaced(data: bytes) -> Iterator[tuple[int, bytes]]:
    """`data` with one byte changed, each in turn, in one bit and in all; the number of its line."""
    for at, byte in enumerate(data):
        for other in {byte ^ 1, byte ^ 0x20, byte ^ 0xFF, 0x0A} - {byte}:
            yield data.count(b"\n", 0, at) + 1, data[:at] + bytes([other]) + data[at + 1 :]


def test_reader_never_accepts_changed_byte(small: Path) -> None:
    data, whole = small.read_bytes(), read(small)
    last = len(whole)
    for line, changed in replaced(data):
        small.write_bytes(changed)
        found: list[Record] = []
        reader = JournalReader(small)
        try:
            found.extend(reader)
        except JournalError as error:
            # what a line says is vouched for by the one after it
            assert f"line {line}:" in str(error) or f"line {line + 1}:" in str(error)
            assert isinstance(error, DamagedJournalError) or "journal version" in str(error)
            assert found[: line - 1] == whole[: line - 1]
            continue
        assert line == last, "a change in an earlier line went unseen"
        assert found[: last - 1] == whole[: last - 1]
        assert len(found) == last or reader.torn


def edited(lines: list[bytes], *order: int) -> bytes:
    return b"".join(lines[number - 1] for number in order)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        ((2, 3, 4, 5), 1),
        ((1, 3, 4, 5), 2),
        ((1, 2, 4, 5), 3),
        ((1, 3, 2, 4, 5), 2),
        ((1, 2, 3, 5, 4), 4),
        ((1, 1, 2, 3, 4, 5), 2),
        ((1, 2, 3, 4, 5, 5), 6),
        ((1, 2, 3, 4, 5, 1), 6),
    ],
)
def test_reader_names_missing_swapped_or_repeated_line(
    path: Path, order: tuple[int, ...], named: int
) -> None:
    write(path, [*begun(), *attempted(), run_finished()])
    path.write_bytes(edited(lines_of(path), *order))
    with pytest.raises(DamagedJournalError, match=f"line {named}:"):
        read(path)


def test_reader_detects_renumbered_line_by_chain(path: Path) -> None:
    write(path, SMALL)
    first, _, third = lines_of(path)
    path.write_bytes(first + third.replace(b'"seq":2', b'"seq":1'))
    with pytest.raises(DamagedJournalError, match=r"line 2: .* does not follow"):
        read(path)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"null", b"[1]", b"\xff\xfe", b'{"v":1,"seq":3}', b"[" * 100_000, b"\0" * 512],
)
def test_reader_names_line_that_is_not_a_record(small: Path, line: bytes) -> None:
    with small.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(DamagedJournalError, match="line 4:"):
        read(small)


def test_reader_names_unknown_event(small: Path) -> None:
    third = lines_of(small)[2]
    small.write_bytes(
        small.read_bytes().replace(third, third.replace(b"run.finished", b"run.ended"))
    )
    with pytest.raises(DamagedJournalError, match=r"line 3:.*run\.ended"):
        read(small)


PRINTED = record(output("é\n", display_id="d", late=True), 7, "0" * 64)
MEMBERS = list(json.loads(encode(PRINTED)).items())
OTHERS = [
    0,
    1,
    8,
    -1,
    1.5,
    2**70,
    None,
    True,
    "",
    "0" * 64,
    "output",
    "note.added",
    [],
    {},
    {"a": 1},
]


@st.composite
def forged(draw: st.DrawFn) -> bytes:
    """A line such as nobody wrote: members of an output's line, left out, said twice, moved, with
    other values, their keys spelled otherwise, and a few bytes of it changed."""
    keys = st.sampled_from([key for key, _ in MEMBERS] + ["text", "é", "source"])
    odd = st.tuples(keys, st.sampled_from(OTHERS))
    members = list(MEMBERS)
    for _ in range(draw(st.integers(0, 2))):
        members.insert(draw(st.integers(0, len(members))), draw(odd))
    for _ in range(draw(st.integers(0, 1))):
        del members[draw(st.integers(0, len(members) - 1))]
    members = draw(st.permutations(members)) if draw(st.booleans()) else members
    escaped = draw(st.integers(0, 2 * len(members)))
    colon = draw(st.sampled_from([":", ":", ":", " : ", ""]))
    told = [
        (
            '"' + "".join(f"\\u{ord(each):04x}" for each in key) + '"'
            if at == escaped
            else f'"{key}"'
        )
        + colon
        + json.dumps(value)
        for at, (key, value) in enumerate(members)
    ]
    line = bytearray(("{" + ",".join(told) + "}").encode())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    return bytes(line)


def told_by(read: Callable[[bytes, int, str], Record], line: bytes) -> Record | str:
    try:
        return read(line, PRINTED.seq, PRINTED.prev)
    except JournalError as error:
        return f"{type(error).__name__}: {error}"


@settings(max_examples=1000, deadline=None)
@given(forged())
def test_output_line_is_parsed_alike_in_one_and_two_passes(
    line: bytes,
) -> None:
    """Whatever was done to it: what is accepted, what is refused, and in which words."""
    reader = JournalReader(Path("journal.jsonl"))
    found = told_by(reader.parse, line)
    assert found == told_by(reader._parse_in_two_passes, line)


@pytest.mark.parametrize("left_out", [key for key, _ in MEMBERS])
def test_line_without_field_is_parsed_alike_in_one_and_two_passes(left_out: str) -> None:
    line = json.dumps({key: value for key, value in MEMBERS if key != left_out}).encode()
    reader = JournalReader(Path("journal.jsonl"))
    found = told_by(reader.parse, line)
    assert found == told_by(reader._parse_in_two_passes, line)
    assert isinstance(found, Record) is (left_out in ("display_id", "late"))


def test_output_line_is_parsed_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JournalReader, "_parse_in_two_passes", lambda *_: pytest.fail("it was not"))
    read = JournalReader(Path("journal.jsonl")).parse
    assert told_by(read, encode(PRINTED)) == PRINTED


def test_newer_journal_version_asks_for_newer_nbrun(small: Path) -> None:
    small.write_bytes(small.read_bytes().replace(b'{"v":1', b'{"v":2', 1))
    with pytest.raises(JournalError, match=r"line 1: journal version 2.*newer nbrun") as raised:
        read(small)
    assert not isinstance(raised.value, DamagedJournalError)


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_chunk_size_does_not_change_records(
    small: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    whole = read(small)
    small.write_bytes(small.read_bytes() + b'{"v":1,')
    monkeypatch.setattr(reader_module, "_CHUNK", size)
    reader = JournalReader(small)
    assert list(reader) == whole
    assert (reader.torn, reader.head) == (b'{"v":1,', whole[-1].hash)


def test_empty_journal_has_no_records(path: Path) -> None:
    path.touch()
    assert read(path) == []


def test_missing_journal_is_error_with_path(path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal\.jsonl: can't read"):
        read(path)


# ── Writing when the disk does not play along ────────────────────────────────────────────────


class Disk:
    """Stands between a journal and the disk: what was called, and how it fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.most = 10**9
        self.failing: tuple[str, int] | None = None
        self._write, self._sync = os.write, journal_module.sync_file
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(journal_module, "sync_file", self.sync)

    def write(self, fd: int, data: bytes) -> int:
        self._called("write")
        return self._write(fd, data[: self.most])

    def sync(self, fd: int) -> None:
        self._called("sync")
        self._sync(fd)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.failing == (what, self.calls.count(what)):
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("most", [1, 7, 4096])
def test_short_write_is_completed(path: Path, disk: Disk, most: int) -> None:
    disk.most = most
    write(path, uneventful())
    assert read(path) == records(uneventful())
    assert len(disk.calls) >= path.stat().st_size // most


def test_synced_append_syncs_before_returning(path: Path, disk: Disk) -> None:
    journal = Journal.create(path)
    journal.append(begun(), sync=True)
    assert disk.calls == ["write", "sync"]
    journal.append([attempt_started()], sync=False)
    assert disk.calls == ["write", "sync", "write"]
    journal.close()


def test_batch_is_written_at_once(path: Path, disk: Disk) -> None:
    write(path, uneventful())
    assert disk.calls == ["write"]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_journal_takes_no_events_after_failure(
    path: Path, disk: Disk, call: str, number: int
) -> None:
    disk.failing = (call, number)
    journal = Journal.create(path, clock())
    appended: list[Record] = []
    with pytest.raises(JournalError, match=r"can't be written: No space left.*Nothing more is run"):
        for event in uneventful():
            appended += journal.append([event], sync=True)
    assert len(appended) == number - 1
    calls, size = list(disk.calls), path.stat().st_size
    for sync in (True, False):
        with pytest.raises(JournalError, match="takes no more events"):
            journal.append([note_added()], sync=sync)
    assert (disk.calls, path.stat().st_size) == (calls, size)
    journal.close()
    assert read(path)[: number - 1] == appended


def test_write_failing_midway_leaves_torn_line(path: Path, disk: Disk) -> None:
    journal = Journal.create(path, clock())
    journal.append([SMALL[0]], sync=False)
    disk.most, disk.failing = 10, ("write", 3)
    with pytest.raises(JournalError):
        journal.append([SMALL[1]], sync=False)
    journal.close()
    reader = JournalReader(path)
    assert list(reader) == records(SMALL[:1])
    assert reader.torn == b'{"v":1,"se'


def test_long_run_is_read_back_unchanged(path: Path) -> None:
    events = with_deviations(
        [*begun([step(number, source="x" * 1000) for number in range(1, 200)])]
        + [event for number in range(1, 199) for event in attempted(f"s{number}")]
        + [attempt_started("s199"), attempt_failed("s199"), stopped("step_failed", "s199")]
    )
    write(path, events)
    assert [each.event for each in read(path)] == events


def test_steps_with_default_contract_share_it(path: Path) -> None:
    plan = [step(1), step(2), step(3, contract=model.Contract(retries=1)), step(4)]
    write(path, [run_started(plan)])
    started = read(path)[0].event
    assert isinstance(started, ev.RunStarted)
    assert started.steps == tuple(plan)
    assert len({id(each.contract) for each in started.steps}) == 2


def test_encoded_record_equals_line_in_file(path: Path) -> None:
    write(path, [kernel_started()])
    assert path.read_bytes() == encode(record(kernel_started())) + b"\n"
    assert isinstance(read(path)[0].event, ev.KernelStarted)
