"""`nbrun review`: what the runs of a runbook tell of it."""

import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from nbrun import config
from nbrun.cli.commands.console_output import screen
from nbrun.core.events import Record
from nbrun.core.run_statistics import advice, review_runs
from nbrun.errors import ExitCode, JournalError, RunNotFoundError
from nbrun.journal import history, recovery
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.terminal import review as view
from nbrun.views.text.options import DisplayOptions


@dataclass(frozen=True)
class ReviewOptions:
    """What was asked for on the command line (see `nbrun review --help`)."""

    runbook: Path
    runs_dir: Path | None = None
    newest: int | None = None
    diffs: bool = False
    json: bool = False
    display: DisplayOptions = field(default_factory=DisplayOptions)


def show(options: ReviewOptions) -> ExitCode:
    """Print the review. A run whose journal is damaged is named, and left out.

    Raises:
        RunNotFoundError: there is no run of it.
    """
    parent = config.runs_dir(options.runs_dir)
    runbook = str(options.runbook.absolute())
    found = islice(history.runs_of(parent, runbook), options.newest)
    made = review_runs(records for directory in found if (records := _records(directory)))
    if not made.runs:
        raise RunNotFoundError(f"{parent}: holds no run of {runbook}")
    if options.json:
        told = msgspec.to_builtins(made)
        for step, each in zip(told["steps"], made.steps, strict=True):
            step["advice"] = advice(each)
        print(msgspec.json.encode(told | {"runbook": runbook}).decode())  # noqa: T201
    else:
        screen(options.display).print(view.renderable(made, runbook, diffs=options.diffs))
    return ExitCode.COMPLETED


def _records(directory: RunDirectory) -> list[Record]:
    """Those of one run; none, and a line that says why, where they can't be read."""
    try:
        recovery.note_interruption(directory.journal)
        return list(Reading(directory.journal))
    except (JournalError, OSError) as error:
        sys.stderr.write(f"nbrun: left out: {error}\n")
        return []
