"""`nbrun seal`: sign the record of a run that has ended."""

from datetime import UTC, datetime
from pathlib import Path

from nbrun import config
from nbrun.audit import seals, ssh_signatures
from nbrun.audit.verify import VerifiedEnd, verified_end
from nbrun.errors import JournalError, UsageError
from nbrun.journal import run_directory
from nbrun.views.export import notebook


def seal(run: str, runs_dir: Path | None, sign: Path | None) -> str:
    """Sign the end of the record of `run`, and return a line that says so.

    The key is `sign`, else the key that the run was configured to sign with, else `sign_key` of
    nbrun.toml. An existing seal is left alone.

    Raises:
        UsageError: the run has not ended, or there is no key.
        DamagedJournalError: the record is damaged or was altered.
        SignatureError: signing failed.
        JournalError: the seal can't be written.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
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
    configured = found.started.policy.sign
    key = sign or (Path(configured) if configured else None)
    key = key or config.load_for(Path(found.started.runbook)).sign_key
    if key is None:
        raise UsageError("there is no key to sign with: name one with --sign")
    return key.expanduser().absolute()
