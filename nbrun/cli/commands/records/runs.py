"""`nbrun runs`: the runs there are, newest first, from the first and last line of each journal."""

from pathlib import Path

import msgspec

from nbrun import config
from nbrun.cli.commands.console_output import screen
from nbrun.errors import ExitCode, JournalError
from nbrun.journal import run_directory
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import glance
from nbrun.journal.writer import is_locked
from nbrun.views.terminal import runs as view
from nbrun.views.terminal.runs import RunLine


def show(runs_dir: Path | None, *, json: bool) -> ExitCode:
    """Print the runs, two lines each, or one JSON object a line."""
    parent = config.runs_dir(runs_dir)
    lines = (_line(directory) for directory in run_directory.all_runs(parent))
    if json:
        for line in lines:
            print(msgspec.json.encode(line).decode())  # noqa: T201
    else:
        screen().print(view.listing(list(lines), str(parent)), crop=False)
    return ExitCode.COMPLETED


def _without_an_end(directory: RunDirectory, line: RunLine) -> RunLine:
    from nbrun.core.reducer import fold
    from nbrun.journal import recovery  # which a list of ended runs doesn't wait for
    from nbrun.system import processes

    try:
        recovery.note_interruption(directory.journal)
        if is_locked(directory.journal):
            return line
        state = fold(record.event for record in Reading(directory.journal))
    except (JournalError, OSError) as error:
        return msgspec.structs.replace(line, status=f"unreadable: {error}")
    alive = state.process is not None and processes.is_kernel(state.process)
    return msgspec.structs.replace(line, status="interrupted", kernel_alive=alive)


def _line(directory: RunDirectory) -> RunLine:
    """What the head and the tail of the journal say."""
    try:
        began, ended = glance(directory.journal)
    except (JournalError, OSError) as error:
        return RunLine(run=directory.id, status=f"unreadable: {error}")
    if began is None:
        return RunLine(run=directory.id, status="never began")
    line = RunLine(
        run=directory.id,
        runbook=began.runbook.rpartition("/")[2],
        parameters=began.parameters,
        operator=began.operator.name,
        started=began.at,
        status=ended.outcome if ended else "running",
        off_script=ended.off_script if ended else None,
        duration=ended.duration if ended else None,
    )
    return line if ended else _without_an_end(directory, line)
