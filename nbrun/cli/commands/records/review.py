"""`nbrun review`: summarize the runs of one runbook."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec

from nbrun import config
from nbrun.cli.commands.console_output import open_console, print_json
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.error_output import print_error
from nbrun.core import addresses
from nbrun.core.events import Record
from nbrun.core.run_statistics import advice, review_runs
from nbrun.errors import ExitCode, NbrunError, RunNotFoundError
from nbrun.journal import history, recovery
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.terminal import review as view
from nbrun.views.text.options import DisplayOptions


@dataclass(frozen=True)
class ReviewOptions:
    """The command line of `nbrun review`; `nbrun review --help` describes the options."""

    runbook: str
    runs_dir: Path | None = None
    newest: int | None = None
    diffs: bool = False
    json: bool = False
    display: DisplayOptions = field(default_factory=DisplayOptions)


def show(options: ReviewOptions) -> ExitCode:
    """Print the review. A run whose journal is damaged is named on stderr and left out.

    Raises:
        RunNotFoundError: there is no run of the runbook.
    """
    runs_dir = config.runs_dir(options.runs_dir)
    named = options.runbook
    runbook = (
        addresses.without_credentials(named)
        if addresses.is_address(named)
        else str(Path(named).absolute())
    )
    runs = islice(history.runs_of(runs_dir, runbook), options.newest)
    summary = review_runs(records for directory in runs if (records := _records(directory)))
    if not summary.runs:
        raise RunNotFoundError(f"{runs_dir}: holds no run of {runbook}")
    if options.json:
        data = msgspec.to_builtins(summary)
        for step, statistics in zip(data["steps"], summary.steps, strict=True):
            step["advice"] = advice(statistics)
        print_json(data | {"runbook": runbook})
    else:
        rendered = view.renderable(summary, runbook, diffs=options.diffs)
        open_console(options.display).print(rendered)
    return ExitCode.COMPLETED


def _records(directory: RunDirectory) -> list[Record]:
    """Return the records of one run. If they can't be read, print why and return none."""
    try:
        with reading(directory.id):
            recovery.record_interruption(directory.journal)
            records = list(JournalReader(directory.journal))
            # Alone, and to the end: one forged record must not end the review of all.
            view.renderable(review_runs([records]), "", diffs=True)
    except (NbrunError, OSError) as error:
        print_error(f"left out: {error}")
        return []
    return records
