"""One kernel's process, from its start to its end, and what it is spoken to through."""

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import zmq

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError
from nbrun.kernel import connection_dir, protocol, runtime_dir
from nbrun.kernel.channels import Channels
from nbrun.kernel.jupyter_adapter import STARTUP_TIMEOUT, Line, manager
from nbrun.kernel.messages import Died, KernelInfo, Sink, Suspended
from nbrun.kernel.roles.roles import FILES, Taken
from nbrun.kernel.watchdog import Pulse, Vitals
from nbrun.system import processes
from nbrun.system.sudo import SudoError

LINGER = 5.0  # seconds that a run's last threads have to end
_LOOK = 1.0  # seconds between two looks at whether the process was stopped
GOODBYE = 2.0  # seconds that a kernel has to end by itself when asked to
# A bash that takes itself for interactive, as a bash kernel's does, would write every source, and
# so every secret parameter, into the person's home: bash(1), HISTFILE.
_NO_HISTORY = {"HISTFILE": ""}
_ENDED = "__import__('IPython').get_ipython()._nbrun_ended()"
_JOIN_THREADS = f"__import__('IPython').get_ipython()._nbrun_join_threads({LINGER})"


@dataclass(frozen=True)
class KernelLog:
    """A file for the stdout and stderr of kernel processes, cleaned by `scrub`. None: no file."""

    path: Path | None = None
    scrub: Callable[[bytes], bytes] = bytes

    def add(self, written: bytes) -> None:
        if self.path is not None:
            with suppress(OSError), self.path.open("ab") as kept:
                kept.write(self.scrub(written))


class Process:
    """A kernel's process, and its channels once it is ready."""

    def __init__(
        self,
        name: str,
        generation: int,
        attended: bool,
        directory: Path,
        lodged: runtime_dir.Quarters,
    ) -> None:
        """`directory`: the folder that is kept here of a kernel that lives where `lodged` says."""
        self._name = name
        self.generation = generation
        self._attended = attended
        self._sees_shell = False
        self._launch_error: Exception | None = None
        self._directory = directory
        self._lodged = lodged
        self._killed = False
        self._suspended = False
        self._next_look = 0.0
        self._pulse: Pulse | None = None
        self._context = zmq.Context()
        # For every socket: ZeroMQ drops messages past the mark, and tries again to connect, while
        # the kernel boots, after so many milliseconds.
        self._context.setsockopt(zmq.RCVHWM, 0)
        self._context.setsockopt(zmq.RECONNECT_IVL, 5)
        away = isinstance(lodged, runtime_dir.Away)
        self._manager = manager(name, self._directory, self._context, encrypted=away)
        self._channels: Channels | None = None

    def launch(self, cwd: Path, role: Taken | None) -> None:
        """Start the process, which outlives this one; what goes wrong is raised by `ready`."""
        folder = self._lodged.folder
        given = os.environ if role is None else role.furnishing.environment(folder)
        files = {} if role is None else role.furnishing.texts(folder)
        try:
            self._lodged.boot(self._manager, str(cwd), self._marked(given), files)
            connection_dir.note_process(self._directory, self._pid)
        except Exception as error:  # noqa: BLE001
            self._launch_error = error

    def role_files(self) -> dict[str, str]:
        """Return the texts of the role's files in the runtime directory, by name.

        Raises OSError, SudoError.
        """
        return self._lodged.read(FILES)

    def furnish(self, role: Taken) -> None:
        """Replace the files that its role gives it."""
        try:
            self._lodged.write(role.furnishing.texts(self._lodged.folder))
        except (OSError, SudoError) as error:
            raise KernelError(f"the role's files can't be replaced: {error}") from error

    def ready(self, sink: Sink, give_up: Callable[[], bool]) -> KernelInfo:
        """Wait until it answers or `give_up`; what it says goes to `sink` from then on."""
        if self._launch_error is not None:
            raise self._launch_error
        self._manager.give_up = give_up
        client = self._ready_client()
        content = _reply(client, client.kernel_info())
        self._sees_shell = content.get("implementation") == "ipython"
        self._sink = sink
        self._channels = Channels(client, sink, self._look, self._on_death)
        if self._sees_shell:
            self._channels.send_own(_prelude(attended=self._attended))
        connection_dir.note_ready(self._directory)
        return _info(content, self._name, self.generation, self._found_again())

    def adopt(self, pid: int, info: KernelInfo, sink: Sink, give_up: Callable[[], bool]) -> None:
        """Listen to a kernel that is running, and ask it to tell when it has nothing to do."""
        self._sink = sink
        self._sees_shell = info.implementation == "ipython"
        self._manager.adopt(self._lodged.hold(pid))
        client: Any = self._manager.client()
        client.allow_stdin = self._attended
        client.start_channels(stdin=True, control=True)
        client.wait_until_heard(self._is_alive, give_up)
        self._channels = Channels(client, sink, self._look, self._on_death)
        self._channels.heard_before()
        self._channels.send_own(
            "",
            {"ended": _ENDED} if self._sees_shell else {},
            done=lambda content: sink(protocol.idled(self.generation, content)),
        )

    def _marked(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What it starts is known by this, wherever it goes."""
        return {**environment, **_NO_HISTORY, processes.MARK: str(self._directory)}

    @property
    def _pid(self) -> int:
        return int(getattr(self._manager.provisioner, "pid", None) or 0)

    def _found_again(self) -> KernelProcess:
        return KernelProcess(pid=self._pid, connection_file=str(self._manager.connection_file))

    def _ready_client(self) -> Any:
        """nbclient's way to a client that is ready, which cleans up after a kernel that is not.

        Its whole set-up, `setup_kernel`, would also take SIGINT and leave an atexit hook behind.
        It is imported while the kernel boots.
        """
        from nbclient import NotebookClient
        from nbformat.v4 import new_notebook

        notebook: Any = new_notebook()  # type: ignore[no-untyped-call]
        nbclient = NotebookClient(notebook, km=self._manager, startup_timeout=int(STARTUP_TIMEOUT))
        client: Any = nbclient.start_new_kernel_client()
        client.allow_stdin = self._attended
        return client

    def execute(self, source: str) -> str:
        return self._open_channels.send(source, allow_stdin=self._attended)

    def answer(self, text: str) -> None:
        self._open_channels.answer(text)

    def interrupt(self) -> None:
        """A signal, or a message where the kernelspec says so."""
        try:
            self._manager.interrupt_kernel()
        except PermissionError as error:  # sudo lets nobody be its user any more
            logging.getLogger(__name__).warning("no signal, but a message: %s", error)
            self._open_channels.ask_to_interrupt()
        except (RuntimeError, OSError):  # it died meanwhile: `Died` says so
            pass
        self._open_channels.miss_no_reply()

    def signal(self, number: int) -> None:
        """To its process group: shell commands of the cell get it too."""
        self._killed = number == signal.SIGKILL
        try:
            self._manager.signal_kernel(number)
        except PermissionError as error:
            logging.getLogger(__name__).warning("the kernel can't be sent a signal: %s", error)
        except (RuntimeError, OSError):  # it died meanwhile
            pass

    def end(self, log: KernelLog) -> None:
        """End the process; all that it still says is delivered first."""
        channels = self._open_channels
        channels.expect_end()
        if self._is_alive():
            if self._sees_shell and not channels.busy:
                self._linger(channels)
            self._say_goodbye()
        channels.close()
        self.close(log)

    def _linger(self, channels: Channels) -> None:
        """Let the threads that the runbook left running end and print, as Python does at exit:
        ipykernel closes iopub before it waits for them, and their output would be lost."""
        request = channels.send_own(_JOIN_THREADS)
        deadline = time.monotonic() + LINGER + 1
        while channels.is_pending(request) and self._is_alive() and time.monotonic() < deadline:
            channels.wait_a_little()

    def _say_goodbye(self) -> None:
        """Ask it to end; a kernel that does not is ended, with what it started."""
        self._manager.request_shutdown()
        deadline = time.monotonic() + GOODBYE
        while self._is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        if self._is_alive():
            self._manager.finish_shutdown(waittime=GOODBYE)

    def close(self, log: KernelLog) -> None:
        """Leave no process, socket or connection file; what it printed is added to `log`."""
        with suppress(RuntimeError, OSError):
            if self._manager.is_alive():
                self._manager.shutdown_kernel(now=True)
            self._manager.cleanup_resources()
        self._context.destroy(linger=0)
        try:
            log.add(self._lodged.clear(self._pid))
        except SudoError as error:  # what is left is cleared by a later run that may
            logging.getLogger(__name__).warning("the kernel's folder is left: %s", error)
            return
        except OSError:  # it never was started
            pass
        shutil.rmtree(self._directory, ignore_errors=True)

    def _look(self) -> bool:
        """Whether it is alive, asked while it says nothing; and now and then whether it can."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK
            suspended = processes.is_suspended(self._pid)
            if suspended is not self._suspended:
                self._suspended = suspended
                pid, generation = self._pid, self.generation
                self._sink(Suspended(generation=generation, pid=pid, suspended=suspended))
            elif not suspended:
                self._feel_the_pulse()
        return self._is_alive()

    def _feel_the_pulse(self) -> None:
        channels = self._channels
        if channels is None:  # its thread has only begun
            return
        self._pulse = self._pulse or Pulse(self.generation, self._pid, self._vitals, self._lines)
        told = self._pulse.look(at_work=channels.at_work, quiet=channels.quiet)
        if told is not None:
            self._sink(told)

    def _vitals(self) -> Vitals:
        return Vitals(processes.cpu_of(self._pid), processes.state_of(self._pid))

    def _lines(self) -> tuple[Line, Line] | None:
        """Only ipykernel is known to answer while it works."""
        return self._manager.lines() if self._sees_shell else None

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
        if self._killed:
            why = "the kernel was killed, as asked"
        self._sink(Died(generation=self.generation, why=why))

    @property
    def _open_channels(self) -> Channels:
        if self._channels is None:
            raise KernelError("the kernel was never ready")
        return self._channels


def _prelude(*, attended: bool) -> str:
    source = resources.files("nbrun.kernel").joinpath("ipython_prelude.py").read_text("utf-8")
    names = {"attended": attended}
    return f"exec(compile({source!r}, '<nbrun prelude>', 'exec'), {names!r})"


def _reply(client: Any, request: str) -> dict[str, Any]:
    """The content of the answer to `request`, those to earlier ones passed over."""
    while True:
        message = client.get_shell_msg(timeout=STARTUP_TIMEOUT)
        if message["parent_header"].get("msg_id") == request:
            content: dict[str, Any] = message["content"]
            return content


def _info(
    content: dict[str, Any], name: str, generation: int, process: KernelProcess
) -> KernelInfo:
    language = content.get("language_info", {})
    return KernelInfo(
        generation=generation,
        kernelspec=name,
        language=str(language.get("name", "")),
        language_info=language,
        implementation=str(content.get("implementation", "")),
        process=process,
    )


def _how_it_ended(code: int) -> str:
    if code == processes.UNSEEN:
        return "the kernel process is gone, and nobody saw how it ended"
    if code >= 0:
        return f"the kernel process ended with status {code}"
    try:
        named = signal.Signals(-code).name
    except ValueError:
        named = f"signal {-code}"
    hint = ": killed from outside, or out of memory" if named == "SIGKILL" else ""
    return f"the kernel process was ended by {named}{hint}"
