"""`nbrun start`: run a notebook in a supervisor process, and follow the run on this terminal."""

import os
import sys

import msgspec

from nbrun.cli.commands.gather_parameters import ParameterOptions, gather, read_declarations
from nbrun.cli.commands.prompts import Prompts
from nbrun.cli.error_output import print_error
from nbrun.errors import ExitCode, NoSupervisorError, UsageError
from nbrun.supervisor.requests import StartRequest
from nbrun.supervisor.spawn import SupervisorProcess
from nbrun.system import standard_streams
from nbrun.views.text.options import DisplayOptions

STDOUT_LOST = "the run continues, and its record keeps what it prints"


def start(
    request: StartRequest,
    parameters: ParameterOptions,
    supervisor: SupervisorProcess,
    *,
    json: bool,
    detach: bool,
    display: DisplayOptions,
) -> ExitCode:
    """Send the request to the supervisor, and follow the run to its end.

    This function fills in the request's `attended` and `given`. The supervisor checks the rest.

    Raises:
        UsageError: a parameter is refused or missing.
        DeclinedError: something is wrong with the request. Nothing was created or run.
        NbrunError: the supervisor ended before the run began.
    """
    if json and detach:
        raise UsageError("--json follows the run, and --detach does not: choose one")
    standard_streams.continue_without_stdout(STDOUT_LOST)
    if os.getpid() == 1:
        _warn_of_container_end(detach=detach)
    attended = detach or (not json and has_terminal())
    prompts = Prompts(plain=display.plain) if not json and has_terminal() else None
    # Secrets are fetched and missing parameters asked for on this terminal, before the supervisor,
    # which has none, receives anything.
    declarations = read_declarations(request.runbook, request.options.kernel)
    given = gather(parameters, declarations, prompts)
    request = msgspec.structs.replace(request, attended=attended, given=given)
    return follow_new(request, supervisor, json=json, detach=detach, display=display)


def follow_new(
    request: StartRequest,
    supervisor: SupervisorProcess,
    *,
    json: bool,
    detach: bool,
    display: DisplayOptions,
) -> ExitCode:
    """Send `request`, which is complete, and follow the run to its end.

    Raises:
        DeclinedError: something is wrong with the request. Nothing was created or run.
        NbrunError: the supervisor ended before the run began.
    """
    supervisor.send(request)
    try:
        if detach:
            print(supervisor.wait_until_started().id)  # noqa: T201
            return ExitCode.COMPLETED
        return _follow(supervisor, attended=request.attended, json=json, display=display)
    except KeyboardInterrupt:  # before the console has installed its handlers
        directory = supervisor.terminate()
    from nbrun.cli.commands import follow

    return follow.ended(directory, json=json, display=display)


def _warn_of_container_end(*, detach: bool) -> None:
    """Say that the run ends with this process, which is the first of its container.

    When it exits, the system kills all other processes of the container, the supervisor too.
    """
    if detach:
        raise UsageError(
            "nbrun is process 1 of its container, and a detached run would be killed at once: "
            "leave --detach out, or start the container with an init process (docker run --init)"
        )
    print_error(
        "nbrun is process 1 of its container: the run can't outlive it, and is killed when nbrun "
        "detaches. With an init process (docker run --init), another program can keep the container"
    )


def _follow(
    supervisor: SupervisorProcess, *, attended: bool, json: bool, display: DisplayOptions
) -> ExitCode:
    # These imports take as long as the supervisor's own: import first, then wait for its reply.
    from nbrun.cli.commands import follow
    from nbrun.supervisor.client import SocketClient
    from nbrun.views.render import source

    source.preload()
    directory = supervisor.wait_until_started()
    try:
        client = SocketClient(directory, "operate" if attended else "follow")
    except NoSupervisorError:  # the run has ended already
        return follow.ended(directory, json=json, display=display)
    if attended:
        return follow.operate(directory, client, display=display)
    return follow.unattended(directory, client, json=json, display=display)


def has_terminal() -> bool:
    """Return True if a person can be asked: stdin is a terminal, and so is stdout or stderr."""
    return sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty())
