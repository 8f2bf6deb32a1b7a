"""Whether a record is what nbrun wrote: chain, numbering, legal events, seals, head, notebook."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from nbrun.audit import seals as seal
from nbrun.audit import ssh_signatures
from nbrun.audit.notebook_check import BrokenError, Digest, KeptNotebook
from nbrun.audit.seals import Seal
from nbrun.core import events as ev
from nbrun.core.deviation_check import DeviationChecker
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.errors import (
    DamagedJournalError,
    IllegalEventError,
    JournalError,
    NbrunError,
    SignatureError,
    UsageError,
)
from nbrun.journal import writer
from nbrun.journal.reader import JournalReader, last_record
from nbrun.journal.run_directory import RunDirectory


class Standing(StrEnum):
    """What can be said of a record."""

    SEALED = "SEALED"  # whole and ended, and its end signed by an allowed signer
    UNSEALED = "UNSEALED"  # whole and ended; nobody that was named vouches for it
    OPEN = "OPEN"  # whole as far as it goes: the run goes on, or was interrupted
    BROKEN = "BROKEN"


@dataclass(frozen=True)
class Trust:
    """What is known from elsewhere than the run's folder: who may sign, the last line's hash."""

    allowed_signers: Path | None = None
    head: str | None = None


@dataclass(frozen=True)
class Verification:
    """What was found. `why`: one sentence; `lines`: how many whole ones were read, and `head` the
    SHA-256 of the last; `notes`: what else a person should know."""

    run: str
    standing: Standing
    why: str
    lines: int = 0
    head: str = ""
    notes: tuple[str, ...] = ()


def verify(directory: RunDirectory, trust: Trust, digest: Digest) -> Verification:
    """Check the record in `directory`. Nothing in the folder is trusted, and nothing is written.

    `digest` tells the SHA-256 of the output notebook.
    """
    return _Check(directory, trust, digest).run()


@dataclass(frozen=True)
class End:
    """The last line of a run that has ended, its plan, and whether that line is sealed."""

    started: ev.RunStarted
    record: Record
    is_sealed: bool


def end(directory: RunDirectory, digest: Digest) -> End:
    """The end of a record that is whole, whoever vouches for it.

    Raises:
        UsageError: it has none.
        DamagedJournalError: it is not what nbrun wrote; the message says where.
    """
    return _Check(directory, Trust(), digest).end()


class _Check:
    """One record on its way through the checks."""

    def __init__(self, directory: RunDirectory, trust: Trust, digest: Digest) -> None:
        self._directory = directory
        self._trust = trust
        self._digest = digest
        self._signed_by = ""  # the key of the last seal
        self._notes: list[str] = []
        self._started: ev.RunStarted | None = None
        self._last: Record | None = None
        self._marks: dict[int, str] = {}  # the hashes of the first line, and those that seals name
        self._deviations = DeviationChecker()
        self._made = ""  # the hash of the notebook that the record makes, once it has ended

    def run(self) -> Verification:
        try:
            standing, why = self._standing()
        except BrokenError as error:
            standing, why = Standing.BROKEN, str(error)
        return Verification(
            run=self._directory.id,
            standing=standing,
            why=why,
            lines=self._last.seq + 1 if self._last else 0,
            head=self._last.hash if self._last else "",
            notes=tuple(self._notes),
        )

    def end(self) -> End:
        try:
            seals = self._seals()
            why_open = self._examine(seals)
            started, last = self._plan, self._last
        except BrokenError as error:
            raise DamagedJournalError(f"{self._directory.id}: {error}") from error
        if why_open or last is None:
            raise UsageError(
                f"{self._directory.id}: {why_open}: it can be sealed when it has ended"
            )
        return End(started, last, self._is_sealed(seals))

    def _standing(self) -> tuple[Standing, str]:
        seals = self._seals()
        why_open = self._examine(seals)
        return (Standing.OPEN, why_open) if why_open else self._judge(seals)

    def _examine(self, seals: Sequence[Seal]) -> str:
        """All that is in the folder. Why the record has no end, empty where it has one."""
        locked = self._is_locked()
        self._walk(seals)
        self._check_head()
        self._check_seals(seals)
        if locked:
            return "the run goes on"
        finished = self._last.event if self._last else None
        if not isinstance(finished, ev.RunFinished):
            return self._why_open()
        self._check_end(finished)
        return ""

    # ── the journal ──────────────────────────────────────────────────────────────────────────

    def _is_locked(self) -> bool:
        try:
            return writer.is_locked(self._directory.journal)
        except FileNotFoundError:
            raise BrokenError(
                "there is no journal: it was removed, or nbrun ended before it made one"
            ) from None
        except OSError as error:
            raise BrokenError(f"the journal can't be read: {error.strerror}") from error

    def _walk(self, seals: Sequence[Seal]) -> None:
        """Every line, in order and once: its form, number and hash by reader it, and whether its
        event can happen there by folding it, which making the notebook does too."""
        try:
            torn = self._read({each.seq for each in seals})
        except BrokenError:
            raise
        except JournalError as error:
            raise BrokenError(_without(error, self._directory.journal)) from error
        except IllegalEventError as error:
            raise BrokenError(f"line {self._line_after()}: {error}") from error
        except OSError as error:
            raise NbrunError(f"{self._directory.id}: can't be checked: {error}") from error
        except Exception as error:  # a line that was made up may lead the fold anywhere
            where = f"line {self._line_after()}"
            raise BrokenError(f"{where}: can't happen in this run ({error!r})") from error
        self._check_torn(torn)

    def _read(self, marked: set[int]) -> bytes:
        """Read every record once; return the bytes of a torn last line.

        `marked`: the numbers of the records that seals name.
        """
        reader = JournalReader(self._directory.journal)
        records = self._noted(reader, {0, *marked})
        if self._has_ended():
            self._made = self._digest(records)  # checks that each event may happen there, too
        else:
            fold(record.event for record in records)
        return reader.torn

    def _has_ended(self) -> bool:
        """By its last line alone; one that is damaged is named where it is read in its turn."""
        try:
            last = last_record(self._directory.journal)
        except JournalError:
            return False
        return last is not None and isinstance(last.event, ev.RunFinished)

    def _noted(self, records: Iterable[Record], noted: set[int]) -> Iterator[Record]:
        """Pass the records on, and check each after whoever takes them has: an event that can't
        happen is reported before a deviation that it lacks."""
        for record in records:
            yield record
            self._last = record
            lie = self._deviations.add(record.event)
            if lie is not None:
                raise BrokenError(f"line {record.seq + 1}: {lie}")
            if record.seq in noted:
                self._note(record)

    def _note(self, record: Record) -> None:
        """The first one, or one that a seal names."""
        self._marks[record.seq] = record.hash
        if record.seq == 0 and isinstance(record.event, ev.RunStarted):
            self._started = record.event

    def _line_after(self) -> int:
        return self._last.seq + 2 if self._last else 1

    def _check_torn(self, torn: bytes) -> None:
        if torn and self._last is not None and isinstance(self._last.event, ev.RunFinished):
            raise BrokenError(
                f"line {self._line_after()}: {len(torn)} bytes follow the end of the run"
            )
        if torn:
            self._notes.append(f"the last line is torn ({len(torn)} bytes), as a crash leaves it")

    def _why_open(self) -> str:
        if self._last is None:
            return "nbrun ended before the run began"
        return "the record has no end: the run was interrupted, or its tail was cut"

    def _check_head(self) -> None:
        wanted, last = self._trust.head, self._last
        found = last.hash if last else "nothing"
        if wanted is None or wanted == found:
            return
        for record in JournalReader(self._directory.journal):
            if record.hash == wanted:
                raise BrokenError(
                    f"line {record.seq + 2}: the expected head is that of the line before, and "
                    f"{self._line_after() - record.seq - 2} lines follow it"
                )
        raise BrokenError(f"line {self._line_after() - 1}: the head is {found}, not {wanted}")

    def _check_end(self, finished: ev.RunFinished) -> None:
        line = self._line_after() - 1
        if not self._deviations.is_checked:
            self._notes.append("another nbrun wrote it: what is off script was not derived again")
        if finished.off_script != self._deviations.state.off_script:
            raise BrokenError(f"line {line}: says off_script where the deviations say otherwise")
        notebook = KeptNotebook(self._directory, self._digest, self._made, self._notes)
        notebook.check(self._plan, finished, line)

    @property
    def _plan(self) -> ev.RunStarted:
        if self._started is None:
            raise BrokenError("line 1: does not begin a run")
        return self._started

    # ── the seals ────────────────────────────────────────────────────────────────────────────

    def _seals(self) -> Sequence[Seal]:
        try:
            return seal.read(self._directory.seals)
        except JournalError as error:
            raise BrokenError(f"{self._directory.seals.name}: {error}") from error

    def _check_seals(self, seals: Sequence[Seal]) -> None:
        """Each says what the journal says."""
        for number, each in enumerate(seals, 1):
            where = f"{self._directory.seals.name}, line {number}"
            if each.run != self._plan.run:
                raise BrokenError(f"{where}: is a seal of the run {each.run}")
            if each.seq not in self._marks:
                raise BrokenError(
                    f"line {self._line_after()}: is missing: {where}, was made for line "
                    f"{each.seq + 1}, so that the record's tail was cut"
                )
            if self._marks[each.seq] != each.head:
                raise BrokenError(f"line {each.seq + 1}: is not the one that was sealed ({where})")
        if seals:
            self._check_signature(seals[-1])

    def _check_signature(self, last: Seal) -> None:
        """The last seal's is a good one, by the key that the journal names; a later seal's may be
        by another."""
        try:
            by = ssh_signatures.signed_by(last.signature, last.statement)
        except SignatureError as error:
            raise BrokenError(f"line {last.seq + 1}: its seal is no signature: {error}") from error
        self._signed_by = by
        if by != self._plan.sign_key:
            named = self._plan.sign_key or "none"
            if last.later:
                self._notes.append(f"the later seal is by {by}, and the journal names {named}")
                return
            raise BrokenError(
                f"line {last.seq + 1}: was sealed with {by}, and the journal names {named}"
            )

    def _judge(self, seals: Sequence[Seal]) -> tuple[Standing, str]:
        """Of a record that is whole and ended."""
        key = self._plan.sign_key
        last = self._last
        if last is None or not self._is_sealed(seals):
            if not key:
                return Standing.UNSEALED, "whole and ended; it was not to be signed"
            raise BrokenError(
                f"line {self._line_after() - 1}: is not sealed, and the record was to be, with "
                f"{key}: the seal was taken away, or could not be made. Who knows that it could "
                "not can make it now, with nbrun seal"
            )
        made = seals[-1]
        when = f", later, at {made.later}, and not by the run itself" if made.later else ""
        allowed = self._trust.allowed_signers
        if allowed is None:
            return Standing.UNSEALED, (
                f"whole, ended and signed with {self._signed_by}{when}; whose key that is was not "
                "checked: give --allowed-signers"
            )
        signer = self._signer(made, last, allowed)
        return Standing.SEALED, f"whole, ended and signed by {signer}{when}"

    def _is_sealed(self, seals: Sequence[Seal]) -> bool:
        """Whether the last line is."""
        return self._last is not None and bool(seals) and seals[-1].seq == self._last.seq

    def _signer(self, last: Seal, record: Record, allowed: Path) -> str:
        try:
            at = datetime.fromisoformat(last.later or record.at)
            return ssh_signatures.principal(last.signature, last.statement, allowed, at)
        except (SignatureError, ValueError) as error:
            raise BrokenError(
                f"line {record.seq + 1}: was sealed by nobody who may: {error}"
            ) from error


def _without(error: JournalError, path: Path) -> str:
    """An error's message without the path that a table has already."""
    return str(error).removeprefix(f"{path}, ").removeprefix(f"{path}: ")
