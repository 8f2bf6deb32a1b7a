"""Start the kernel processes of one run: the first in advance, the later ones on demand."""

import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError, UnprovenKernelError, UsageError
from nbrun.kernel import connection_dir, runtime_dir
from nbrun.kernel.process import KernelLog, Process
from nbrun.kernel.roles.roles import RunRole, TakenRole
from nbrun.system.sudo import Sudo


class KernelLauncher:
    """Launches kernels of one kernelspec, and numbers them.

    A kernel can boot while the run is still being prepared: `launch` needs neither the run's folder
    nor its secrets. `LocalKernel` takes the launched process over; `close` ends one that it did not
    take.
    """

    def __init__(
        self,
        name: str,
        *,
        cwd: Path,
        attended: bool,
        generation: int = 0,
        role: RunRole | None = None,
        sudo: Sudo | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Launch nothing yet.

        `name` is the kernelspec's, `cwd` the folder of the kernels. `attended`: somebody can answer
        a cell that asks for input. `generation`: the number of the run's last kernel so far.
        `role`: the identity of the kernels, and their environment instead of this process's own.
        `sudo`: how a running kernel of the role is reached without taking the role again.
        `variables`: those that the environment of every kernel has in addition.
        """
        self.name = name
        self._variables = variables
        self.role = role
        self._sudo = role.taken.sudo if role else sudo
        self._cwd = cwd
        self._attended = attended
        self._generation = generation
        self._booting: Process | None = None

    def launch(self) -> None:
        """Start the next kernel process, and do not wait until it is ready.

        `Process.ready` raises what goes wrong.

        Raises:
            KernelError: the role can't be taken again, or there is no place for the sockets.
        """
        self._generation += 1
        role = self._take_role()
        directory = connection_dir.make()
        runtime = runtime_dir.create(directory, role.sudo if role else None)
        self._booting = Process(self.name, self._generation, self._attended, directory, runtime)
        self._booting.launch(self._cwd, role, self._variables)
        # On a thread: clearing what another Unix user's kernel left goes through sudo.
        threading.Thread(target=connection_dir.sweep, name="nbrun-sweep", daemon=True).start()

    def _take_role(self) -> TakenRole | None:
        try:
            return self.role.for_next_kernel() if self.role else None
        except UsageError as error:
            raise KernelError(f"its role can't be taken again: {error}") from error

    def next_process(self) -> Process:
        """Hand over the process that `launch` started, or start one. Raises KernelError."""
        if self._booting is None:
            self.launch()
        process, self._booting = self._booting, None
        assert process is not None  # noqa: S101  launched above
        return process

    def running_process(self, process: KernelProcess, generation: int) -> Process:
        """Return the process of a kernel that an earlier supervisor started, not yet adopted.

        Raises:
            UnprovenKernelError: nbrun did not start it.
            KernelError: it is gone, or the note of its runtime directory can't be used.
        """
        directory, runtime = self._find(process)
        return Process(self.name, generation, self._attended, directory, runtime)

    def check_running(self, process: KernelProcess) -> None:
        """Check that the process which a record names is a kernel of nbrun's, or is gone.

        Raises:
            UnprovenKernelError: it is running, and may be anything.
        """
        try:
            self._find(process)
        except UnprovenKernelError:
            raise
        except KernelError:  # it is gone: a new kernel is started, and nothing of it is touched
            return

    def _find(self, process: KernelProcess) -> tuple[Path, runtime_dir.RuntimeDir]:
        directory = connection_dir.own_kernel(process)
        return directory, runtime_dir.find(directory, lambda *named: self._sudo == Sudo(*named))

    def close(self, log: KernelLog | None = None) -> None:
        """End the process that was launched and not handed over, if there is one."""
        process, self._booting = self._booting, None
        if process is not None:
            process.close(log or KernelLog())
