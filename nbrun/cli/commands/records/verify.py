"""`nbrun verify`: check that records are complete, unaltered and signed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbrun import config
from nbrun.audit.duplicates import name_duplicates
from nbrun.audit.index_check import IndexStanding, IndexVerification, verify_indexes
from nbrun.audit.verify import Standing, Trust, Verification, verify
from nbrun.cli.commands.console_output import open_console, print_json
from nbrun.errors import ExitCode, RunNotFoundError, UsageError
from nbrun.journal import run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook
from nbrun.views.terminal import verification

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class VerifyOptions:
    """The command line of `nbrun verify`; `nbrun verify --help` describes the options."""

    runs: Sequence[str]
    runs_dir: Path | None = None
    allowed_signers: Path | None = None
    approvers: Path | None = None
    expect_head: str | None = None
    require_seal: bool = False
    require_index: bool = False
    json: bool = False


def show(options: VerifyOptions) -> ExitCode:
    """Verify the records and print the results.

    Raises:
        UsageError: an option is wrong; nothing was verified.
        RunNotFoundError: a name is neither a run nor a folder of runs.
    """
    named = list(_named(options))
    if options.require_index and not any(folder for folder, _ in named):
        raise UsageError("--require-index: name a folder of runs: a single run has no index")
    directories = [directory for _, inside in named for directory in inside]
    trust = _trust(options, directories)
    found = {each: verify(each, trust, notebook.digest) for each in directories}
    results = name_duplicates(directories, [found[each] for each in directories])
    indexes = [
        index
        for folder, inside in named
        if folder is not None
        for index in verify_indexes(folder, inside, [found[each] for each in inside])
    ]
    _print(results, indexes, json=options.json)
    return _exit_code(results, indexes, options)


def _print(
    results: Sequence[Verification], indexes: Sequence[IndexVerification], *, json: bool
) -> None:
    if json:
        for result in (*results, *indexes):
            print_json(result)
        return
    console = open_console()
    console.print(
        verification.one(results[0]) if len(results) == 1 else verification.table(results)
    )
    for index in indexes:
        console.print(verification.index(index))


def _named(options: VerifyOptions) -> Iterator[tuple[Path | None, list[RunDirectory]]]:
    """Yield the run that each name stands for, or the folder with that name and all runs in it."""
    runs_dir = config.runs_dir(options.runs_dir)
    for name in options.runs:
        try:
            yield None, [run_directory.find(runs_dir, name)]
        except RunNotFoundError:
            path = Path(name).absolute()
            if not path.is_dir():
                raise
            yield None if run_directory.is_run_id(path.name) else path, run_directory.runs_at(path)


def _trust(options: VerifyOptions, directories: Sequence[RunDirectory]) -> Trust:
    head = options.expect_head
    if head is not None:
        if not _SHA256.fullmatch(head):
            raise UsageError(f"--expect-head {head}: not a SHA-256 hash (64 characters 0-9, a-f)")
        if len(directories) > 1:
            raise UsageError("--expect-head: the hash is the head of one run: name only that run")
    signers = check_allowed_signers(options.allowed_signers, directories)
    approvers = check_allowed_signers(options.approvers, directories, "--approvers")
    return Trust(allowed_signers=signers, approvers=approvers, head=head)


def check_allowed_signers(
    path: Path | None, directories: Sequence[RunDirectory], option: str = "--allowed-signers"
) -> Path | None:
    """Return `path`, the file of those who may sign, if it can be trusted. `option` named it.

    Raises:
        UsageError: there is no such file, or it lies in the folder of one of the runs.
    """
    if path is None:
        return None
    if not path.is_file():
        raise UsageError(f"{option} {path}: there is no such file")
    for directory in directories:
        if path.resolve().is_relative_to(directory.path.resolve()):
            raise UsageError(
                f"{option} {path}: the file lies in the folder of the run {directory.id}. "
                "Whoever can write the record there can write this file, too: keep it elsewhere"
            )
    return path


def _exit_code(
    results: Sequence[Verification], indexes: Sequence[IndexVerification], options: VerifyOptions
) -> ExitCode:
    """Return the exit code of the worst result."""
    standings = {result.standing for result in results}
    listed = {index.standing for index in indexes}
    if Standing.BROKEN in standings or IndexStanding.BROKEN in listed:
        return ExitCode.ALTERED
    if options.require_seal and Standing.UNSEALED in standings:
        return ExitCode.ALTERED
    if options.require_index and IndexStanding.MISSING in listed:
        return ExitCode.ALTERED
    return ExitCode.WAITING if Standing.OPEN in standings else ExitCode.COMPLETED
