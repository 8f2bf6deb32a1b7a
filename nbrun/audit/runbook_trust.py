"""Check a runbook's bytes against the rules of `[runbooks]` in nbrun.toml."""

import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nbrun.audit import ssh_signatures
from nbrun.core.model import RunbookProof
from nbrun.errors import RepositoryError, RunbookError, SignatureError
from nbrun.runbook import loader
from nbrun.runbook.trust import repository
from nbrun.runbook.trust.rules import CommittedRule, RunbookRule, SignedRule
from nbrun.system.files import open_regular
from nbrun.system.ownership import replacement_fault

if TYPE_CHECKING:
    from nbrun.runbook.lint import Finding

NAMESPACE = "nbrun-runbook"  # signatures made for other purposes are not valid for runbooks
SUFFIX = ".sig"  # as `ssh-keygen -Y sign` names the signature of a file
_LARGEST = 2**16  # bytes of a signature


def prove(path: Path, data: bytes, rules: Iterable[RunbookRule]) -> tuple[RunbookProof, ...]:
    """Return how the runbook at `path`, whose bytes are `data`, satisfies each of `rules`.

    Raises:
        RunbookError: it does not satisfy one. The message names the file, the rule, the settings
            that have it, and the remedy.
    """
    return tuple(_proof(path, data, rule) for rule in rules)


def findings(path: Path, rules: Iterable[RunbookRule]) -> "list[Finding]":
    """Return a finding for each rule that the runbook at `path` does not satisfy."""
    from nbrun.runbook.lint import Finding  # the start of a run needs no linter

    try:
        data = loader.read_bytes(path)
    except RunbookError:
        return []  # the linter has said so
    found = []
    for rule in rules:
        try:
            prove(path.absolute(), data, (rule,))
        except RunbookError as error:
            message = str(error).removeprefix(str(path.resolve())).lstrip(":, ")
            found.append(Finding(str(path), None, None, "error", "trust", message))
    return found


def _proof(path: Path, data: bytes, rule: RunbookRule) -> RunbookProof:
    path = path.resolve()  # the signature and the repository are those of the file itself
    if isinstance(rule, SignedRule):
        return _signed(path, data, rule)
    return _committed(path, data, rule)


# ── require_signed ───────────────────────────────────────────────────────────────────────────────


def _signed(path: Path, data: bytes, rule: SignedRule) -> RunbookProof:
    signers = _signers(path, rule)
    signature = _signature(path, rule)
    try:
        key = ssh_signatures.signed_by(signature, data, NAMESPACE)
    except SignatureError as error:
        raise _not_signed(
            path,
            rule,
            f"{path.name}{SUFFIX} is not a signature of this content, or not one for runbooks "
            f"({error}). Read what changed. {_how_to_sign(path)}",
        ) from None
    try:
        signer = ssh_signatures.principal(signature, data, signers, datetime.now(UTC), NAMESPACE)
    except SignatureError as error:
        raise _not_signed(
            path,
            rule,
            f"the key {key} signed it, which {signers} does not allow ({error}). Have somebody "
            f"sign it whom that file lists. {_how_to_sign(path)}",
        ) from None
    return RunbookProof(
        rule="require_signed",
        settings=str(rule.settings),
        against=str(signers),
        signer=signer,
        key=key,
    )


def _signers(path: Path, rule: SignedRule) -> Path:
    """Return the file of allowed signers, which nobody may write who can't write the settings.

    Whoever owns the settings could remove the rule, so trust need not go further than that account.
    """
    signers = rule.signers.resolve()
    try:
        owner = rule.settings.resolve().stat().st_uid
        with open_regular(signers):
            pass
    except OSError as error:
        why = f"its file of allowed signers can't be read: {signers}: {error.strerror}"
        raise _not_signed(path, rule, why) from None
    fault = replacement_fault(signers, {owner})
    if fault:
        why = f"its file of allowed signers, {signers}, is not used: {fault}"
        raise _not_signed(path, rule, why)
    return signers


def _signature(path: Path, rule: SignedRule) -> str:
    beside = path.with_name(path.name + SUFFIX)
    try:
        with open_regular(beside) as file:
            return file.read(_LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        why = f"there is no {beside.name} beside it. {_how_to_sign(path)}"
    except OSError as error:
        why = f"{beside} can't be read: {error.strerror}"
    raise _not_signed(path, rule, why)


def _how_to_sign(path: Path) -> str:
    return f"To sign: ssh-keygen -Y sign -n {NAMESPACE} -f KEY {shlex.quote(str(path))}"


def _not_signed(path: Path, rule: SignedRule, why: str) -> RunbookError:
    return RunbookError(f"{path}: {rule.settings} has [runbooks] require_signed, and {why}")


# ── require_commit_on ────────────────────────────────────────────────────────────────────────────


def _committed(path: Path, data: bytes, rule: CommittedRule) -> RunbookProof:
    try:
        commit = repository.commit_with(path, data, rule.branch)
    except RepositoryError as error:
        raise RunbookError(
            f"{path}: {rule.settings} has [runbooks] require_commit_on {rule.branch!r}, and "
            f"{error}. To see what differs: {_how_to_compare(path, rule)}"
        ) from None
    return RunbookProof(
        rule="require_commit_on",
        settings=str(rule.settings),
        against=rule.branch,
        commit=commit,
    )


def _how_to_compare(path: Path, rule: CommittedRule) -> str:
    return shlex.join(["git", "-C", str(path.parent), "diff", rule.branch, "--", path.name])
