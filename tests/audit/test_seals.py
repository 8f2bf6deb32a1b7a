"""Test the file of seals: seals stay whole, and damage is named."""

from pathlib import Path

import pytest

from nbrun.audit import seals
from nbrun.audit.seals import Seal
from nbrun.errors import DamagedJournalError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seals.jsonl"


def test_torn_seal_is_ignored_and_cut_by_next(path: Path) -> None:
    first = Seal(run="r", seq=1, head="1" * 64, signature="s")
    seals.append(path, first)
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        path.write_bytes(whole + whole[:size])
        assert seals.read(path) == [first]
        second = Seal(run="r", seq=2, head="2" * 64, signature="s")
        seals.append(path, second)
        assert seals.read(path) == [first, second]


def test_failed_append_keeps_earlier_seals(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    first = Seal(run="r", seq=1, head="1" * 64, signature="s")
    seals.append(path, first)
    whole, write = path.read_bytes(), os.pwrite
    calls: list[int] = []

    def full(fd: int, data: bytes, at: int) -> int:
        calls.append(at)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:7], at)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        seals.append(path, first)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"\xff",
        b'{"statement":"nbrun-seal 1\\nrun r\\nseq x\\n","signature":""}',
        b'{"statement":"","signature":"","more":1}',
    ],
)
def test_read_names_line_that_is_not_a_seal(path: Path, line: bytes) -> None:
    path.write_bytes(line + b"\n")
    with pytest.raises(DamagedJournalError, match="line 1"):
        seals.read(path)
