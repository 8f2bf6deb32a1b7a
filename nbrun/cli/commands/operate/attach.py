"""`nbrun attach`: take control of a running or waiting run."""

from pathlib import Path

from nbrun import config
from nbrun.cli.commands import follow
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate import handover
from nbrun.cli.commands.operate.no_supervisor import explain_no_supervisor
from nbrun.cli.commands.operate.start import STDOUT_LOST, has_terminal
from nbrun.core import events as ev
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.journal import own_runs, run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
from nbrun.supervisor.protocol import Purpose
from nbrun.system import standard_streams
from nbrun.views.text.options import DisplayOptions


@reading("the run")
def attach(
    run: str,
    runs_dir: Path | None,
    *,
    take_over: bool,
    since_detach: bool,
    foreign: bool,
    display: DisplayOptions,
) -> ExitCode:
    """Show what has happened, and ask for decisions from here on.

    Raises:
        ForeignRunError: the run is another user's, this is root, and `foreign` was not given.
        UsageError: there is no terminal, or the run has ended or was interrupted.
        RefusedAttachError: another operator is attached.
    """
    if not has_terminal():
        raise UsageError("attach asks questions, and there is no terminal: use nbrun watch")
    standard_streams.continue_without_stdout(STDOUT_LOST)
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    own_runs.require_foreign_option(directory, foreign=foreign)
    show_from = _last_detach(directory) if since_detach else 0
    is_anothers = handover.is_anothers(directory)
    try:
        if is_anothers:
            handover.accept(directory)
        purpose: Purpose = "take_over" if take_over or is_anothers else "operate"
        client = SocketClient(directory, purpose, was_asked=is_anothers)
    except NoSupervisorError as error:
        raise explain_no_supervisor(directory, error) from None
    return follow.operate(directory, client, show_from=show_from, display=display)


def _last_detach(directory: RunDirectory) -> int:
    """Return the number of the record in which an operator last detached, or 0."""
    detached = (
        record.seq
        for record in JournalReader(directory.journal)
        if isinstance(record.event, ev.OperatorDetached)
    )
    return max(detached, default=0)
