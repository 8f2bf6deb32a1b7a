"""`nbrun runs`: list runs, newest first.

The command reads the first and last line of each journal. It reads a whole journal only if the run
has no end, and may wait for a person.
"""

from pathlib import Path

import msgspec

from nbrun import config
from nbrun.cli.commands.console_output import open_console, print_json
from nbrun.cli.commands.damaged_records import reading
from nbrun.core import events as ev
from nbrun.errors import ExitCode, NbrunError
from nbrun.journal import own_runs, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.summary import ends_with_output, read_start_and_end
from nbrun.journal.writer import is_locked
from nbrun.views.terminal import runs as view
from nbrun.views.terminal.runs import ListedRun, WaitingRun


def show(runs_dir: Path | None, *, json: bool, waiting: bool = False) -> ExitCode:
    """Print the runs: two lines each, or with `json` one JSON object each.

    With `waiting`, print only the runs that wait for a person.
    """
    parent = config.runs_dir(runs_dir)
    lines = (_summarize(directory) for directory in run_directory.all_runs(parent))
    if waiting:
        lines = (line for line in lines if line.waiting)
    if json:
        for line in lines:
            print_json(line)
    else:
        open_console().print(view.listing(list(lines), str(parent), waiting=waiting), crop=False)
    return ExitCode.COMPLETED


def _summarize(directory: RunDirectory) -> ListedRun:
    """Summarize a run. A record that can't be summarized has its own line, and hides no other."""
    try:
        with reading(directory.id):
            line = _read(directory)
            view.texts(line)  # what a forged record says may have no words
            return line
    except (NbrunError, OSError) as error:
        owner = own_runs.owner_of(directory)
        return ListedRun(run=directory.id, owner=owner, status=f"unreadable: {error}")


def _read(directory: RunDirectory) -> ListedRun:
    """Summarize a run by the first and last line of its journal."""
    began, ended = read_start_and_end(directory.journal)
    if began is None:
        return ListedRun(run=directory.id, status="never began")
    line = ListedRun(
        run=directory.id,
        owner=own_runs.owner_of(directory),
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
    from nbrun.journal import recovery  # imported here: a list of ended runs does not need it

    try:
        recovery.record_interruption(directory.journal)
        if is_locked(directory.journal):
            return _running_or_waiting(directory, line)
        return _interrupted(directory, line)
    except (NbrunError, OSError) as error:
        return msgspec.structs.replace(line, status=f"unreadable: {error}")


def _running_or_waiting(directory: RunDirectory, line: ListedRun) -> ListedRun:
    from nbrun.core.reducer import apply
    from nbrun.core.state import RunState
    from nbrun.views.text import waiting

    if ends_with_output(directory.journal):
        return line
    state, since = RunState(), ""
    for record in JournalReader(directory.journal):
        if not isinstance(record.event, ev.Output):  # most lines, and they change nothing here
            apply(state, record.event)
        if isinstance(record.event, ev.Stopped | ev.InputRequested):
            since = record.at
    found = waiting.place_and_reason(state)
    if found is None:
        return line
    place, reason = found
    told = WaitingRun(place=place, reason=reason, since=since, waits_for=waiting.for_whom(state))
    return msgspec.structs.replace(line, status="waiting", waiting=told)


def _interrupted(directory: RunDirectory, line: ListedRun) -> ListedRun:
    from nbrun.core.reducer import fold
    from nbrun.system import processes

    if line.owner:  # what another user's record says of processes may be anything
        return msgspec.structs.replace(line, status="interrupted")
    state = fold(record.event for record in JournalReader(directory.journal))
    alive = state.process is not None and processes.is_kernel(state.process)
    return msgspec.structs.replace(line, status="interrupted", kernel_alive=alive)
