"""`nbrun verify`: whether records are what nbrun wrote."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nbrun import config
from nbrun.audit.verify import Standing, Trust, Verification, verify
from nbrun.cli.commands.console_output import screen
from nbrun.errors import ExitCode, RunNotFoundError, UsageError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook
from nbrun.views.terminal import verification

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class VerifyOptions:
    """What was asked for on the command line (see `nbrun verify --help`)."""

    runs: Sequence[str]
    runs_dir: Path | None = None
    allowed_signers: Path | None = None
    expect_head: str | None = None
    require_seal: bool = False
    json: bool = False


def show(options: VerifyOptions) -> ExitCode:
    """Check the records and print what was found.

    Raises:
        UsageError: an option can't be meant so; nothing was checked.
        RunNotFoundError: see its message.
    """
    directories = list(_directories(options))
    trust = _trust(options, directories)
    found = [verify(directory, trust, notebook.digest) for directory in directories]
    if options.json:
        for each in found:
            print(msgspec.json.encode(each).decode())  # noqa: T201
    elif len(found) == 1:
        screen().print(verification.one(found[0]))
    else:
        screen().print(verification.table(found))
    return _exit_code(found, require_seal=options.require_seal)


def _directories(options: VerifyOptions) -> Iterator[RunDirectory]:
    """The runs that are meant, those of a folder of runs each."""
    parent = config.runs_dir(options.runs_dir)
    for called in options.runs:
        try:
            yield run_directory.find(parent, called)
        except RunNotFoundError:
            path = Path(called)
            if not path.is_dir():
                raise
            yield from run_directory.folders(path.absolute())


def _trust(options: VerifyOptions, directories: Sequence[RunDirectory]) -> Trust:
    head = options.expect_head
    if head is not None:
        if not _SHA256.fullmatch(head):
            raise UsageError(f"--expect-head {head}: is no SHA-256 (64 characters 0-9, a-f)")
        if len(directories) > 1:
            raise UsageError("--expect-head: is the head of one run; name that run alone")
    signers = allowed_signers(options.allowed_signers, directories)
    return Trust(allowed_signers=signers, head=head)


def allowed_signers(signers: Path | None, directories: Sequence[RunDirectory]) -> Path | None:
    """The file of those who may sign, which lies in none of the runs' folders.

    Raises:
        UsageError: it is not there, or lies where nobody can trust it.
    """
    if signers is None:
        return None
    if not signers.is_file():
        raise UsageError(f"--allowed-signers {signers}: there is no such file")
    for directory in directories:
        if signers.resolve().is_relative_to(directory.path.resolve()):
            raise UsageError(
                f"--allowed-signers {signers}: lies in the folder of the run {directory.id}, where "
                "whoever can write the record can write it too; keep it elsewhere"
            )
    return signers


def _exit_code(found: Sequence[Verification], *, require_seal: bool) -> ExitCode:
    """The worst of them."""
    standings = {each.standing for each in found}
    if Standing.BROKEN in standings or (require_seal and Standing.UNSEALED in standings):
        return ExitCode.ALTERED
    return ExitCode.WAITING if Standing.OPEN in standings else ExitCode.COMPLETED
