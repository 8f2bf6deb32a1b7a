"""Test reading of journals: damage is never accepted as a record."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import Event, Record
from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal import reader as reader_module
from nbrun.journal.codec import encode
from nbrun.journal.reader import JournalReader, first_record, last_record
from tests.support.build_events import (
    attempt_failed,
    attempt_started,
    attempted,
    begun,
    note_added,
    output,
    record,
    run_finished,
    run_started,
    step,
    stopped,
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


def test_reader_returns_complete_lines_of_any_cut(small: Path) -> None:
    data, whole = small.read_bytes(), read(small)
    for size in range(len(data) + 1):
        small.write_bytes(data[:size])
        reader = JournalReader(small)
        lines = data[:size].count(b"\n")
        assert list(reader) == whole[:lines]
        assert reader.torn == data[:size].rpartition(b"\n")[2]


def replaced(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield `data` with one byte changed, each in turn, and the number of its line."""
    for at, byte in enumerate(data):
        for other in {byte ^ 1, byte ^ 0x20, byte ^ 0xFF, 0x0A} - {byte}:
            yield data.count(b"\n", 0, at) + 1, data[:at] + bytes([other]) + data[at + 1 :]


@pytest.mark.sweep
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
            # the next line has the hash of this one
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
    """Build a forged line from that of an output.

    Members are missing, repeated, moved or have other values; keys are escaped; bytes are changed.
    """
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


def parsed_or_error(read: Callable[[bytes, int, str], Record], line: bytes) -> Record | str:
    try:
        return read(line, PRINTED.seq, PRINTED.prev)
    except JournalError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.sweep
@settings(max_examples=1000, deadline=None)
@given(forged())
def test_output_line_is_parsed_alike_in_one_and_two_passes(
    line: bytes,
) -> None:
    """Both ways accept and refuse the same lines, with the same message."""
    reader = JournalReader(Path("journal.jsonl"))
    found = parsed_or_error(reader.parse, line)
    assert found == parsed_or_error(reader._parse_in_two_passes, line)


@pytest.mark.parametrize("left_out", [key for key, _ in MEMBERS])
def test_line_without_field_is_parsed_alike_in_one_and_two_passes(left_out: str) -> None:
    line = json.dumps({key: value for key, value in MEMBERS if key != left_out}).encode()
    reader = JournalReader(Path("journal.jsonl"))
    found = parsed_or_error(reader.parse, line)
    assert found == parsed_or_error(reader._parse_in_two_passes, line)
    assert isinstance(found, Record) is (left_out in ("display_id", "late", "widget"))


def test_output_line_is_parsed_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JournalReader, "_parse_in_two_passes", lambda *_: pytest.fail("it was not"))
    read = JournalReader(Path("journal.jsonl")).parse
    assert parsed_or_error(read, encode(PRINTED)) == PRINTED


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
