"""`nbrun seal`: sign the record of a run that has ended."""

from datetime import UTC, datetime
from pathlib import Path

from nbrun import config
from nbrun.audit import seals, ssh_signatures
from nbrun.audit.verify import VerifiedEnd, verified_end
from nbrun.errors import JournalError, UsageError
from nbrun.journal import own_runs, run_directory
from nbrun.views.export import notebook


def seal(run: str, runs_dir: Path | None, sign: Path | None, *, foreign: bool = False) -> str:
    """Sign the end of the record of `run`, and return a line that says so.

    The key is `sign`, else `sign_key` of nbrun.toml. The key that the record names has no say: with
    it, a record that anybody made would be signed. An existing seal is left alone.

    Raises:
        ForeignRunError: the run is another user's, and `foreign` was not given.
        UsageError: the run has not ended, or there is no key.
        DamagedJournalError: the record is damaged or was altered.
        SignatureError: signing failed.
        JournalError: the seal can't be written.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    own_runs.require_own(directory, foreign=foreign)
    found = verified_end(directory, notebook.digest)
    if found.is_sealed:
        return f"{directory.id} is sealed already"
    key = _key(found, sign)
    made = seals.make(key, found.started.run, found.record, later=datetime.now(UTC))
    try:
        seals.append(directory.seals, made)
    except OSError as error:
        raise JournalError(f"{directory.seals}: can't write the seal: {error.strerror}") from error
    by = ssh_signatures.fingerprint(key)
    return f"{directory.id} was sealed later, at {made.later}, with {by}, up to its end {made.head}"


def _key(found: VerifiedEnd, sign: Path | None) -> Path:
    started = found.started
    key = sign or config.signing_key(started.runbook, Path(started.cwd))
    if key is None:
        raise UsageError(
            "there is no key to sign with: name one with --sign"
            + (f". The record says {started.policy.sign}" if started.policy.sign else "")
        )
    key = key.expanduser().absolute()
    if sign is None and started.policy.sign and started.policy.sign != str(key):
        raise UsageError(
            f"the record was to be signed with {started.policy.sign}, and sign_key in nbrun.toml "
            f"is {key}: name one of them with --sign"
        )
    return key
