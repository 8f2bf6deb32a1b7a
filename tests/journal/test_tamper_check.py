"""Test detecting that another program changed the journal, and what the check costs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.errors import DamagedJournalError, JournalError
from nbrun.journal import tamper_check
from nbrun.journal.reader import JournalReader
from nbrun.journal.writer import Journal
from tests.support.build_events import note_added


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal.create(tmp_path / "journal.jsonl")
    for number in range(20):
        made.append([note_added(f"number {number}")], sync=number % 2 == 0)
    yield made
    made.close()


class ReadCounter:
    """Counts how often the whole file is read again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        real = tamper_check.open_regular

        def counted(path: Path) -> object:
            self.count += 1
            return real(path)

        monkeypatch.setattr(tamper_check, "open_regular", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> ReadCounter:
    return ReadCounter(monkeypatch)


def change(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_untouched_file_is_never_read_again(journal: Journal, reads: ReadCounter) -> None:
    for _ in range(50):
        journal.append([note_added()], sync=True)
    assert reads.count == 0


def test_changed_byte_detected_before_next_write(journal: Journal) -> None:
    data = journal.path.read_bytes()
    at = len(data) // 2
    change(journal.path, at)
    line = data.count(b"\n", 0, at) + 1
    with pytest.raises(DamagedJournalError, match=f"overwritten.*at line ({line - 1}|{line})"):
        journal.append([note_added("after")], sync=False)
    assert journal.path.stat().st_size == len(data), "nbrun wrote after the change"
    with pytest.raises(JournalError, match="takes no more events"):
        journal.append([note_added("after")], sync=False)


@pytest.mark.parametrize("where", ["first byte", "last line", "a newline"])
def test_changed_byte_detected_at_any_place(journal: Journal, where: str) -> None:
    data = journal.path.read_bytes()
    at = {"first byte": 0, "last line": len(data) - 90, "a newline": data.index(b"\n")}[where]
    change(journal.path, at)
    with pytest.raises(DamagedJournalError, match="overwritten"):
        journal.append([note_added("after")], sync=False)


def test_changed_times_alone_are_accepted(journal: Journal, reads: ReadCounter) -> None:
    """For instance, a backup links to the file, or someone touches it."""
    os.utime(journal.path)
    journal.append([note_added()], sync=True)
    (journal.path.parent / "backup").hardlink_to(journal.path)
    journal.append([note_added()], sync=True)
    assert reads.count == 2
    assert len(list(JournalReader(journal.path))) == 22


def test_slow_reading_is_postponed_but_not_forgotten(
    journal: Journal, reads: ReadCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tamper_check, "SLOW", -1.0)
    monkeypatch.setattr(tamper_check, "SHARE", 1e-9)
    os.utime(journal.path)
    journal.append([note_added()], sync=True)
    assert reads.count == 1
    change(journal.path, 300)
    for _ in range(5):
        journal.append([note_added()], sync=True)
    assert reads.count == 1, "it was read again although that takes too long"
    journal._tamper_check._next_read_at = 0.0
    with pytest.raises(DamagedJournalError, match="overwritten"):
        journal.append([note_added()], sync=True)
