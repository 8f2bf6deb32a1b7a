"""Test verification: what nbrun wrote passes, and any later change is detected."""

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbrun.audit import seals, ssh_signatures
from nbrun.audit.verify import Standing, Trust, Verification, verify
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import NbrunError
from nbrun.journal.codec import digest, encode
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Clock, Journal
from nbrun.views.export import notebook
from tests.support.build_events import (
    attempt_started,
    attempted,
    begun,
    clock,
    deviated,
    note_added,
    output,
    record,
    run_finished,
    run_started,
    step,
    with_deviations,
)
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

RUN = "20261123-093000-restore-ab12"
CURRENT = {"versions": {"nbrun": __import__("nbrun").__version__}}


class Kept:
    """A run's folder, with the files that a run writes."""

    def __init__(self, parent: Path, name: str = RUN) -> None:
        self.directory = RunDirectory(parent / name)
        self.directory.path.mkdir(parents=True)

    def write(self, events: list[Event]) -> "Kept":
        """Write a journal of these events; if the last ends the run, also its notebook and hash."""
        *before, last = events
        journal = Journal.create(self.directory.journal, clock())
        journal.append(before, sync=True)
        if isinstance(last, ev.RunFinished):
            content = notebook.build(JournalReader(self.directory.journal), last)
            self.notebook.write_bytes(content)
            last = msgspec.structs.replace(
                last, notebook_sha256=hashlib.sha256(content).hexdigest()
            )
        journal.append([last], sync=True)
        journal.close()
        return self

    @property
    def notebook(self) -> Path:
        return self.directory.notebook("restore.ipynb")

    @property
    def lines(self) -> list[bytes]:
        return self.directory.journal.read_bytes().splitlines(keepends=True)

    def rewrite(self, lines: list[bytes]) -> None:
        self.directory.journal.write_bytes(b"".join(lines))

    def records(self) -> list[Record]:
        return list(JournalReader(self.directory.journal))

    def seal(self, key: Path, at: int = -1, later: datetime | None = None) -> None:
        """Append a seal of the line with this index, as the run does; or a later seal."""
        made = seals.make(key, self.records()[0].event.run, self.records()[at], later)
        seals.append(self.directory.seals, made)

    def verify(self, **trust: Any) -> Verification:
        return verify(self.directory, Trust(**trust), notebook.digest)


def whole(**fields: Any) -> list[Event]:
    """Return the events of a run of one step."""
    plan = run_started(1, **{"run": RUN} | CURRENT | fields)
    return [plan, *begun(1)[1:], attempt_started(), output(), *attempted()[1:], run_finished()]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path).write(whole())


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def signed(tmp_path: Path, key: Path) -> Kept:
    """Return a run that names its key, and has seals of an early line and of its end."""
    made = Kept(tmp_path / "signed").write(whole(sign_key=ssh_signatures.fingerprint(key)))
    made.seal(key, 2)
    made.seal(key)
    return made


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    return allow(tmp_path / "signers", ("ops@example.com", key))


# ── Intact records ──────────────────────────────────────────────────────────────────────────


def test_complete_record_without_signing_is_unsealed(kept: Kept) -> None:
    found = kept.verify()
    assert found.standing is Standing.UNSEALED
    assert found.lines == len(kept.lines)
    assert found.head == digest(kept.lines[-1][:-1])
    assert found.notes == ()


@needs_ssh_keygen
def test_record_signed_by_allowed_signer_is_sealed(signed: Kept, signers: Path) -> None:
    found = signed.verify(allowed_signers=signers)
    assert (found.standing, found.why) == (
        Standing.SEALED,
        "whole, ended and signed by ops@example.com",
    )


@needs_ssh_keygen
def test_signed_record_is_unsealed_without_allowed_signers(signed: Kept) -> None:
    found = signed.verify()
    assert found.standing is Standing.UNSEALED
    assert "give --allowed-signers" in found.why


@pytest.mark.parametrize("many", range(1, 6))
def test_record_without_end_is_open(tmp_path: Path, many: int) -> None:
    found = Kept(tmp_path).write(whole()[:many]).verify()
    assert found.standing is Standing.OPEN
    assert "no end" in found.why


def test_locked_record_is_open_despite_its_end(kept: Kept) -> None:
    import fcntl

    with kept.directory.journal.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert kept.verify().standing is Standing.OPEN
    assert kept.verify().standing is Standing.UNSEALED


def test_empty_journal_is_open(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    made.directory.journal.touch()
    found = made.verify()
    assert (found.standing, found.lines, found.head) == (Standing.OPEN, 0, "")


def test_verify_writes_nothing(kept: Kept) -> None:
    before = {path: path.stat() for path in kept.directory.path.iterdir()}
    kept.verify()
    after = {path: path.stat() for path in kept.directory.path.iterdir()}
    assert {path: (s.st_mtime_ns, s.st_size) for path, s in before.items()} == {
        path: (s.st_mtime_ns, s.st_size) for path, s in after.items()
    }


# ── The journal ──────────────────────────────────────────────────────────────────────────────


def is_broken(found: Verification, line: int | None = None) -> bool:
    named = line is None or found.why.startswith(f"line {line}:")
    assert found.standing is Standing.BROKEN, found
    assert named, found.why
    return True


@pytest.mark.sweep
def test_record_cut_at_any_byte_is_open(kept: Kept) -> None:
    data = kept.directory.journal.read_bytes()
    for size in range(len(data)):
        kept.directory.journal.write_bytes(data[:size])
        assert kept.verify().standing is Standing.OPEN, size


@pytest.mark.sweep
def test_expected_head_detects_every_changed_byte(kept: Kept) -> None:
    data, head = kept.directory.journal.read_bytes(), kept.verify().head
    for at in range(0, len(data), 7):
        for other in {data[at] ^ 1, data[at] ^ 0x80, 0x0A} - {data[at]}:
            kept.directory.journal.write_bytes(data[:at] + bytes([other]) + data[at + 1 :])
            found = kept.verify(head=head)
            assert found.standing is not Standing.UNSEALED, (at, other)
            if found.standing is Standing.OPEN:
                raise AssertionError(f"a changed byte {at} was seen as an open record: {found}")


def test_changed_line_is_named_without_expected_head(kept: Kept) -> None:
    for number, line in enumerate(kept.lines[:-1], 1):
        lines = kept.lines
        at = line.index(b'"mono":') + 7
        changed = line[:at] + (b"9" if line[at : at + 1] != b"9" else b"8") + line[at + 1 :]
        lines[number - 1] = changed
        kept.rewrite(lines)
        assert is_broken(kept.verify(), number + 1)
        lines[number - 1] = line
        kept.rewrite(lines)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:1] + lines[2:], 2),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [*lines, lines[-1]], 7),
        (lambda lines: [*lines, b"{}\n"], 7),
        (lambda lines: [*lines, b'{"v":1'], 7),
        (lambda lines: [b"\n", *lines], 1),
    ],
    ids=["lost", "swapped", "doubled", "added", "empty object added", "torn added", "empty line"],
)
def test_missing_swapped_repeated_or_added_line_is_named(
    kept: Kept, change: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    kept.rewrite(change(kept.lines))
    assert is_broken(kept.verify(), line)


def chained(events: list[Event]) -> list[bytes]:
    """Encode events as a forger would who knows the format: numbers and hashes are right."""
    told, prev = [], None
    for seq, event in enumerate(events):
        made = record(event, seq, prev) if prev else record(event, seq)
        told.append(encode(made) + b"\n")
        prev = made.hash
    return told


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([note_added(), *whole()], 1),
        ([*whole(), note_added()], 7),
        ([*whole()[:4], run_finished()], 5),
        ([*whole()[:2], attempt_started(attempt=2), *whole()[5:]], 3),
        ([whole()[0], *whole()], 2),
    ],
    ids=["no beginning", "after the end", "an end in a step", "attempt 2 first", "begun twice"],
)
def test_illegal_event_is_named_despite_valid_chain(
    tmp_path: Path, events: list[Event], line: int
) -> None:
    made = Kept(tmp_path)
    made.rewrite(chained(events))
    assert is_broken(made.verify(), line)


def test_event_about_unknown_step_is_named(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    odd = ev.Decided(operator=whole()[0].operator, decision="jump", step="nowhere")
    made.rewrite(chained([*whole()[:2], odd]))
    assert is_broken(made.verify(), 3)


def test_removed_deviation_contradicts_end_of_run(tmp_path: Path) -> None:
    """The chain is right, but the end still says off script."""
    made = Kept(tmp_path)
    again = [attempt_started("s1", 2, cause="operator"), *attempted("s1", 2)[1:]]
    plan = run_started([step(1, source="a()")], run=RUN)
    events = with_deviations([plan, *begun(1)[1:], *attempted(), *again])
    assert any(isinstance(event, ev.Deviated) for event in events)
    told = [event for event in events if not isinstance(event, ev.Deviated)]
    made.write([*told, run_finished(off_script=True)])
    assert "off_script" in made.verify().why


def off_script(**fields: Any) -> list[Event]:
    """Return the events of a run whose only step is run again after it succeeded."""
    again = [attempt_started("s1", 2, cause="operator"), *attempted("s1", 2)[1:]]
    plan = run_started([step(1, source="step_1()")], run=RUN, **CURRENT | fields)
    return with_deviations([plan, *begun(1)[1:], *attempted(), *again, run_finished()])


def ended(events: list[Event]) -> list[Event]:
    """Replace the end by one whose `off_script` agrees with the deviations."""
    told = any(isinstance(event, ev.Deviated) for event in events)
    return [*events[:-1], run_finished(off_script=told)]


def test_false_deviation_is_named_despite_valid_chain(
    tmp_path: Path,
) -> None:
    """Chain, notebook and end agree with the lie: only the derived deviations do not."""
    events = off_script()
    (at,) = (at for at, event in enumerate(events) if isinstance(event, ev.Deviated))
    told = events[at]
    assert isinstance(told, ev.Deviated)
    lies = {
        "it was none": [*events[:at], *events[at + 1 :]],
        "another": [*events[:at], deviated("retried"), *events[at + 1 :]],
        "one more": [*events[: at + 1], deviated("edited"), *events[at + 1 :]],
        "a better reason": [
            *events[:at],
            msgspec.structs.replace(told, reason="as agreed"),
            *events[at + 1 :],
        ],
    }
    assert Kept(tmp_path / "true").write(ended(events)).verify().standing is Standing.UNSEALED
    for name, lie in lies.items():
        found = Kept(tmp_path / name).write(ended(lie)).verify()
        assert is_broken(found, at + 1 if name != "one more" else at + 2), name
        assert "deviation" in found.why


def test_false_deviation_is_named_in_open_record(tmp_path: Path) -> None:
    events = off_script()
    (at,) = (at for at, event in enumerate(events) if isinstance(event, ev.Deviated))
    cut = Kept(tmp_path / "cut").write(events[:at]).verify()
    assert cut.standing is Standing.OPEN, "a crash can fall between the two lines"
    lies = Kept(tmp_path / "lies").write([*events[:at], *events[at + 1 : -1]]).verify()
    assert is_broken(lies, at + 1)


def test_deviations_of_other_version_are_noted_as_unchecked(tmp_path: Path) -> None:
    found = Kept(tmp_path).write(ended(off_script(versions={"nbrun": "0.0.9"}))).verify()
    assert found.standing is Standing.UNSEALED
    assert "were not derived again" in " ".join(found.notes)


def test_journal_is_read_once(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = JournalReader.open
    monkeypatch.setattr(JournalReader, "open", lambda self: opened.append(self.path) or real(self))
    assert kept.verify().standing is Standing.UNSEALED
    assert opened == [kept.directory.journal]


# Faults of a line: its form, its place in the chain, its event's place in the run, its output, and
# its deviation.
WRONG: dict[str, tuple[Event, bytes, bytes]] = {
    "no event": (note_added("x"), b'"event":"note.added"', b'"event":"said"'),
    "no object": (note_added("x"), b'{"v"', b'"v"'),
    "another number": (note_added("x"), b'"seq":', b'"seq":9'),
    "out of the chain": (note_added("x"), b'"prev":"', b'"prev":"0'),
    "can't happen": (ev.Resumed(), b"", b""),
    "no such attempt": (output(attempt=7), b"", b""),
    "an output without its time": (output(), b'"mono":', b'"mono":"1","m":'),
    "no output": (output({"output_type": "stream", "name": "stdout"}), b"", b""),
    "a lie": (deviated("edited"), b"", b""),
}


def wrong_at(*places: tuple[int, str]) -> list[bytes]:
    """Return the lines of a run with faulty lines between them, all chained."""
    told: list[tuple[Event, bytes, bytes]] = [(event, b"", b"") for event in whole()]
    for at, how in sorted(places, reverse=True):
        told.insert(at, WRONG[how])
    lines, prev = [], None
    for seq, (event, old, new) in enumerate(told):
        made = record(event, seq, prev) if prev else record(event, seq)
        lines.append(encode(made).replace(old, new, 1) + b"\n")
        prev = digest(lines[-1][:-1])
    return lines


@pytest.mark.parametrize("first", WRONG)
@pytest.mark.parametrize("second", WRONG)
def test_first_of_two_wrong_lines_is_named(tmp_path: Path, first: str, second: str) -> None:
    made = Kept(tmp_path)
    for places in (((3, first), (3, second)), ((3, first), (4, second)), ((2, first), (5, second))):
        made.rewrite(wrong_at(*places))
        assert is_broken(made.verify(), min(at for at, _ in places) + 1)


def test_system_error_is_not_a_broken_record(
    kept: Kept,
) -> None:
    def full(_records: Any) -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(NbrunError, match=r"ab12: can't be checked: .*No space left on device"):
        verify(kept.directory, Trust(), full)


@needs_ssh_keygen
@pytest.mark.parametrize("at", range(6))
def test_any_line_can_be_sealed(tmp_path: Path, key: Path, at: int) -> None:
    made = Kept(tmp_path).write(whole(sign_key=ssh_signatures.fingerprint(key)))
    made.seal(key, at)
    made.seal(key)
    assert "whole, ended and signed" in made.verify().why


def test_output_in_place_of_deviation_is_named(tmp_path: Path) -> None:
    events = off_script()
    (at,) = (at for at, event in enumerate(events) if isinstance(event, ev.Deviated))
    between = [*events[:at], output(attempt=2), *events[at:]]
    found = Kept(tmp_path).write(ended(between)).verify()
    assert is_broken(found, at + 1)
    assert "deviation" in found.why


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(os.mkfifo, id="a FIFO"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
        pytest.param(lambda path: None, id="nothing"),
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), id="a symlink"),
    ],
)
def test_journal_that_is_not_a_file_is_broken(kept: Kept, place: Callable[[Path], None]) -> None:
    kept.directory.journal.unlink()
    place(kept.directory.journal)
    assert is_broken(kept.verify())


def test_newer_version_is_broken(kept: Kept) -> None:
    kept.rewrite([line.replace(b'{"v":1', b'{"v":2', 1) for line in kept.lines])
    assert "journal version 2" in kept.verify().why
    assert is_broken(kept.verify(), 1)


# ── The head ─────────────────────────────────────────────────────────────────────────────────


def test_expected_head_must_be_last_line(kept: Kept) -> None:
    head = kept.verify().head
    assert kept.verify(head=head).standing is Standing.UNSEALED
    assert is_broken(kept.verify(head="0" * 64), 6)
    earlier = kept.records()[2].hash
    assert "3 lines follow it" in kept.verify(head=earlier).why
    kept.rewrite(kept.lines[:-1])
    assert is_broken(kept.verify(head=head), 5)


def test_rewritten_record_is_detected_by_head_only(kept: Kept, tmp_path: Path) -> None:
    head = kept.verify().head
    shutil.rmtree(kept.directory.path)
    other = Kept(tmp_path).write(whole(reason="a better one"))
    assert other.verify().standing is Standing.UNSEALED
    assert is_broken(other.verify(head=head))


# ── The notebook ─────────────────────────────────────────────────────────────────────────────


def test_changed_notebook_is_named(kept: Kept) -> None:
    content = kept.notebook.read_bytes()
    for changed in (b"", content[:-1], content.replace(b"hello", b"hullo"), content + b" "):
        kept.notebook.write_bytes(changed)
        assert is_broken(kept.verify())
        assert kept.verify().why.startswith("restore.ipynb is not the notebook of this record")
    kept.notebook.write_bytes(content)
    assert kept.verify().standing is Standing.UNSEALED


def test_missing_notebook_is_noted_and_made_again(kept: Kept) -> None:
    content = kept.notebook.read_bytes()
    kept.notebook.unlink()
    found = kept.verify()
    assert found.standing is Standing.UNSEALED
    assert found.notes == ("restore.ipynb is missing: nbrun export makes it again",)
    notebook.save(kept.notebook, notebook.chunks(JournalReader(kept.directory.journal)))
    assert kept.notebook.read_bytes() == content
    assert kept.verify().notes == ()


def test_false_notebook_hash_is_named(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    made.rewrite(chained([*whole()[:-1], run_finished(notebook_sha256="1" * 64)]))
    assert is_broken(made.verify(), 6)


def test_notebook_of_stop_is_accepted_only_without_recorded_hash(
    tmp_path: Path,
) -> None:
    made = Kept(tmp_path)
    events = [*whole()[:5], ev.Stopped(reason="paused", step=None), run_finished()]
    made.rewrite(chained(events))
    for many in (1, 6, 7):
        made.notebook.write_bytes(notebook.build(made.records()[:many]))
        found = made.verify()
        assert found.standing is Standing.UNSEALED
        assert bool(found.notes) is (many < 7)
    made.notebook.write_bytes(notebook.build(made.records()[:3]))
    assert is_broken(made.verify())
    finished = run_finished(
        notebook_sha256=hashlib.sha256(notebook.build(made.records())).hexdigest()
    )
    made.rewrite(chained([*events[:-1], finished]))
    made.notebook.write_bytes(notebook.build(made.records()[:6]))
    assert is_broken(made.verify())


def test_notebook_of_other_version_is_checked_by_recorded_hash(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    drawn = b"{}"
    recorded = hashlib.sha256(drawn).hexdigest()
    older = whole(versions={"nbrun": "0.0.9"})
    made.rewrite(chained([*older[:-1], run_finished(notebook_sha256=recorded)]))
    made.notebook.write_bytes(drawn)
    assert made.verify().standing is Standing.UNSEALED
    made.notebook.write_bytes(b"{ }")
    assert is_broken(made.verify())


# ── The seals ────────────────────────────────────────────────────────────────────────────────


@needs_ssh_keygen
def test_removed_seal_is_detected_with_any_trust(signed: Kept, signers: Path) -> None:
    seals = signed.directory.seals.read_bytes().splitlines(keepends=True)
    for left in (seals[:1], []):
        signed.directory.seals.write_bytes(b"".join(left))
        for trust in ({}, {"allowed_signers": signers}):
            assert is_broken(signed.verify(**trust), 6)
            assert "the seal was removed, or signing failed" in signed.verify(**trust).why
    signed.directory.seals.unlink()
    assert is_broken(signed.verify(), 6)


LATER = datetime(2026, 11, 25, 7, 12, 44, tzinfo=UTC)


@needs_ssh_keygen
def test_later_seal_is_accepted_and_named(signed: Kept, signers: Path, key: Path) -> None:
    signed.directory.seals.unlink()
    assert is_broken(signed.verify(allowed_signers=signers), 6)
    signed.seal(key, later=LATER)
    found = signed.verify(allowed_signers=signers)
    assert found.standing is Standing.SEALED
    assert found.why == (
        "whole, ended and signed by ops@example.com, later, at 2026-11-25T07:12:44Z, and not by "
        "the run itself"
    )
    assert found.notes == ()
    assert "later, at 2026-11-25T07:12:44Z" in signed.verify().why


@needs_ssh_keygen
def test_time_of_later_seal_cannot_be_forged(signed: Kept, key: Path) -> None:
    signed.directory.seals.unlink()
    signed.seal(key, later=LATER)
    data = signed.directory.seals.read_bytes()
    for changed in (
        data.replace(b"later 2026-11-25T07:12:44Z\\n", b""),
        data.replace(b"later 2026-11-25T07:12:44Z", b"later 2026-11-23T09:30:05Z"),
    ):
        assert changed != data
        signed.directory.seals.write_bytes(changed)
        assert is_broken(signed.verify(), 6)


@needs_ssh_keygen
def test_later_seal_by_other_key_needs_allowed_signer(
    signed: Kept, tmp_path: Path, signers: Path, key: Path
) -> None:
    other = make_key(tmp_path, "other")
    signed.directory.seals.unlink()
    signed.seal(other, later=LATER)
    assert "was not sealed by an allowed signer" in signed.verify(allowed_signers=signers).why
    both = allow(tmp_path / "both", ("ops@example.com", key), ("lead@example.com", other))
    found = signed.verify(allowed_signers=both)
    assert found.standing is Standing.SEALED
    assert "signed by lead@example.com, later" in found.why
    assert "the journal names" in found.notes[0]


@needs_ssh_keygen
def test_later_seal_of_unsigned_record_is_accepted(kept: Kept, signers: Path, key: Path) -> None:
    kept.seal(key, later=LATER)
    assert kept.verify(allowed_signers=signers).standing is Standing.SEALED
    assert "later" in kept.verify().why


@needs_ssh_keygen
def test_key_of_later_seal_must_be_valid_at_its_time(kept: Kept, tmp_path: Path, key: Path) -> None:
    kept.seal(key, later=LATER)
    who = ("ops@example.com", key)
    ended = allow(tmp_path / "ended", who, options='valid-before="20261124"')
    assert "was not sealed by an allowed signer" in kept.verify(allowed_signers=ended).why
    still = allow(tmp_path / "still", who, options='valid-after="20261124"')
    assert kept.verify(allowed_signers=still).standing is Standing.SEALED


@needs_ssh_keygen
def test_cut_tail_is_detected_by_its_seal(signed: Kept) -> None:
    lines = signed.lines
    for many in range(1, len(lines)):
        signed.rewrite(lines[:many])
        assert is_broken(signed.verify(), many + 1)
        assert "tail was cut" in signed.verify().why


@needs_ssh_keygen
def test_rewritten_record_contradicts_seal(signed: Kept, key: Path) -> None:
    fingerprint = ssh_signatures.fingerprint(key)
    signed.rewrite(chained(whole(sign_key=fingerprint, reason="another")))
    assert is_broken(signed.verify(), 3)


@needs_ssh_keygen
def test_seal_by_key_not_in_journal_is_broken(signed: Kept, tmp_path: Path, signers: Path) -> None:
    other = make_key(tmp_path, "other")
    signed.directory.seals.unlink()
    signed.seal(other)
    assert "was sealed with" in signed.verify().why
    assert is_broken(signed.verify(allowed_signers=signers), 6)


@needs_ssh_keygen
def test_seal_by_disallowed_signer_is_broken(signed: Kept, tmp_path: Path, key: Path) -> None:
    other = make_key(tmp_path, "other")
    for signers in (
        allow(tmp_path / "a", ("eve@example.com", other)),
        allow(tmp_path / "b", ("ops@example.com", key), options='namespaces="git"'),
        allow(tmp_path / "c", ("ops@example.com", key), options='valid-before="20261122"'),
    ):
        assert "was not sealed by an allowed signer" in signed.verify(allowed_signers=signers).why
        assert is_broken(signed.verify(allowed_signers=signers), 6)
    still = allow(tmp_path / "d", ("ops@example.com", key), options='valid-before="20261125"')
    assert signed.verify(allowed_signers=still).standing is Standing.SEALED


@needs_ssh_keygen
def test_changed_seal_is_detected(signed: Kept, signers: Path) -> None:
    data = signed.directory.seals.read_bytes()
    last = data.rindex(b"\n", 0, -1) + 1
    for at in (*range(0, len(data), 41), data.index(b"seq ") + 4, len(data) - 60):
        signed.directory.seals.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = signed.verify(allowed_signers=signers)
        in_signature = data.index(b"-----BEGIN") < at < last
        assert found.standing is Standing.BROKEN or in_signature, (at, found)
    signed.directory.seals.write_bytes(data)
    assert signed.verify(allowed_signers=signers).standing is Standing.SEALED


@needs_ssh_keygen
def test_seal_of_other_run_is_broken(signed: Kept, tmp_path: Path, key: Path) -> None:
    other = Kept(tmp_path / "other", "20261123-093000-restore-zz99").write(
        whole(sign_key=ssh_signatures.fingerprint(key))[:1] + whole()[1:]
    )
    made = seals.make(key, "20261123-093000-restore-zz99", other.records()[-1])
    signed.directory.seals.unlink()
    seals.append(signed.directory.seals, made)
    assert "is a seal of the run 20261123-093000-restore-zz99" in signed.verify().why


@needs_ssh_keygen
def test_interrupted_sealed_run_is_open(tmp_path: Path, key: Path, signers: Path) -> None:
    made = Kept(tmp_path).write(whole(sign_key=ssh_signatures.fingerprint(key))[:4])
    made.seal(key, 1)
    assert made.verify(allowed_signers=signers).standing is Standing.OPEN


def test_clock_set_back_is_accepted(tmp_path: Path) -> None:
    made = Kept(tmp_path)
    walls = iter([f"2026-11-23T0{hour}:00:00+00:00" for hour in (9, 8, 9, 3, 4, 5, 6)])
    from datetime import datetime

    journal = Journal.create(
        made.directory.journal, Clock(now=lambda: datetime.fromisoformat(next(walls)))
    )
    journal.append([*whole()], sync=True)
    journal.close()
    assert made.verify().standing is Standing.UNSEALED
