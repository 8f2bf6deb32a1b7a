"""Start a supervisor process, send it a request, and wait for its reply.

`nbrun start` starts the supervisor before it imports the command line, so that both processes
import at the same time. This module therefore imports little at the top.
"""

import select
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from nbrun.errors import ExitCode, NbrunError
from nbrun.system import python_settings

if TYPE_CHECKING:
    from nbrun.journal.run_directory import RunDirectory
    from nbrun.supervisor.requests import SupervisorRequest


# Seconds after which SIGTERM is sent again. Python handles a signal by raising an exception, and
# the exception is lost where code can't raise: in a finalizer, or in a callback of an import.
_SIGTERM_INTERVAL = 1.0


class DeclinedError(NbrunError):
    """The supervisor declined the request. The message is the supervisor's."""

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.exit_code = ExitCode(exit_code)


class SupervisorProcess:
    """A supervisor that waits for a request on stdin. It exits when stdin closes without one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._started: RunDirectory | None = None

    def send(self, request: "SupervisorRequest") -> None:
        """Send `request` over stdin: other users can read arguments and environments."""
        from nbrun.supervisor import requests

        assert self.process.stdin is not None  # noqa: S101  piped below
        with suppress(BrokenPipeError):  # it has exited: `wait_until_started` reads its stderr
            self.process.stdin.write(requests.encode(request))
            self.process.stdin.flush()
            if not requests.is_bound(request):
                self.process.stdin.close()

    @property
    def has_started(self) -> bool:
        """True once `wait_until_started` has returned."""
        return self._started is not None

    def release(self) -> None:
        """Close the pipe. A supervisor without a run exits, and a bound run is cancelled."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()

    def wait_until_started(self) -> "RunDirectory":
        """Wait for the reply, and return the directory of the run that has begun.

        Raises:
            DeclinedError: nothing was run.
            NbrunError: the supervisor exited without a reply.
        """
        if self._started is None:
            self._started = self._receive_reply()
        return self._started

    def _receive_reply(self) -> "RunDirectory":
        from nbrun.journal.run_directory import RunDirectory
        from nbrun.supervisor import requests

        assert self.process.stdout is not None  # noqa: S101  piped below
        assert self.process.stderr is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            printed = self.process.stderr.read().decode("utf-8", "replace").strip()
            raise NbrunError(f"the run's supervisor ended before the run began: {printed}")
        reply = requests.decode_reply(line)
        if isinstance(reply, requests.Accepted):
            return RunDirectory(reply.directory)
        raise DeclinedError(reply.why, reply.exit_code)

    def terminate(self) -> "RunDirectory":
        """Terminate the supervisor after Ctrl-C.

        A run may have begun before the signal arrived. The signal cancels that run, and this
        method returns its directory.

        Raises:
            KeyboardInterrupt: no run had begun.
        """
        assert self.process.stdin is not None  # noqa: S101  piped below
        assert self.process.stdout is not None  # noqa: S101
        with suppress(OSError):
            self.process.stdin.close()
        self.process.terminate()
        while not select.select([self.process.stdout], [], [], _SIGTERM_INTERVAL)[0]:
            self.process.terminate()
        try:
            return self.wait_until_started()
        except NbrunError:
            raise KeyboardInterrupt from None


def spawn() -> SupervisorProcess:
    """Start a supervisor that outlives this process and its terminal."""
    return SupervisorProcess(
        subprocess.Popen(
            # -P: modules in the working directory must not shadow Python's own
            [sys.executable, "-P", "-m", "nbrun.supervisor.main"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=python_settings.environment_without_settings(),
            start_new_session=True,
        )
    )
