"""Signatures of approvals that were given elsewhere: made, checked when handed in, and verified.

`[approvers]` of nbrun.toml names a file of allowed signers (ssh-keygen(1)) for each group.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from nbrun.audit import ssh_signatures
from nbrun.core import approval
from nbrun.core import events as ev
from nbrun.core.approval import Signer
from nbrun.core.approval_request import Statement, read_statement, request_for
from nbrun.core.events import Record
from nbrun.core.model import ApprovalSignature, ApproverFile
from nbrun.core.state import RunState
from nbrun.errors import BrokenRecordError, SignatureError, UsageError
from nbrun.system import provenance
from nbrun.system.files import open_regular
from nbrun.system.ownership import replacement_fault

NAMESPACE = "nbrun-approval"  # signatures made for other purposes approve nothing
_LARGEST = 2**22  # bytes of a file of allowed signers


def sign(statement: Statement, key: Path | None) -> str:
    """Sign a statement with `key`, or with the only key of the agent.

    Raises:
        SignatureError: the key can't sign, or the agent does not have exactly one.
    """
    message = statement.text().encode()
    if key is not None:
        return ssh_signatures.sign(key, message, NAMESPACE)
    return ssh_signatures.sign_with_agent(message, NAMESPACE)


def check_files(files: Mapping[str, ApproverFile]) -> None:
    """Check that the files of `[approvers]` can be used.

    Raises:
        UsageError: one can't. The message names the file, the setting and the remedy.
    """
    for group, file in files.items():
        try:
            _content(file)
        except SignatureError as error:
            raise UsageError(f"{file.settings}: [approvers] {group}: {error}") from None


def check(
    files: Mapping[str, ApproverFile],
    group: str,
    statement: Statement,
    signature: str,
    at: datetime,
) -> Signer:
    """Return who signed `statement`: a member of `group` by their key, of any group if it is empty.

    `at`: the current time, for keys that are valid for some time only.

    Raises:
        SignatureError: the signature is none of this statement, or the key is not listed.
    """
    message = statement.text().encode()
    key = _signing_key(signature, message)
    listed = {group: files[group]} if group in files else {} if group else dict(files)
    if not listed:
        raise SignatureError(
            f"foreign: nbrun.toml names no keys for {group or 'any group'}: add [approvers] to it, "
            "and start the run again, or approve from an account of this machine"
        )
    for file in listed.values():
        content = _content(file)
        names = _names(content, signature, message, at)
        if names:
            return Signer(
                key=key,
                names=names,
                uids=tuple(sorted(set(_uids(names)))),
                approvers=file.path,
                approvers_sha256=hashlib.sha256(content).hexdigest(),
            )
    paths = ", ".join(file.path for file in listed.values())
    raise SignatureError(
        f"foreign: {paths} does not list the key {key} for approvals of {group or 'any group'}: "
        "have somebody sign whom it lists"
    )


def _signing_key(signature: str, message: bytes) -> str:
    try:
        return ssh_signatures.signed_by(signature, message, NAMESPACE)
    except SignatureError as error:
        if "namespace" in str(error):
            raise SignatureError(
                f"foreign: the signature was made for another purpose than {NAMESPACE} ({error}): "
                "sign with nbrun approve --offline"
            ) from None
        raise SignatureError(
            "not what was signed: what waits differs from what the approver was shown, or the text "
            f"was damaged on the way ({error}): ask again with nbrun approve --request"
        ) from None


def _content(file: ApproverFile) -> bytes:
    """Return a file of allowed signers, which nobody may write who can't write the settings.

    Raises:
        SignatureError: it can't be read, or somebody else can change it.
    """
    path = Path(file.path).resolve()
    try:
        owner = Path(file.settings).resolve().stat().st_uid
        with open_regular(path) as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise SignatureError(f"{path} can't be read: {error.strerror}") from None
    fault = replacement_fault(path, {owner})
    if fault or len(content) > _LARGEST:
        raise SignatureError(f"{path} is not used: {fault or 'it is too large'}")
    return content


def _names(content: bytes, signature: str, message: bytes, at: datetime) -> tuple[str, ...]:
    """Return the names of the key that signed, by a file of allowed signers; none if not listed."""
    with ssh_signatures.temporary_file(content) as allowed:
        try:
            first = ssh_signatures.principal(signature, message, allowed, at, NAMESPACE)
        except SignatureError:
            return ()
        others = ssh_signatures.principals(signature, allowed, at)
    return tuple(dict.fromkeys((first, *others)))


def _uids(names: tuple[str, ...]) -> list[int]:
    """Return the accounts that names stand for: of `bob@example.com`, also that of `bob`."""
    asked = [*names, *(name.partition("@")[0] for name in names)]
    return [uid for name in asked if (uid := provenance.uid_of(name)) is not None]


# ── records ──────────────────────────────────────────────────────────────────────────────────


class ApprovalCheck:
    """The check of the signed approvals of one record, in order.

    `allowed`: a file of the keys that may approve; None if it is not at hand.
    """

    def __init__(self, allowed: Path | None) -> None:
        self._allowed = allowed
        self._unjudged = 0

    def check(self, state: RunState, record: Record) -> None:
        """Check the event of `record`, if it is a signed approval. `state` is that before it.

        Raises:
            BrokenRecordError: the signature is not one of what was approved there.
        """
        event = record.event
        if not isinstance(event, ev.ApprovalGranted) or event.signed is None:
            return
        fault = _fault(state, event, event.signed) or self._signer_fault(event.signed, record.at)
        if fault:
            raise BrokenRecordError(f"line {record.seq + 1}: the signed approval {fault}")

    def _signer_fault(self, signed: ApprovalSignature, at: str) -> str:
        if self._allowed is None:
            self._unjudged += 1
            return ""
        message, moment = signed.statement.encode(), datetime.fromisoformat(at)
        try:
            ssh_signatures.principal(signed.signature, message, self._allowed, moment, NAMESPACE)
        except SignatureError as error:
            return f"was not signed by one of the approvers: {error}"
        return ""

    def notes(self) -> list[str]:
        """Return what could not be judged."""
        if not self._unjudged:
            return []
        return [
            f"{self._unjudged} approvals are signed, each by the key that the record names; whose "
            "keys those are was not checked: give --approvers"
        ]


def _fault(state: RunState, event: ev.ApprovalGranted, signed: ApprovalSignature) -> str:
    """Return in what way a signed approval is not one of what waited in `state`."""
    try:
        key = ssh_signatures.signed_by(signed.signature, signed.statement.encode(), NAMESPACE)
        request = read_statement(signed.statement).request
    except (SignatureError, ValueError) as error:
        return f"is not a valid signature: {error}"
    pending = approval.pending_approval(state)
    if key != signed.key:
        return f"is by {key}, and the record names {signed.key}"
    if (request.group, request.count) != (event.group, pending.rule.count if pending else 0):
        return "was given under another rule"
    if read_statement(signed.statement).reason != event.reason:
        return "has another reason than the signed one"
    if pending is None or event.binding != pending.binding or request.binding != pending.binding:
        return "is of something else than what waited there"
    if request != request_for(state, pending, request.issued, request.expires):
        return "was given for another occasion, or of something that was shown otherwise"
    return ""
