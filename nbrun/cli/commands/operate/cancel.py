"""`nbrun cancel`: cancel a run from another terminal, or an interrupted run."""

import select
from pathlib import Path

from nbrun import config
from nbrun.cli.commands.damaged_records import reading
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.errors import ExitCode, NoSupervisorError, RefusedAttachError
from nbrun.journal import own_runs, run_directory, writer
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
from nbrun.views.text.sanitize import plain


@reading("the run")
def cancel(run: str, runs_dir: Path | None, *, reason: str, foreign: bool = False) -> ExitCode:
    """End the run as cancelled: interrupt the running step, and shut down the kernel.

    Raises:
        ForeignRunError: the run is another user's, or this user did not begin it; not with
            `foreign`.
        UsageError: the run has ended already.
        NbrunError: the run's supervisor did not cancel it.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    own_runs.require_foreign_option(directory, foreign=foreign)
    try:
        client = SocketClient(directory, "follow")
    except NoSupervisorError:
        own_runs.require_own(directory, foreign=foreign)
        if writer.is_locked(directory.journal):
            raise
        from nbrun.supervisor.offline_cancel import cancel_interrupted

        cancel_interrupted(directory, reason, foreign=foreign)
        print(plain(f"{directory.id}: cancelled"))  # noqa: T201
        return ExitCode.COMPLETED
    return _cancel_through_supervisor(directory, client, reason)


def _cancel_through_supervisor(
    directory: RunDirectory, client: SocketClient, reason: str
) -> ExitCode:
    """Send the decision to the supervisor, and wait for the end of the run."""
    client.send(decisions.Cancel(reason=reason))
    finished = None
    while not client.closed:
        select.select([client], [], [], 1.0)
        for record in client.receive():
            if isinstance(record.event, ev.RunFinished):
                finished = record.event
            if isinstance(record.event, ev.DecisionRefused) and _is_ours(record.event, client):
                raise RefusedAttachError(f"{directory.id}: {record.event.why}")
    client.close()
    if finished is None and client.refused:
        raise RefusedAttachError(f"{directory.id}: {client.refused}")
    if finished is None:
        why = client.failure.why if client.failure else client.describe_loss()
        raise NoSupervisorError(f"{directory.id}: {why}")
    print(plain(f"{directory.id}: {finished.outcome}"))  # noqa: T201
    return ExitCode.COMPLETED


def _is_ours(refused: ev.DecisionRefused, client: SocketClient) -> bool:
    return refused.decision == "cancel" and refused.operator == client.operator
