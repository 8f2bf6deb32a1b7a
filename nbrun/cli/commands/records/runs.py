"""`nbrun runs`: list runs, newest first.

The command reads the first and last line of each journal. It reads a whole journal only if the run
has no end.
"""

from pathlib import Path

import msgspec

from nbrun import config
from nbrun.cli.commands.console_output import open_console
from nbrun.errors import ExitCode, JournalError
from nbrun.journal import run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import read_start_and_end
from nbrun.journal.writer import is_locked
from nbrun.views.terminal import runs as view
from nbrun.views.terminal.runs import ListedRun


def show(runs_dir: Path | None, *, json: bool) -> ExitCode:
    """Print the runs: two lines each, or with `json` one JSON object each."""
    parent = config.runs_dir(runs_dir)
    lines = (_summarize(directory) for directory in run_directory.all_runs(parent))
    if json:
        for line in lines:
            print(msgspec.json.encode(line).decode())  # noqa: T201
    else:
        open_console().print(view.listing(list(lines), str(parent)), crop=False)
    return ExitCode.COMPLETED


def _summarize(directory: RunDirectory) -> ListedRun:
    """Summarize a run by the first and last line of its journal."""
    try:
        began, ended = read_start_and_end(directory.journal)
    except (JournalError, OSError) as error:
        return ListedRun(run=directory.id, status=f"unreadable: {error}")
    if began is None:
        return ListedRun(run=directory.id, status="never began")
    line = ListedRun(
        run=directory.id,
        runbook=began.runbook.rpartition("/")[2],
        parameters=began.parameters,
        operator=began.operator.name,
        started=began.at,
        status=ended.outcome if ended else "running",
        off_script=ended.off_script if ended else None,
        duration=ended.duration if ended else None,
    )
    return line if ended else _running_or_interrupted(directory, line)


def _running_or_interrupted(directory: RunDirectory, line: ListedRun) -> ListedRun:
    """Complete the line of a run that has no end."""
    from nbrun.core.reducer import fold
    from nbrun.journal import recovery  # imported here: a list of ended runs needs neither
    from nbrun.system import processes

    try:
        recovery.record_interruption(directory.journal)
        if is_locked(directory.journal):
            return line
        state = fold(record.event for record in JournalReader(directory.journal))
    except (JournalError, OSError) as error:
        return msgspec.structs.replace(line, status=f"unreadable: {error}")
    alive = state.process is not None and processes.is_kernel(state.process)
    return msgspec.structs.replace(line, status="interrupted", kernel_alive=alive)
