"""Execute papermill's notebook in a supervisor, as `nbrun start` does, and follow the run."""

import select
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from papermill.exceptions import PapermillException
from papermill.log import logger

from nbrun.core import decisions
from nbrun.core.state import RunState
from nbrun.errors import NbrunError, NoSupervisorError
from nbrun.integrations.papermill_engine.cell_map import CellMap, has_nothing_to_run, own_cells
from nbrun.integrations.papermill_engine.managed_cells import ManagedCells
from nbrun.integrations.papermill_engine.output_log import OutputLog
from nbrun.integrations.papermill_engine.request import request_for
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import JournalClient, SocketClient
from nbrun.supervisor.spawn import SupervisorProcess, spawn

_PATIENCE = 1.0  # seconds between two looks at the record


def execute(nb_man: Any, kernel_name: str, log: OutputLog, options: Mapping[str, Any]) -> None:
    """Run the notebook of `nb_man`, and write what happens into it.

    Raises:
        PapermillException: nothing was run, or no cell is the cause of the run's end.
    """
    if has_nothing_to_run(own_cells(nb_man.nb.cells)):
        logger.warning("nbrun runs nothing and keeps no record: no code cell has any source")
        ManagedCells(nb_man, CellMap({}, None), log, kernel_name).pass_all()
        return
    supervisor = spawn()
    try:
        request, cells = request_for(nb_man.nb, kernel_name, options)
        supervisor.send(request)
        directory = supervisor.wait_until_started()
    except NbrunError as error:
        raise PapermillException(f"nbrun: {error}") from error
    finally:
        if not supervisor.has_started:
            _abandon(supervisor)
    logger.info(f"nbrun records the run in {directory.path}")
    nb_man.nb.metadata.papermill["nbrun"] = {"run": directory.id, "record": str(directory.path)}
    view = ManagedCells(nb_man, cells, log, kernel_name)
    try:
        _follow(directory, view)
    finally:
        supervisor.release()
    view.raise_unless_a_cell_failed()


def _abandon(supervisor: SupervisorProcess) -> None:
    """End a supervisor that has begun no run: it exits when its stdin is closed."""
    supervisor.release()
    if supervisor.process.stdout is not None:
        supervisor.process.stdout.close()


def _follow(directory: RunDirectory, view: ManagedCells) -> None:
    """Hand the run's records to `view` until the run has ended.

    An exception here, such as Ctrl-C or Airflow's for SIGTERM, cancels the run.

    Raises:
        PapermillException: the supervisor ended before the run did.
    """
    client: SocketClient | JournalClient
    try:
        client = SocketClient(directory, "follow")
    except NoSupervisorError:  # the run has ended already
        client = JournalClient(directory.journal)
    try:
        _receive_all(client, view)
    except BaseException as error:
        client.send(decisions.Cancel(reason=f"papermill was ended: {type(error).__name__}"))
        with suppress(Exception):  # `view` may be the cause. The first error is the one to raise
            _receive_all(client, view)
        raise
    finally:
        client.close()
    if view.state.finished is None:
        raise PapermillException(_lost(directory, client, view.state))


def _receive_all(client: SocketClient | JournalClient, view: ManagedCells) -> None:
    while not client.closed:
        select.select([client], [], [], _PATIENCE)
        view.take(client.receive())


def _lost(directory: RunDirectory, client: SocketClient | JournalClient, state: RunState) -> str:
    """Return why the record has no end, and what is known of the run."""
    running = f"; nobody saw step {state.attempt.step} end" if state.attempt else ""
    why = "the run's supervisor is gone"
    if isinstance(client, SocketClient):
        why = client.failure.why if client.failure else client.refused or client.describe_loss()
    return f"nbrun: {why}{running}. To continue the run: nbrun resume {directory.id}"
