"""The process of one kernel: launched or adopted, connected, interrupted and ended."""

import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import zmq

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError
from nbrun.kernel import connection_dir, protocol, runtime_dir
from nbrun.kernel.background import Background
from nbrun.kernel.channels import Channels
from nbrun.kernel.jupyter_adapter import (
    STARTUP_TIMEOUT,
    ProbeSocket,
    find_kernelspec,
    manager,
    starts_here,
)
from nbrun.kernel.kinds.kind import KernelKind
from nbrun.kernel.kinds.known import kind_of
from nbrun.kernel.messages import Died, KernelInfo, Sink, Suspended
from nbrun.kernel.roles.roles import SECRET_FILES, TakenRole
from nbrun.kernel.watchdog import ProcessStats, Watchdog
from nbrun.system import processes
from nbrun.system.sudo import SudoError

SHUTDOWN_TIMEOUT = 2.0  # seconds for a kernel to exit after a shutdown request
_CONTEXT_TIMEOUT = 5.0  # seconds for ZeroMQ to close its sockets
_PRELUDE_TIMEOUT = 10.0  # seconds for the prelude of a kernel other than ipykernel
_CHECK_INTERVAL = 1.0  # seconds between two checks of whether the process is suspended or stuck
# An interactive bash, as in a bash kernel, would write every source, and so every secret parameter,
# to a history file in the home folder (bash(1), HISTFILE).
_NO_HISTORY = {"HISTFILE": ""}


@dataclass(frozen=True)
class KernelLog:
    """A file for the stdout and stderr of kernel processes, redacted. Without a path: no file."""

    path: Path | None = None
    redact: Callable[[bytes], bytes] = bytes

    def add(self, output: bytes) -> str:
        """Append `output`, and return it redacted.

        A file that can't be written is ignored: it must not end the run.
        """
        redacted = self.redact(output)
        if self.path is not None:
            with suppress(OSError):
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
                with os.fdopen(os.open(self.path, flags, 0o600), "ab") as file:
                    file.write(redacted)
        return redacted.decode("utf-8", "replace")


class Process:
    """A kernel's process, and its channels once it is ready."""

    def __init__(
        self,
        name: str,
        generation: int,
        attended: bool,
        directory: Path,
        runtime: runtime_dir.RuntimeDir,
    ) -> None:
        """Start nothing yet.

        `name` is the kernelspec's. `directory` is the supervisor's connection directory, `runtime`
        the kernel's own, which is the same one for a kernel of this user.
        """
        self._name = name
        self.generation = generation
        self._attended = attended
        self._kind = KernelKind()
        self._launch_error: Exception | None = None
        self._directory = directory
        self._runtime = runtime
        self._was_killed = False
        self._shell_lost = ""  # why the kernel is useless although its process lived
        self._is_suspended = False
        self._next_check = 0.0
        self._start_time = 0.0  # of the process, by the clock of `processes.now`
        self._watchdog: Watchdog | None = None
        self._context = zmq.Context()
        # For every socket: no high-water mark, past which ZeroMQ drops messages; and milliseconds
        # between two attempts to connect while the kernel boots.
        self._context.setsockopt(zmq.RCVHWM, 0)
        self._context.setsockopt(zmq.RECONNECT_IVL, 5)
        is_foreign = isinstance(runtime, runtime_dir.OtherUserRuntimeDir)
        self._manager = manager(name, self._directory, self._context, encrypted=is_foreign)
        # A provisioner may start the kernel anywhere. A number that it calls a process id is then
        # none of this machine.
        self._is_here = starts_here(find_kernelspec(name))
        self._channels: Channels | None = None

    def launch(
        self, cwd: Path, role: TakenRole | None, more: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Start the process, which outlives this one. `ready` raises the error if it fails.

        `more`: variables of its environment besides those of this process, or of the role.
        """
        folder = self._runtime.folder
        variables = os.environ if role is None else role.environment.variables(folder)
        files = {} if role is None else role.environment.file_texts(folder)
        try:
            env = self._with_mark({**variables, **more})
            self._runtime.start_kernel(self._manager, str(cwd), env, files)
            if self._is_here:
                connection_dir.record_pid(self._directory, self._pid)
        except Exception as error:  # noqa: BLE001
            self._launch_error = error

    def role_files(self) -> dict[str, str]:
        """Return the texts of the role's files in the runtime directory, by name.

        Raises OSError, SudoError.
        """
        return self._runtime.read(SECRET_FILES)

    def update_role_files(self, role: TakenRole) -> None:
        """Replace the files of the role. Any thread may call this.

        Raises:
            KernelError: the files can't be written.
        """
        try:
            self._runtime.write(role.environment.file_texts(self._runtime.folder))
        except (OSError, SudoError) as error:
            raise KernelError(f"the role's files can't be replaced: {error}") from error

    def ready(self, sink: Sink, give_up: Callable[[], bool]) -> KernelInfo:
        """Wait until the kernel is ready, and send its messages to `sink` from then on.

        Raises whatever Jupyter or the system does, also when `give_up` returned True.
        """
        if self._launch_error is not None:
            raise self._launch_error
        self._manager.give_up = give_up
        client = self._ready_client()
        content = _reply(client, client.kernel_info())
        self._kind = kind_of(str(content.get("implementation", "")))
        self._sink = sink
        self._channels = self._open(client)
        prelude = self._kind.prelude()
        if prelude:
            asked = self._channels.execute_silently(prelude)
            self._wait_for_prelude(self._channels, asked)
        connection_dir.mark_ready(self._directory)
        self._start_time = (self._is_here and processes.find_start_time(self._pid)) or 0.0
        info = protocol.kernel_info(content, self._name, self.generation)
        return msgspec.structs.replace(
            info, process=self._kernel_process(), doubts=self._kind.doubts
        )

    def _wait_for_prelude(self, channels: Channels, asked: str) -> None:
        """Send no step meanwhile to a kernel that mixes up two requests, as xeus-python does."""
        deadline = time.monotonic() + _PRELUDE_TIMEOUT
        while (
            not self._kind.is_ipykernel
            and channels.is_pending(asked)
            and self._is_alive()
            and time.monotonic() < deadline
        ):
            channels.wait_for_progress()

    def adopt(self, pid: int, info: KernelInfo, sink: Sink, give_up: Callable[[], bool]) -> None:
        """Connect to a running kernel, which may be executing a step.

        `sink` receives `Idled` when it has finished. Raises whatever Jupyter or the system does,
        also when `give_up` returned True.
        """
        self._sink = sink
        self._kind = kind_of(info.implementation)
        self._start_time = processes.find_start_time(pid) or 0.0
        self._manager.adopt(self._runtime.process_handle(pid))
        client: Any = self._manager.client()
        client.allow_stdin = self._attended
        client.start_channels(stdin=True, control=True)
        client.wait_until_connected(self._is_alive, give_up, by_protocol=self._kind.is_ipykernel)
        self._channels = self._open(client)
        self._channels.pass_early_output()
        self._channels.execute_silently(
            "",
            {"ended": self._kind.ended_expression} if self._kind.ended_expression else {},
            on_reply=lambda content: sink(protocol.idled(self.generation, content)),
        )

    def _open(self, client: Any) -> Channels:
        return Channels(
            client,
            self._sink,
            self._check_process,
            self._on_death,
            kind=self._kind,
            on_shell_lost=self._on_shell_lost,
        )

    def _with_mark(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Add the variable by which processes that the kernel starts are recognized."""
        return {**environment, **_NO_HISTORY, processes.KERNEL_MARK: str(self._directory)}

    @property
    def _pid(self) -> int:
        return int(getattr(self._manager.provisioner, "pid", None) or 0)

    def _kernel_process(self) -> KernelProcess | None:
        if not self._is_here:
            return None
        return KernelProcess(pid=self._pid, connection_file=str(self._manager.connection_file))

    def _ready_client(self) -> Any:
        """Return a client that is ready, by nbclient, which cleans up after a kernel that is not.

        nbclient's whole setup, `setup_kernel`, is not used: it would also handle SIGINT and leave
        an atexit hook behind. nbclient is imported here, while the kernel boots.
        """
        from nbclient import NotebookClient
        from nbformat.v4 import new_notebook

        notebook: Any = new_notebook()  # type: ignore[no-untyped-call]
        nbclient = NotebookClient(notebook, km=self._manager, startup_timeout=int(STARTUP_TIMEOUT))
        client: Any = nbclient.start_new_kernel_client()
        client.allow_stdin = self._attended
        return client

    def execute(self, source: str, traceparent: str = "") -> str:
        """Send `source`, and return the id of the request.

        A kernel that runs the prelude finds `traceparent` in its environment.
        """
        metadata = {"nbrun": {"traceparent": traceparent}} if traceparent else {}
        return self._open_channels.execute(source, allow_stdin=self._attended, metadata=metadata)

    def answer(self, text: str) -> None:
        self._open_channels.send_input(text)

    def interrupt(self) -> None:
        """Interrupt by a signal, or by a message if the kernelspec says so."""
        try:
            self._manager.interrupt_kernel()
        except PermissionError as error:  # sudo does not allow a signal any more
            logging.getLogger(__name__).warning("interrupting by a message instead: %s", error)
            self._open_channels.send_interrupt_request()
        except (RuntimeError, OSError):  # the process has ended: `Died` reports that
            pass
        self._open_channels.detect_lost_reply()

    def signal(self, number: int) -> None:
        """Send a signal to the process group: shell commands of the cell get it too."""
        self._was_killed = number == signal.SIGKILL
        try:
            self._manager.signal_kernel(number)
        except PermissionError as error:
            logging.getLogger(__name__).warning("the kernel can't be sent a signal: %s", error)
        except (RuntimeError, OSError):  # the process has ended
            pass

    def end(self, log: KernelLog) -> None:
        """End the process, and deliver its last messages."""
        channels = self._open_channels
        channels.expect_exit()
        left_over = Background(
            self._kernel_process(), self._start_time, self.generation, self._kind.own_programs
        )
        is_alive = self._is_alive()
        if is_alive and self._kind.is_ipykernel and not channels.busy:
            left_over.let_finish(channels, self._is_alive)
        left_over.list_programs()
        if is_alive:
            self._shut_down_process()
        channels.close()
        left = left_over.report(ended_by_kernel=is_alive)
        if left is not None:
            self._sink(left)
        self.close(log)

    def _shut_down_process(self) -> None:
        """Ask the kernel to exit. Kill it, with its process group, if it does not."""
        self._manager.request_shutdown()
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT
        while self._is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        if self._is_alive():
            self._manager.finish_shutdown(waittime=SHUTDOWN_TIMEOUT)

    def close(self, log: KernelLog) -> str:
        """Leave no process, socket or connection file. Append what it printed to `log`.

        Returns what it printed, without secrets.
        """
        printed = ""
        with suppress(RuntimeError, OSError):
            if self._manager.is_alive():
                self._manager.shutdown_kernel(now=True)
            self._manager.cleanup_resources()
        self._destroy_context()
        try:
            printed = log.add(self._runtime.clear(self._pid))
        except SudoError as error:
            # Keep the directory: a later run, which sudo may allow, clears both (see `sweep`).
            logging.getLogger(__name__).warning("the kernel's folder is left: %s", error)
            return printed
        except OSError:  # the process was never started
            pass
        shutil.rmtree(self._directory, ignore_errors=True)
        return printed

    def _destroy_context(self) -> None:
        """Close the sockets, on a thread: ZeroMQ waits for ever for one that nobody has closed."""
        destroy = threading.Thread(target=self._context.destroy, args=(0,), daemon=True)
        destroy.start()
        destroy.join(_CONTEXT_TIMEOUT)
        if destroy.is_alive():
            logging.getLogger(__name__).warning("a socket of the kernel was left open")

    def _check_process(self) -> bool:
        """Return True if the process is alive. Report a suspended or unresponsive one, at times.

        The thread of the channels calls this while no message comes.
        """
        if self._is_here and time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + _CHECK_INTERVAL
            suspended = processes.is_suspended(self._pid)
            if suspended is not self._is_suspended:
                self._is_suspended = suspended
                pid, generation = self._pid, self.generation
                self._sink(Suspended(generation=generation, pid=pid, suspended=suspended))
            elif not suspended:
                self._check_responsiveness()
        return self._is_alive()

    def _check_responsiveness(self) -> None:
        channels = self._channels
        if channels is None:  # their thread is running before `self._channels` is set
            return
        self._watchdog = self._watchdog or Watchdog(
            self.generation, self._pid, self._stats, self._open_probes
        )
        report = self._watchdog.check(at_work=channels.at_work, quiet=channels.seconds_quiet)
        if report is not None:
            self._sink(report)

    def _stats(self) -> ProcessStats:
        return ProcessStats(processes.cpu_of(self._pid), processes.state_of(self._pid))

    def _open_probes(self) -> tuple[ProbeSocket, ProbeSocket] | None:
        """Open probes of an ipykernel. Others are not known to answer while they work."""
        return self._manager.probes() if self._kind.is_ipykernel else None

    def _is_alive(self) -> bool:
        return self._exit_status() is None

    def _exit_status(self) -> int | None:
        process = getattr(self._manager.provisioner, "process", None)
        if process is not None:
            status: int | None = process.poll()
            return status
        return None if self._manager.is_alive() else 0

    def _on_death(self) -> None:
        why = _how_it_ended(self._exit_status() or 0)
        if self._was_killed:
            why = "the kernel was killed, as asked"
        if self._shell_lost:
            why = self._shell_lost
        self._sink(Died(generation=self.generation, why=why))

    def _on_shell_lost(self, why: str) -> None:
        """End a kernel whose interpreter is gone: no further step may run in a new one."""
        self._shell_lost = why
        self.signal(signal.SIGKILL)

    @property
    def _open_channels(self) -> Channels:
        if self._channels is None:
            raise KernelError("the kernel was never ready")
        return self._channels


def _reply(client: Any, request: str) -> dict[str, Any]:
    """Return the content of the reply to `request`. Skip replies to earlier requests."""
    while True:
        message = client.get_shell_msg(timeout=STARTUP_TIMEOUT)
        if message["parent_header"].get("msg_id") == request:
            content: dict[str, Any] = message["content"]
            return content


def _how_it_ended(code: int) -> str:
    if code == processes.STATUS_UNKNOWN:
        return "the kernel process is gone, and nobody saw how it ended"
    if code >= 0:
        return f"the kernel process ended with status {code}"
    try:
        named = signal.Signals(-code).name
    except ValueError:
        named = f"signal {-code}"
    hint = ": killed from outside, or out of memory" if named == "SIGKILL" else ""
    return f"the kernel process was ended by {named}{hint}"
