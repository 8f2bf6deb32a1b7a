"""Test P4 and P6: damage is refused and its line named; records of older versions are read."""

import random
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.audit.verify import Standing, Trust, verify
from nbrun.core.events import SCHEMA_VERSION
from nbrun.core.reducer import fold
from nbrun.errors import JournalError
from nbrun.journal import reader
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook
from tests.support.build_events import uneventful, write

RECORDS = Path(__file__).parent.parent / "records"
RUN = "20261123-093000-restore-ab12"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / RUN
    folder.mkdir()
    return write(folder / "journal.jsonl", uneventful(2))


def refused(path: Path) -> str:
    """Check that no reader accepts the journal, and return what `verify` says."""
    with pytest.raises(JournalError):  # damaged, or of a version that is not known
        list(JournalReader(path))
    found = verify(RunDirectory(path.parent), Trust(), notebook.digest)
    assert found.standing is Standing.BROKEN
    return found.why


def sampled(many: range, count: int) -> list[int]:
    """Return some of `many`, at random: the message of a failure names the place."""
    return sorted(random.Random().sample(many, min(count, len(many))))


def flip_every(path: Path, places: list[int]) -> None:
    """Flip each bit at `places`: that line or the next one is named."""
    data = path.read_bytes()
    for at in places:
        for bit in range(8):
            changed = bytes([data[at] ^ 1 << bit])
            path.write_bytes(data[:at] + changed + data[at + 1 :])
            line = data.count(b"\n", 0, at) + 1
            why = refused(path)
            assert why.startswith((f"line {line}:", f"line {line + 1}:")), (at, bit, why)


@pytest.mark.sweep
def test_flipped_bit_is_refused_and_line_named(path: Path) -> None:
    data = path.read_bytes()
    flip_every(path, sampled(range(data.rindex(b"\n", 0, -1) + 1), 150))


@pytest.mark.sweep
def test_every_flipped_bit_is_refused_and_line_named(path: Path) -> None:
    data = path.read_bytes()
    flip_every(path, list(range(data.rindex(b"\n", 0, -1) + 1)))


def test_lines_of_other_run_are_refused(path: Path, tmp_path: Path) -> None:
    own = path.read_bytes().splitlines(keepends=True)
    other_path = write(tmp_path / "other", uneventful(3))
    other = other_path.read_bytes().splitlines(keepends=True)
    for at in range(1, min(len(own), len(other))):
        for spliced in (own[:at] + other[at:], [*own[:at], other[at], *own[at + 1 :]]):
            path.write_bytes(b"".join(spliced))
            assert refused(path).startswith(f"line {at + 1}:")


@pytest.mark.parametrize("change", ["deleted", "doubled", "swapped", "emptied"])
def test_moved_line_is_refused_at_any_place(path: Path, change: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(len(lines) - 1):
        changed = list(lines)
        if change == "deleted":
            del changed[at]
        elif change == "doubled":
            changed.insert(at, lines[at])
        elif change == "swapped":
            changed[at : at + 2] = [lines[at + 1], lines[at]]
        else:
            changed[at] = b"\n"
        path.write_bytes(b"".join(changed))
        named = at + 2 if change == "doubled" else at + 1
        assert refused(path).startswith(f"line {named}:")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000))
def test_readers_survive_any_bytes(path: Path, data: bytes) -> None:
    check_readers(path, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_readers_survive_mangled_journal(path: Path, data: st.DataObject) -> None:
    whole = path.with_name("whole")
    if not whole.exists():
        whole.write_bytes(path.read_bytes())
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 40))
        content[at : at + length] = data.draw(st.binary(max_size=40))
    check_readers(path, bytes(content))


def check_readers(path: Path, data: bytes) -> None:
    """Check that readers raise only JournalError, and that `verify` returns a result."""
    path.write_bytes(data)
    for look in (lambda path: list(JournalReader(path)), reader.first_record, reader.last_record):
        with suppress(JournalError):
            look(path)
    found = verify(RunDirectory(path.parent), Trust(), notebook.digest)
    assert found.standing in Standing


# ── P6 ───────────────────────────────────────────────────────────────────────────────────────


def test_record_of_every_version_exists() -> None:
    assert {path.name for path in RECORDS.iterdir()} == {
        f"v{version}" for version in range(1, SCHEMA_VERSION + 1)
    }


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_record_of_each_version_is_read(version: int, tmp_path: Path) -> None:
    """The nbrun of that version wrote the records in tests/records. They must not be changed."""
    kept = RECORDS / f"v{version}"
    reader = JournalReader(kept / "journal.jsonl")
    state = fold(record.event for record in reader)
    assert state.finished is not None
    assert len(state.deviations) == 6
    assert reader.torn == b""
    made = notebook.build(JournalReader(kept / "journal.jsonl"))
    nbformat.validate(nbformat.reads(made.decode(), as_version=4))


def test_record_of_version_1_has_its_original_head() -> None:
    """Its head is the one it had when it was added."""
    *_, last = JournalReader(RECORDS / "v1" / "journal.jsonl")
    assert last.hash == "4a124e1a52fa0b57729507f417f9d384256025d1dc215c09570fc57d07973987"


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, 99])
def test_unknown_version_is_refused(path: Path, version: int) -> None:
    data = path.read_bytes().replace(b'{"v":%d,' % SCHEMA_VERSION, b'{"v":%d,' % version)
    path.write_bytes(data)
    with pytest.raises(JournalError, match=f"line 1: journal version {version}"):
        list(JournalReader(path))
    assert verify(RunDirectory(path.parent), Trust(), notebook.digest).standing is Standing.BROKEN
