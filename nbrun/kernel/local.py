"""One Jupyter kernel at a time on this machine: started or adopted, used and ended."""

import logging
import signal
from collections.abc import Callable, Mapping

import msgspec

from nbrun.errors import KernelError, UnreachableKernelError
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.messages import KernelInfo, Sink
from nbrun.kernel.process import KernelLog, Process
from nbrun.kernel.roles import roles
from nbrun.kernel.roles.roles import TakenRole

_LAST_LINES = 3  # lines of what a kernel printed, in the error if it does not start


class LocalKernel:
    """A kernel process on this machine (`messages.Kernel`).

    A thread that does nothing else sends the kernel's messages to `sink`: no rendering and no disk
    write ever delays iopub.
    """

    def __init__(
        self,
        launcher: KernelLauncher,
        sink: Sink,
        *,
        log: KernelLog | None = None,
        on_secrets: Callable[[Mapping[str, str]], None] = lambda _secrets: None,
        traceparent: Callable[[], str] = str,
    ) -> None:
        """Take over the kernel that `launcher` has launched, if it has.

        `log` keeps the stdout and stderr of kernel processes that have ended. `on_secrets` gets the
        secrets of the role each time it is taken again, and of a kernel that is adopted, before
        the kernel's first message. `traceparent` returns the place in the trace of the code that is
        about to be sent, empty for none.
        """
        self._launcher = launcher
        self._sink = sink
        self._log = log or KernelLog()
        self._on_secrets = on_secrets
        self._traceparent = traceparent
        self._live: Process | None = None
        if launcher.role is not None:
            # Set here, not earlier: the redaction is built from the first secrets of the role.
            launcher.role.on_secrets = on_secrets

    def start(self, give_up: Callable[[], bool] = lambda: False) -> KernelInfo:
        self._end_live()
        process = self._launcher.next_process()
        try:
            info = process.ready(self._sink, give_up)
        except Exception as error:  # whatever Jupyter raises, the kernel is not up
            printed = process.close(self._log)
            raise KernelError(
                f"the kernel {self._launcher.name!r} did not start: {_cause(error)}"
                f"{self._last_lines(printed)}"
            ) from error
        self._live = process
        role = self._launcher.role
        return msgspec.structs.replace(info, identities=role.taken.identities if role else ())

    def _last_lines(self, printed: str) -> str:
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        if not lines:
            return ""
        last = " | ".join(lines[-_LAST_LINES:])
        return f". It printed last: {last}. All that it printed is in {self._log.path}"

    def adopt(self, info: KernelInfo, give_up: Callable[[], bool]) -> None:
        process = info.process
        if process is None:
            raise UnreachableKernelError(
                "its provisioner started it, and nbrun has no way to it. End it by the "
                "provisioner's own means before another kernel starts"
            )
        adopted = self._launcher.running_process(process, info.generation)
        try:
            self._on_secrets(roles.secrets_in(adopted.role_files()))
            adopted.adopt(process.pid, info, self._sink, give_up)
        except Exception as error:  # whatever Jupyter raises, the kernel can't be used
            adopted.close(self._log)
            raise KernelError(str(error)) from error
        self._live = adopted
        self._update_adopted(adopted)

    def _update_adopted(self, adopted: Process) -> None:
        """Give the kernel the role's new files. If that fails, the kernel keeps its old ones."""
        try:
            if self._launcher.role is not None:
                adopted.update_role_files(self._launcher.role.taken)
        except KernelError as error:
            logging.getLogger(__name__).warning("%s", error)

    def update_role_files(self, role: TakenRole) -> int | None:
        """Replace the role's files of the running kernel. Any thread may call this.

        Return the kernel's generation, or None if there is no kernel.

        Raises:
            KernelError: the files can't be written.
        """
        process = self._live
        if process is None:
            return None
        process.update_role_files(role)
        return process.generation

    def execute(self, source: str) -> str:
        return self._process.execute(source, self._traceparent())

    def interrupt(self) -> None:
        self._process.interrupt()

    def kill(self) -> None:
        self._process.signal(signal.SIGKILL)

    def answer(self, text: str) -> None:
        self._process.answer(text)

    def shutdown(self) -> None:
        self._end_live()
        self._launcher.close(self._log)

    def _end_live(self) -> None:
        process, self._live = self._live, None
        if process is not None:
            process.end(self._log)

    @property
    def _process(self) -> Process:
        if self._live is None:
            raise KernelError("no kernel is running")
        return self._live


def _cause(error: Exception) -> str:
    """Return why a kernel did not start, with the remedy if its program can't be found."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return (
            f"{error.filename}, or the interpreter that it names, does not exist. Install the "
            "kernel again, or choose another one with --kernel"
        )
    return str(error)
