"""`nbrun export`: write a notebook, report, summary or recording of a run from its journal."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nbrun import config
from nbrun.audit.verify import Standing, Trust, verified_end, verify
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.records.verify import check_allowed_signers
from nbrun.cli.error_output import print_error
from nbrun.errors import DamagedJournalError, ExitCode, JournalError, UsageError
from nbrun.journal import recovery, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import open_regular
from nbrun.views.export import notebook

ExportFormat = Literal["notebook", "html", "markdown", "cast", "attestation"]

_SUFFIXES: dict[ExportFormat, str] = {
    "notebook": ".ipynb",
    "html": ".html",
    "markdown": ".md",
    "cast": ".cast",
    "attestation": ".intoto.json",
}


@reading("the run")
def export(
    run: str,
    format_: ExportFormat,
    path: Path | None,
    runs_dir: Path | None,
    allowed_signers: Path | None = None,
    sign: Path | None = None,
) -> tuple[ExitCode, Path]:
    """Write `run` in that format to `path`, by default into the run's folder.

    `allowed_signers` is for the formats that state whether the record verifies, html and markdown.
    `sign` is the key that signs an attestation, by default that of the settings.

    Returns:
        ALTERED if the written file says that the record is broken, else COMPLETED; and the path.

    Raises:
        UsageError: `path` can't be written or is a folder; `allowed_signers` or `sign` can't be
            used; or the run to attest has not ended.
        SignatureError: signing failed.
        RunNotFoundError: no run, or more than one, has that name.
        DamagedJournalError: the journal is damaged.
        JournalError: the journal is empty.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.record_interruption(directory.journal)
    default = directory.notebook(_runbook_path(directory.journal)).with_suffix(_SUFFIXES[format_])
    fault = "" if path else directory.owner_fault()
    if fault:
        raise UsageError(f"{fault}: name the file to write, outside the run's folder")
    target = path or default
    if sign is not None and format_ != "attestation":
        raise UsageError(f"--sign: --{format_} is not signed")
    try:
        content, code = _build(format_, directory, allowed_signers, sign)
        if target.is_dir():
            raise UsageError(f"{target}: is a folder: name a file")
        notebook.save(target.absolute(), content)
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return code, target


def _build(
    format_: ExportFormat,
    directory: RunDirectory,
    allowed_signers: Path | None,
    sign: Path | None,
) -> tuple[Iterable[bytes], ExitCode]:
    """Return the file's content, in parts, and the exit code."""
    if format_ in ("html", "markdown"):
        return _build_verified(format_, directory, allowed_signers)
    if allowed_signers is not None:
        raise UsageError(f"--allowed-signers: --{format_} says nothing about signatures")
    if format_ == "attestation":
        return (_attestation(directory, sign),), ExitCode.COMPLETED
    records = JournalReader(directory.journal)
    if format_ == "cast":
        from nbrun.views.terminal import asciicast

        return (asciicast.build(records),), ExitCode.COMPLETED
    return notebook.chunks(records), ExitCode.COMPLETED


def _attestation(directory: RunDirectory, sign: Path | None) -> bytes:
    """Verify the record, and return a statement about it: in a signed envelope if there is a key.

    To sign is to vouch for the record, so it has to be one that nobody else can write.
    """
    from nbrun.audit import dsse
    from nbrun.views.export import attestation

    digest = _sha256(directory.journal)
    end = verified_end(directory, notebook.digest, "attested")
    name = directory.notebook(end.started.runbook).name
    payload = attestation.statement(JournalReader(directory.journal), digest, name)
    if _sha256(directory.journal) != digest:
        raise DamagedJournalError(f"{directory.journal}: changed while it was read")
    key = sign or config.signing_key(end.started.runbook, Path(end.started.cwd))
    fault = directory.owner_fault() if key else "name a key with --sign, or set sign_key"
    if key is None or (fault and sign is None):
        print_error(f"the statement is not signed: {fault}")
        return payload + b"\n"
    if fault:
        raise UsageError(f"{directory.id}: is not your own run, and so is not signed: {fault}")
    return dsse.signed(payload, attestation.PAYLOAD_TYPE, key.expanduser().absolute())


def _sha256(journal: Path) -> str:
    with open_regular(journal) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build_verified(
    format_: ExportFormat, directory: RunDirectory, allowed_signers: Path | None
) -> tuple[Iterable[bytes], ExitCode]:
    """Verify the record, and build a report or summary that states the result."""
    from nbrun.views.export import report, ticket

    trusted = check_allowed_signers(allowed_signers, [directory])
    verification = verify(directory, Trust(allowed_signers=trusted), notebook.digest)
    build = report.build if format_ == "html" else ticket.build
    is_broken = verification.standing is Standing.BROKEN
    code = ExitCode.ALTERED if is_broken else ExitCode.COMPLETED
    return (build(JournalReader(directory.journal), verification),), code


def _runbook_path(journal: Path) -> str:
    for record in JournalReader(journal):
        return str(getattr(record.event, "runbook", ""))
    raise JournalError(f"{journal}: the journal is empty: nbrun ended before the run began")
