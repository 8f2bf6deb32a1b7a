"""Verify that a record is exactly what nbrun wrote: journal, deviations, notebook and seals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nbrun.audit.approval_signatures import ApprovalCheck
from nbrun.audit.notebook_check import Digest, NotebookCheck
from nbrun.audit.seal_check import SealCheck
from nbrun.core import events as ev
from nbrun.core.deviation_check import DeviationChecker
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.errors import (
    BrokenRecordError,
    DamagedJournalError,
    IllegalEventError,
    JournalError,
    NbrunError,
    UsageError,
)
from nbrun.journal import run_directory, writer
from nbrun.journal.line_form import LineForm
from nbrun.journal.reader import JournalReader, last_record
from nbrun.journal.run_directory import RunDirectory


class Standing(StrEnum):
    """The result of a verification."""

    SEALED = "SEALED"  # complete, and an allowed signer signed its end
    UNSEALED = "UNSEALED"  # complete; not signed, or the signer was not checked
    OPEN = "OPEN"  # intact so far: the run is going on, or was interrupted
    BROKEN = "BROKEN"  # not what nbrun wrote


@dataclass(frozen=True)
class Trust:
    """Facts from outside the run's folder.

    `allowed_signers`: a file of the keys that may sign. `approvers`: one of those that may approve.
    `head`: the hash of the last line.
    """

    allowed_signers: Path | None = None
    approvers: Path | None = None
    head: str | None = None


@dataclass(frozen=True)
class Verification:
    """The result for one record.

    - `run`: the id that the record gives itself; the folder's name if it does not say.
    - `why`: one sentence.
    - `lines`, `head`: the number of complete lines that were read, and the SHA-256 of the last.
    - `notes`: further facts for a person.
    - `folder`: the name of the folder that holds the record.
    - `unchecked`: the files there that no check covers.
    """

    run: str
    standing: Standing
    why: str
    lines: int = 0
    head: str = ""
    notes: tuple[str, ...] = ()
    folder: str = ""
    unchecked: tuple[str, ...] = ()


def verify(directory: RunDirectory, trust: Trust, digest: Digest) -> Verification:
    """Verify the record in `directory`. Nothing there is trusted, and nothing is written.

    `digest` returns the SHA-256 of the output notebook of records.

    Raises:
        NbrunError: the system prevented the check, for instance with a full disk.
    """
    return _Verifier(directory, trust, digest).verify()


@dataclass(frozen=True)
class VerifiedEnd:
    """The first event and the last record of a complete record. `is_sealed`: the last is sealed."""

    started: ev.RunStarted
    record: Record
    is_sealed: bool


def verified_end(directory: RunDirectory, digest: Digest, purpose: str = "sealed") -> VerifiedEnd:
    """Verify the record in `directory`, whoever signed it, and return its end.

    `purpose`: what it is needed for, in the words of the error if the run has not ended.

    Raises:
        UsageError: the run has not ended.
        DamagedJournalError: the record is not what nbrun wrote; the message says where.
    """
    return _Verifier(directory, Trust(), digest).end(purpose)


class _Verifier:
    """The verification of one record, for a single use."""

    def __init__(self, directory: RunDirectory, trust: Trust, digest: Digest) -> None:
        self._directory = directory
        self._trust = trust
        self._digest = digest
        self._notes: list[str] = []
        self._started: ev.RunStarted | None = None
        self._last: Record | None = None
        self._hashes: dict[int, str] = {}  # of the first line and of the sealed lines, by `seq`
        self._deviations = DeviationChecker()
        self._approvals = ApprovalCheck(trust.approvers)
        self._notebook_hash = ""  # of the notebook that the record makes, if the run has ended

    def verify(self) -> Verification:
        try:
            standing, why = self._standing()
        except BrokenRecordError as error:
            standing, why = Standing.BROKEN, str(error)
        return Verification(
            run=self._started.run if self._started else self._directory.recorded_id,
            standing=standing,
            why=why,
            lines=self._line_count,
            head=self._last.hash if self._last else "",
            notes=tuple(self._notes),
            folder=self._directory.recorded_id,
            unchecked=tuple(self._unchecked_files()),
        )

    def end(self, purpose: str) -> VerifiedEnd:
        try:
            seals = SealCheck(self._directory.seals, self._notes)
            why_open = self._check_all(seals)
            started, last = self._plan, self._last
        except BrokenRecordError as error:
            raise DamagedJournalError(f"{self._directory.id}: {error}") from error
        if why_open or last is None:
            raise UsageError(
                f"{self._directory.id}: {why_open}: it can be {purpose} when it has ended"
            )
        return VerifiedEnd(started, last, seals.is_sealed(last))

    def _standing(self) -> tuple[Standing, str]:
        seals = SealCheck(self._directory.seals, self._notes)
        why_open = self._check_all(seals)
        if why_open:
            return Standing.OPEN, why_open
        is_trusted, why = seals.judge(self._plan, self._last, self._trust.allowed_signers)
        return (Standing.SEALED if is_trusted else Standing.UNSEALED), why

    def _check_all(self, seals: SealCheck) -> str:
        """Check everything in the folder. Return why the record has no end, or an empty text."""
        locked = self._is_locked()  # before reading: a run that ends meanwhile is still open
        self._check_journal(seals.sealed_lines)
        self._check_folder()
        self._check_head()
        if seals.sealed_lines:
            seals.check(self._plan, self._hashes, self._line_count)
        if locked:
            return "the run goes on"
        finished = self._last.event if self._last else None
        if not isinstance(finished, ev.RunFinished):
            return self._why_open()
        self._check_end(finished)
        return ""

    @property
    def _plan(self) -> ev.RunStarted:
        if self._started is None:
            raise BrokenRecordError("line 1: does not begin a run")
        return self._started

    @property
    def _line_count(self) -> int:
        return self._last.seq + 1 if self._last else 0

    # ── the journal ──────────────────────────────────────────────────────────────────────────

    def _is_locked(self) -> bool:
        try:
            return writer.is_locked(self._directory.journal)
        except FileNotFoundError:
            raise BrokenRecordError(
                "there is no journal: it was removed, or nbrun ended before it made one"
            ) from None
        except OSError as error:
            raise BrokenRecordError(f"the journal can't be read: {error.strerror}") from error

    def _check_journal(self, sealed_lines: set[int]) -> None:
        """Read every line once, in order, and name the first that is not as nbrun wrote it."""
        try:
            torn = self._read(sealed_lines)
        except BrokenRecordError:
            raise
        except JournalError as error:
            raise BrokenRecordError(_without_path(error, self._directory.journal)) from error
        except IllegalEventError as error:
            raise BrokenRecordError(f"line {self._line_count + 1}: {error}") from error
        except OSError as error:
            raise NbrunError(f"{self._directory.id}: can't be checked: {error}") from error
        except Exception as error:  # a forged event may make the fold fail in any way
            raise BrokenRecordError(
                f"line {self._line_count + 1}: can't happen in this run ({error!r})"
            ) from error
        self._check_torn_line(torn)
        self._notes.extend(self._approvals.notes())

    def _read(self, sealed_lines: set[int]) -> bytes:
        """Check form, number and chain of all lines, and return the bytes of a torn last line.

        Making the notebook, or the fold, checks that each event can happen where it is.
        """
        form = LineForm()
        reader = JournalReader(self._directory.journal, form)
        records = self._checked(reader, {0, *sealed_lines})
        if self._has_ended():
            self._notebook_hash = self._digest(records)
        else:
            fold(record.event for record in records)
        if form.newer:
            self._notes.append(
                f"nbrun {form.newer}, a newer one, wrote a part of it: fields that this nbrun does "
                "not know were not checked"
            )
        return reader.torn

    def _has_ended(self) -> bool:
        """Return True if the last line ends the run. Damage is reported when the line is read."""
        try:
            last = last_record(self._directory.journal)
        except JournalError:
            return False
        return last is not None and isinstance(last.event, ev.RunFinished)

    def _checked(self, records: Iterable[Record], noted: set[int]) -> Iterator[Record]:
        """Pass records on, check the deviations, and remember the hashes of the `noted` ones.

        The check comes after the consumer has taken the record: an illegal event is reported
        before a deviation that is missing there.
        """
        fault_of = self._deviations.add
        for record in records:
            yield record
            self._last = record
            self._approvals.check(self._deviations.state, record)
            fault = fault_of(record.event)
            if fault is not None:
                raise BrokenRecordError(f"line {record.seq + 1}: {fault}")
            if record.seq in noted:
                self._remember(record)

    def _remember(self, record: Record) -> None:
        self._hashes[record.seq] = record.hash
        if record.seq == 0 and isinstance(record.event, ev.RunStarted):
            self._started = record.event

    def _check_folder(self) -> None:
        """Check that the record is that of the run which its folder names.

        All files of another run, signed ones too, could lie in this folder.
        """
        folder = self._directory.recorded_id
        if self._started is None or self._started.run == folder:
            return
        run = self._started.run
        if run_directory.is_run_id(folder):
            raise BrokenRecordError(
                f"line 1: is the record of the run {run}, and its folder is named as the run "
                f"{folder}: it was copied or moved here. To check it as {run}, name the folder so"
            )
        self._notes.append(
            f"a copy or a renamed folder: {folder} holds the record of the run {run}"
        )

    def _unchecked_files(self) -> list[str]:
        """Return the names of the files in the folder that no check covers."""
        directory = self._directory
        checked = {directory.journal, directory.seals, directory.socket, directory.unforwarded}
        if self._notebook_hash and self._started is not None:
            checked.add(directory.notebook(self._started.runbook))
        try:
            return sorted(path.name for path in directory.path.iterdir() if path not in checked)
        except OSError:
            return []

    def _check_torn_line(self, torn: bytes) -> None:
        if torn and self._last is not None and isinstance(self._last.event, ev.RunFinished):
            raise BrokenRecordError(
                f"line {self._line_count + 1}: {len(torn)} bytes follow the end of the run"
            )
        if torn:
            self._notes.append(f"the last line is torn ({len(torn)} bytes), as a crash leaves it")

    def _why_open(self) -> str:
        if self._last is None:
            return "nbrun ended before the run began"
        return "the record has no end: the run was interrupted, or its tail was cut"

    def _check_head(self) -> None:
        expected, last = self._trust.head, self._last
        found = last.hash if last else "nothing"
        if expected is None or expected == found:
            return
        for record in JournalReader(self._directory.journal):
            if record.hash == expected:
                raise BrokenRecordError(
                    f"line {record.seq + 2}: the expected head is that of the line before, and "
                    f"{self._line_count - record.seq - 1} lines follow it"
                )
        raise BrokenRecordError(f"line {self._line_count}: the head is {found}, not {expected}")

    def _check_end(self, finished: ev.RunFinished) -> None:
        line = self._line_count
        if not self._deviations.is_checked:
            self._notes.append(
                "another version of nbrun wrote it: the deviations were not derived again"
            )
        if finished.off_script != self._deviations.state.off_script:
            raise BrokenRecordError(
                f"line {line}: its off_script does not agree with the deviations"
            )
        check = NotebookCheck(self._directory, self._digest, self._notebook_hash, self._notes)
        check.check(self._plan, finished, line)


def _without_path(error: JournalError, path: Path) -> str:
    """Return an error's message without the journal's path: the caller names the run."""
    return str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: ")
