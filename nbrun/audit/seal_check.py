"""Check the seals of a record against its journal, and find out who signed its end."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from nbrun.audit import seals, ssh_signatures
from nbrun.audit.seals import Seal
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.errors import BrokenRecordError, JournalError, SignatureError


class SealCheck:
    """The seals in the file at `path`, and the checks of them."""

    def __init__(self, path: Path, notes: list[str]) -> None:
        """Read the seals. `notes` is added to.

        Raises:
            BrokenRecordError: the file is damaged, or can't be read.
        """
        self._name = path.name
        self._notes = notes
        self._signed_by = ""  # the fingerprint of the key of the last seal
        try:
            self._seals = seals.read(path)
        except JournalError as error:
            raise BrokenRecordError(f"{path.name}: {error}") from error

    @property
    def sealed_lines(self) -> set[int]:
        """Return the `seq` of each line that has a seal."""
        return {seal.seq for seal in self._seals}

    def check(self, plan: ev.RunStarted, hashes: Mapping[int, str], line_count: int) -> None:
        """Check that each seal agrees with the journal, and the signature of the last seal.

        `hashes`: those of the sealed lines, by `seq`.

        Raises:
            BrokenRecordError: a seal does not agree with the journal.
        """
        for number, seal in enumerate(self._seals, 1):
            where = f"{self._name}, line {number}"
            if seal.run != plan.run:
                raise BrokenRecordError(f"{where}: is a seal of the run {seal.run}")
            if seal.seq not in hashes:
                raise BrokenRecordError(
                    f"line {line_count + 1}: is missing: {where}, was made for line "
                    f"{seal.seq + 1}, so the record's tail was cut"
                )
            if hashes[seal.seq] != seal.head:
                raise BrokenRecordError(
                    f"line {seal.seq + 1}: is not the line that was sealed ({where})"
                )
        if self._seals:
            self._check_signature(self._seals[-1], plan.sign_key)

    def _check_signature(self, last: Seal, sign_key: str) -> None:
        """Check that the key named in the journal made the signature.

        A seal that was made after the run may be by another key.
        """
        try:
            self._signed_by = ssh_signatures.signed_by(last.signature, last.statement)
        except SignatureError as error:
            raise BrokenRecordError(
                f"line {last.seq + 1}: its seal is not a valid signature: {error}"
            ) from error
        if self._signed_by == sign_key:
            return
        named = sign_key or "none"
        if not last.later:
            raise BrokenRecordError(
                f"line {last.seq + 1}: was sealed with {self._signed_by}, and the journal names "
                f"{named}"
            )
        self._notes.append(f"the later seal is by {self._signed_by}, and the journal names {named}")

    def is_sealed(self, record: Record | None) -> bool:
        """Return True if the last seal is that of `record`."""
        return record is not None and bool(self._seals) and self._seals[-1].seq == record.seq

    def judge(
        self, plan: ev.RunStarted, last: Record | None, allowed_signers: Path | None
    ) -> tuple[bool, str]:
        """Return True if an allowed signer signed the end of a complete record, and the reason.

        Raises:
            BrokenRecordError: a seal is missing, or its signer is not allowed.
        """
        if last is None or not self.is_sealed(last):
            return False, self._why_unsealed(plan, last)
        seal = self._seals[-1]
        when = f", later, at {seal.later}, and not by the run itself" if seal.later else ""
        if allowed_signers is None:
            return False, (
                f"whole, ended and signed with {self._signed_by}{when}; whose key that is was not "
                "checked: give --allowed-signers"
            )
        return True, f"whole, ended and signed by {_signer(seal, last, allowed_signers)}{when}"

    def _why_unsealed(self, plan: ev.RunStarted, last: Record | None) -> str:
        if not plan.sign_key:
            return "whole and ended; it was not to be signed"
        line = last.seq + 1 if last else 0
        raise BrokenRecordError(
            f"line {line}: is not sealed, though signing with {plan.sign_key} was configured: the "
            f"seal was removed, or signing failed. If signing failed, run nbrun seal {plan.run}"
        )


def _signer(seal: Seal, record: Record, allowed_signers: Path) -> str:
    try:
        at = datetime.fromisoformat(seal.later or record.at)
        return ssh_signatures.principal(seal.signature, seal.statement, allowed_signers, at)
    except (SignatureError, ValueError) as error:
        raise BrokenRecordError(
            f"line {record.seq + 1}: was not sealed by an allowed signer: {error}"
        ) from error
