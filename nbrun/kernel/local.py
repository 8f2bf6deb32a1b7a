"""One Jupyter kernel at a time on this machine: started, spoken to and ended."""

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError, UsageError
from nbrun.kernel import connection_dir, runtime_dir
from nbrun.kernel.messages import KernelInfo, Message, Sink
from nbrun.kernel.process import Log, Process
from nbrun.kernel.roles import roles
from nbrun.kernel.roles.roles import Held, Taken
from nbrun.system import processes


class LocalKernel:
    """A kernel process on this machine (`messages.Kernel`).

    What it says goes to `sink` from a thread that does nothing else, so that no rendering and no
    disk write ever holds up iopub.
    """

    def __init__(
        self,
        name: str,
        *,
        cwd: Path,
        attended: bool,
        generation: int = 0,
        role: Held | None = None,
    ) -> None:
        """`attended`: somebody can answer a cell that asks for input. `generation`: that of the
        kernel before this one's first. `role`: as whom it runs, and what it gets instead of this
        process's environment."""
        self._role = role
        self._name = name
        self._cwd = cwd
        self._attended = attended
        self._sink: Sink = _nobody_listens
        self._log = Log()
        self._generation = generation
        self._learn: Callable[[Mapping[str, str]], None] = lambda _secrets: None
        self._booting: Process | None = None
        self._live: Process | None = None

    def speak_to(self, sink: Sink) -> "LocalKernel":
        """Send what the kernel says to `sink`; itself."""
        self._sink = sink
        return self

    def log_to(self, log: Path, scrub: Callable[[bytes], bytes]) -> None:
        """Keep in `log` what kernels that have ended wrote to their own stdout and stderr, as
        `scrub` gives it back."""
        self._log = Log(log, scrub)

    def learn_by(self, learn: Callable[[Mapping[str, str]], None]) -> None:
        """Tell `learn` the secrets of each role, and of each kernel that is found again, before
        anything is heard of it."""
        self._learn = learn
        if self._role is not None:
            self._role.learn = learn

    def launch(self) -> None:
        """Start the process, and do not wait for it: `start` does. Whatever goes wrong, that
        says so."""
        self._generation += 1
        role = self._taken()
        directory = connection_dir.make()
        lodged = runtime_dir.new(directory, role.sudo if role else None)
        self._booting = Process(self._name, self._generation, self._attended, directory, lodged)
        self._booting.launch(self._cwd, role)
        # What another Unix user's kernel left is asked for through sudo: nothing waits for that.
        threading.Thread(target=connection_dir.sweep, name="nbrun-sweep", daemon=True).start()

    def _taken(self) -> Taken | None:
        try:
            return self._role.for_kernel() if self._role else None
        except UsageError as error:
            raise KernelError(f"its role can't be taken again: {error}") from error

    def start(self, give_up: Callable[[], bool] = lambda: False) -> KernelInfo:
        self._end_live()
        if self._booting is None:
            self.launch()
        process, self._booting = self._booting, None
        assert process is not None  # noqa: S101  launched above
        try:
            info = process.ready(self._sink, give_up)
        except Exception as error:  # whatever Jupyter raises, the kernel is not up
            process.close(self._log)
            raise KernelError(
                f"the kernel {self._name!r} did not start: {error}. What it printed is in "
                f"{self._log.path}"
            ) from error
        self._live = process
        identities = self._role.taken.identities if self._role else ()
        return msgspec.structs.replace(info, identities=identities)

    def adopt(self, process: KernelProcess, info: KernelInfo, give_up: Callable[[], bool]) -> None:
        directory = Path(process.connection_file).parent
        if not processes.is_kernel(process):
            raise KernelError("its process is gone")
        lodged = runtime_dir.of(directory)
        adopted = Process(self._name, info.generation, self._attended, directory, lodged)
        try:
            self._learn(roles.secrets_in(lodged.read(roles.FILES)))
            adopted.adopt(process.pid, info, self._sink, give_up)
        except Exception as error:  # whatever Jupyter raises, it can't be spoken to
            adopted.close(self._log)
            raise KernelError(str(error)) from error
        self._live = adopted
        self._refurnish(adopted)

    def _refurnish(self, adopted: Process) -> None:
        """With what the role came to now. Without it the kernel has what it had."""
        try:
            if self._role is not None:
                adopted.furnish(self._role.taken)
        except KernelError as error:
            logging.getLogger(__name__).warning("%s", error)

    def furnish(self, role: Taken) -> int | None:
        """Give the kernel that runs the files that `role` has now; its generation, None where there
        is none. May be called from any thread.

        Raises:
            KernelError: it can't be done.
        """
        process = self._live
        if process is None:
            return None
        process.furnish(role)
        return process.generation

    def execute(self, source: str) -> str:
        return self._process.execute(source)

    def interrupt(self) -> None:
        self._process.interrupt()

    def kill(self) -> None:
        self._process.signal(signal.SIGKILL)

    def answer(self, text: str) -> None:
        self._process.answer(text)

    def shutdown(self) -> None:
        self._end_live()
        booting, self._booting = self._booting, None
        if booting is not None:
            booting.close(self._log)

    def _end_live(self) -> None:
        process, self._live = self._live, None
        if process is not None:
            process.end(self._log)

    @property
    def _process(self) -> Process:
        if self._live is None:
            raise KernelError("no kernel is running")
        return self._live


def _nobody_listens(_message: Message) -> None:
    pass
