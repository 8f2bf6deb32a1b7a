"""Lines that a JSON decoder reads, and that nbrun never writes, are no lines of a record.

A forger who knows the format computes numbers and hashes again: only the form of the line gives it
away. Another program may read a key that occurs twice as the other one.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.audit.verify import Standing
from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.journal.codec import OutputLine, digest
from nbrun.journal.line_form import LineForm, is_time
from nbrun.journal.reader import JournalReader
from tests.audit.test_verify import Kept, whole
from tests.journal.test_codec import structs
from tests.support.build_events import BUILDERS, Build, note_added, output, step, write

RECORDS = Path(__file__).parent.parent / "records"
OUTPUT, STARTED, ATTEMPT = 3, 0, 2  # indexes of lines in `whole()`


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path).write(whole())


def forge(kept: Kept, at: int, change: Callable[[bytes], bytes]) -> None:
    """Change a line, and chain the following lines to it again."""
    lines, prev = [], ""
    for number, line in enumerate(kept.lines):
        bare = line.removesuffix(b"\n")
        if prev:
            bare = re.sub(rb'"prev":"[0-9a-f]{64}"}$', b'"prev":"%s"}' % prev.encode(), bare)
        if number == at:
            changed = change(bare)
            assert changed != bare
            bare = changed
        prev = digest(bare)
        lines.append(bare + b"\n")
    kept.rewrite(lines)


def put(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda line: line.replace(old, new, 1)


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "event twice": put(b'"event":', b'"event":"note.added","event":'),
    "number twice": put(b'"seq":', b'"seq":7,"seq":'),
    "step twice": put(b'"step":', b'"step":"s9","step":'),
    "unknown field": put(b'"step":', b'"harmless":true,"step":'),
    "unknown field of every line": put(b'"mono":', b'"by":"ada","mono":'),
    "space": put(b'"step":', b'"step": '),
    "space at the end": lambda line: line + b" ",
    "carriage return": lambda line: line + b"\r",
    "tab at the beginning": lambda line: b"\t" + line,
    "escaped letter": put(b'"step":"s1"', b'"step":"\\u00731"'),
    "escaped key": put(b'"step":', b'"ste\\u0070":'),
    "other order": put(b'"step":"s1","attempt":1', b'"attempt":1,"step":"s1"'),
    "negative mono": lambda line: re.sub(rb'"mono":[\d.]+', b'"mono":-1.0', line),
    "mono that goes back": lambda line: re.sub(rb'"mono":[\d.]+', b'"mono":0.0', line),
    "mono as an integer": lambda line: re.sub(rb'"mono":(\d+)\.0', rb'"mono":\1', line),
    "mono with an exponent": lambda line: re.sub(rb'"mono":(\d)\.0', rb'"mono":\1e0', line),
    "date that is none": lambda line: re.sub(rb'"at":"....-..', b'"at":"2026-13', line),
    "date without a zone": lambda line: re.sub(rb'Z","mono"', b'","mono"', line),
    "date in another zone": lambda line: re.sub(rb'Z","mono"', b'+00:00","mono"', line),
    "date in other digits": lambda line: re.sub(rb'00Z","mono"', '٠0Z","mono"'.encode(), line),
    "date in words": lambda line: re.sub(rb'"at":"[^"]*"', b'"at":"yesterday"', line),
    "number of the line with a zero": lambda line: re.sub(rb'"seq":(\d+)', rb'"seq":\1.0', line),
}


@pytest.mark.parametrize("at", [ATTEMPT, OUTPUT], ids=["attempt", "output"])
@pytest.mark.parametrize("name", FORGERIES)
def test_line_that_nbrun_cannot_have_written_is_named(kept: Kept, name: str, at: int) -> None:
    forge(kept, at, FORGERIES[name])
    found = kept.verify()
    assert found.standing is Standing.BROKEN
    assert found.why.startswith(f"line {at + 1}:"), found.why


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"uid":1000', b'"uid":0,"uid":1000'),
        (b'"uid":1000', b'"uid":1000,"role":"root"'),
        (b'"parameters":{', b'"parameters":{"db":"test","db":"orders"'),
        (b'"contract":{', b'"contract":{"signed":true,'),
    ],
    ids=["operator twice", "more of an operator", "a parameter twice", "more of a contract"],
)
def test_forged_part_of_an_event_is_named(kept: Kept, old: bytes, new: bytes) -> None:
    forge(kept, STARTED, put(old, new))
    found = kept.verify()
    assert (found.standing, found.why[:7]) == (Standing.BROKEN, "line 1:"), found.why


def test_forged_output_with_doubled_key_is_named(kept: Kept) -> None:
    """A tool that takes the first of two keys would show another text than nbrun does."""
    forge(kept, OUTPUT, put(b'"text":', b'"text":"all is well","text":'))
    assert kept.verify().why.startswith(f"line {OUTPUT + 1}:")


# ── Lines that nbrun has written ─────────────────────────────────────────────────────────────


def checked(path: Path) -> list[Any]:
    return list(JournalReader(path, LineForm()))


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_event_passes_as_written(tmp_path: Path, build: Build) -> None:
    path = write(tmp_path / "journal.jsonl", [build(), build()])
    assert len(checked(path)) == 2


@pytest.mark.parametrize("kind", [*get_args(Event)], ids=lambda kind: kind.__name__)
def test_any_values_pass_as_written(
    kind: type[msgspec.Struct], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    names = iter(range(10**6))

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(structs(kind))
    def passes(event: Event) -> None:
        assert len(checked(write(folder / str(next(names)), [event]))) == 1

    passes()


@pytest.mark.parametrize("value", [float("nan"), "half \ud83d pair", {"\udc80": 1}, 2**70, 1e22])
def test_values_stored_as_text_pass(tmp_path: Path, value: Any) -> None:
    data = {"application/json": value}
    shown = output({"output_type": "display_data", "data": data, "metadata": {}})
    assert len(checked(write(tmp_path / "journal.jsonl", [shown]))) == 1


def test_integer_in_a_field_for_seconds_passes(tmp_path: Path) -> None:
    """nbrun writes a time limit as the runbook has it: 300 or 300.0."""
    from nbrun.core.model import Contract

    plan = whole()[0]
    assert isinstance(plan, ev.RunStarted)
    limited = step(1, contract=Contract(timeout=300, retry_delay=2))
    path = write(tmp_path / "journal.jsonl", [msgspec.structs.replace(plan, steps=(limited,))])
    assert b'"timeout":300,' in path.read_bytes()
    assert len(checked(path)) == 1


@pytest.mark.parametrize("version", sorted(path.name for path in RECORDS.iterdir()))
def test_records_of_older_builds_pass(version: str) -> None:
    """They lack fields that were added later."""
    assert len(checked(RECORDS / version / "journal.jsonl")) > 50


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_event_without_later_fields_passes(tmp_path: Path, build: Build) -> None:
    """An older build writes none of the fields that have defaults; encoding must not add them."""
    event = build()
    needed = {each.name for each in msgspec.structs.fields(event) if each.required}
    path = write(tmp_path / "journal.jsonl", [event])
    line = json.loads(path.read_bytes())
    kept = {"v", "seq", "at", "mono", "event", "prev", *needed}
    older = {name: value for name, value in line.items() if name in kept}
    path.write_bytes(json.dumps(older, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    assert len(checked(path)) == 1


def test_unknown_field_of_newer_nbrun_is_noted(tmp_path: Path) -> None:
    kept = Kept(tmp_path).write(whole(versions={"nbrun": "99.0.1"}))
    forge(kept, OUTPUT, FORGERIES["unknown field"])
    found = kept.verify()
    assert found.standing is Standing.UNSEALED
    assert "nbrun 99.0.1, a newer one, wrote a part of it" in found.notes[0]


@pytest.mark.parametrize("name", ["step twice", "space", "negative mono", "date that is none"])
def test_newer_version_excuses_nothing_else(tmp_path: Path, name: str) -> None:
    kept = Kept(tmp_path).write(whole(versions={"nbrun": "99.0.1"}))
    forge(kept, OUTPUT, FORGERIES[name])
    assert kept.verify().standing is Standing.BROKEN


def test_output_line_has_the_fields_of_an_output() -> None:
    """Most lines are decoded as an `OutputLine`: a field that it lacks would be lost."""
    fields = [(each.name, each.default) for each in msgspec.structs.fields(OutputLine)]
    own = [(each.name, each.default) for each in msgspec.structs.fields(ev.Output)]
    assert [name for name, _ in fields] == [
        *("v", "seq", "at", "mono", "event"), *(name for name, _ in own), "prev",
    ]  # fmt: skip
    assert fields[5:-1] == own


@given(st.datetimes())
def test_every_time_of_the_journal_is_one(moment: Any) -> None:
    assert is_time(f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z".rjust(27, "0"))


def test_note_is_read_in_any_second(tmp_path: Path) -> None:
    path = write(tmp_path / "journal.jsonl", [note_added(str(number)) for number in range(90)])
    assert len(checked(path)) == 90
