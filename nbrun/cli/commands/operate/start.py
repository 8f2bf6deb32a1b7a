"""`nbrun start`: run a notebook as a runbook, in a supervisor of its own."""

import sys

import msgspec

from nbrun.cli.commands.gather_parameters import Wanted, gather
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.supervisor.requests import StartRequest
from nbrun.supervisor.spawn import SupervisorProcess
from nbrun.views.text.options import DisplayOptions


def start(
    request: StartRequest,
    wanted: Wanted,
    supervisor: SupervisorProcess,
    *,
    json: bool,
    detach: bool,
    display: DisplayOptions,
) -> ExitCode:
    """Have the supervisor check everything and run. What shows the run is imported meanwhile.

    What needs this terminal comes first: secrets are fetched, and missing parameters asked for.

    Raises:
        UsageError: a parameter is refused, or missing.
        DeclinedError: something is wrong with the request; nothing was made or run.
        NbrunError: the supervisor ended before the run began.
    """
    if json and detach:
        raise UsageError("--json follows the run, and --detach does not: choose one")
    attended = detach or (not json and someone_is_there())
    interactive = not json and someone_is_there()
    given = gather(wanted, request.runbook, request.options.kernel, interactive=interactive)
    supervisor.send(msgspec.structs.replace(request, attended=attended, given=given))
    try:
        if detach:
            print(supervisor.wait_until_started().id)  # noqa: T201
            return ExitCode.COMPLETED
        return _follow(supervisor, attended=attended, json=json, display=display)
    except KeyboardInterrupt:  # before the console has installed its handlers
        directory = supervisor.terminate()
    from nbrun.cli.commands import follow

    return follow.watch(directory, json=json, display=display)


def _follow(
    supervisor: SupervisorProcess, *, attended: bool, json: bool, display: DisplayOptions
) -> ExitCode:
    from nbrun.cli.commands import follow
    from nbrun.supervisor.client import SocketClient
    from nbrun.views.render import source

    source.preload()  # the supervisor is at its own imports meanwhile
    directory = supervisor.wait_until_started()
    try:
        client = SocketClient(directory, "operate" if attended else "follow")
    except NoSupervisorError:  # it has ended as quickly as that
        return follow.watch(directory, json=json, display=display)
    if attended:
        return follow.operate(directory, client, display=display)
    return follow.unattended(directory, client, json=json, display=display)


def someone_is_there() -> bool:
    """A person can be asked: the keyboard is a terminal, and so is somewhere to ask on."""
    return sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())
