"""One Jupyter kernel on this machine: started, spoken to and ended from a thread of its own."""

import asyncio
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager

from nbrun import wire
from nbrun.errors import KernelError, RunbookError
from nbrun.messages import Died, KernelInfo, Replied, Sink

STARTUP_TIMEOUT = 60.0  # seconds
_BATCH = 200  # messages read before others get a turn
_QUIET = 0.15  # seconds without a message after which a dead kernel has said everything
LINGER = 5.0  # seconds that a run's last threads have to end
_SHELL_EXITS = "__import__('IPython').get_ipython()._nbrun_shell_exits()"
_JOIN_THREADS = f"__import__('IPython').get_ipython()._nbrun_join_threads({LINGER})"

T = TypeVar("T")


def find_kernelspec(name: str | None) -> KernelSpec:
    """The installed kernelspec of that name.

    Raises:
        RunbookError: there is none, or no name was given; the message lists what is installed.
    """
    specs = KernelSpecManager()
    installed = ", ".join(sorted(specs.find_kernel_specs())) or "none"
    if not name:
        raise RunbookError(
            f"the notebook names no kernel: choose one with --kernel (installed: {installed})"
        )
    try:
        return specs.get_kernel_spec(name)
    except NoSuchKernel:
        raise RunbookError(
            f"no kernel named {name!r} is installed: choose one with --kernel "
            f"(installed: {installed})"
        ) from None


class LocalKernel:
    """A kernel process on this machine (`messages.Kernel`).

    All of Jupyter's machinery runs on one asyncio loop in a thread of its own, where nothing
    renders or writes to disk, so that iopub is always read. What the kernel says goes to `sink`
    from that thread.
    """

    def __init__(self, name: str, *, cwd: Path, sink: Sink, attended: bool, log: Path) -> None:
        """`log` takes what the process itself writes to stdout and stderr."""
        self._name = name
        self._cwd = cwd
        self._sink = sink
        self._attended = attended
        self._log = log
        self._generation = 0
        self._live: _Connection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="nbrun-kernel", daemon=True
        )
        self._thread.start()

    def start(self) -> KernelInfo:
        if self._live is not None:
            self._end()
        self._generation += 1
        connection = _Connection(self._name, self._generation, self._sink, self._attended)
        try:
            info = self._call(connection.open(self._cwd, self._log))
        except Exception as error:  # whatever Jupyter raises, the kernel is not up
            raise KernelError(
                f"the kernel {self._name!r} did not start: {error}. What it printed is in "
                f"{self._log}"
            ) from error
        self._live = connection
        return info

    def execute(self, source: str) -> str:
        return self._call(self._connection.execute(source))

    def interrupt(self) -> None:
        self._call(self._connection.interrupt())

    def kill(self) -> None:
        self._call(self._connection.kill())

    def answer(self, text: str) -> None:
        self._call(self._connection.answer(text))

    def shutdown(self) -> None:
        if self._live is not None:
            self._end()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def _connection(self) -> "_Connection":
        if self._live is None:
            raise KernelError("no kernel is running")
        return self._live

    def _end(self) -> None:
        connection, self._live = self._connection, None
        self._call(connection.close())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Connection:
    """One kernel process and the channels to it; used on the kernel thread's loop only."""

    def __init__(self, name: str, generation: int, sink: Sink, attended: bool) -> None:
        self._name = name
        self._generation = generation
        self._sink = sink
        self._attended = attended
        self._tasks: list[asyncio.Task[None]] = []
        self._replies: dict[str, Replied] = {}
        self._own: set[str] = set()
        self._idle: set[str] = set()
        self._last_message = 0.0
        self._busy = False
        self._sees_shell = False

    async def open(self, cwd: Path, log: Path) -> KernelInfo:
        """Start the process and wait until it is ready."""
        from nbclient import NotebookClient
        from nbformat.v4 import new_notebook

        self._directory = Path(tempfile.mkdtemp(prefix="nbrun-", dir=os.getenv("XDG_RUNTIME_DIR")))
        self._context = zmq.asyncio.Context()
        self._context.setsockopt(zmq.RCVHWM, 0)  # for every socket: ZeroMQ drops past the mark
        self._manager = self._new_manager()
        self._nbclient = NotebookClient(
            new_notebook(),  # type: ignore[no-untyped-call]
            km=self._manager,
            startup_timeout=int(STARTUP_TIMEOUT),
            ipython_hist_file=":memory:",
        )
        try:
            await self._launch(cwd, log)
            info = await self._client.kernel_info(reply=True, timeout=STARTUP_TIMEOUT)
        except BaseException:
            await self._clean()
            raise
        return self._ready(info["content"])

    def _new_manager(self) -> AsyncKernelManager:
        spec = find_kernelspec(self._name)
        return AsyncKernelManager(
            kernel_name=self._name,
            transport="ipc" if _speaks_ipc(spec) else "tcp",
            connection_file=str(self._directory / "kernel.json"),
            context=self._context,
        )

    async def _launch(self, cwd: Path, log: Path) -> None:
        """nbclient's start-up in its two parts: the whole, `async_setup_kernel`, would also take
        SIGINT and leave an atexit hook behind a kernel that did not start."""
        with log.open("ab") as output:
            await self._nbclient.async_start_new_kernel(
                cwd=str(cwd), env=dict(os.environ), stdout=output, stderr=output
            )
        client: Any = await self._nbclient.async_start_new_kernel_client()
        client.allow_stdin = self._attended
        self._client = client

    def _ready(self, content: dict[str, Any]) -> KernelInfo:
        self._sees_shell = content.get("implementation") == "ipython"
        if self._sees_shell:
            self._send_prelude()
        self._tasks = [
            asyncio.ensure_future(self._read(self._client.iopub_channel, self._on_iopub)),
            asyncio.ensure_future(self._read(self._client.shell_channel, self._on_shell)),
            asyncio.ensure_future(self._read(self._client.stdin_channel, self._on_stdin)),
            asyncio.ensure_future(self._watch()),
        ]
        language = content.get("language_info", {})
        return KernelInfo(
            generation=self._generation,
            kernelspec=self._name,
            language=str(language.get("name", "")),
            language_info=language,
            implementation=str(content.get("implementation", "")),
        )

    def _send_prelude(self) -> None:
        """Ahead of every step on the same channel, so that nothing waits for its reply."""
        prelude = resources.files("nbrun").joinpath("prelude.py").read_text("utf-8")
        code = f"exec(compile({prelude!r}, '<nbrun prelude>', 'exec'), {{}})"
        self._silently(code)

    def _silently(self, code: str) -> str:
        """A request of nbrun's own; no reply or output of it goes to the sink."""
        request = self._client.execute(
            code, silent=True, store_history=False, stop_on_error=False, allow_stdin=False
        )
        self._own.add(request)
        return str(request)

    async def execute(self, source: str) -> str:
        expressions = {"shell_exits": _SHELL_EXITS} if self._sees_shell else {}
        request = self._client.execute(
            source,
            user_expressions=expressions,
            allow_stdin=self._attended,
            stop_on_error=False,  # requests go one at a time: there is no queue to abort
        )
        self._busy = True
        return str(request)

    async def interrupt(self) -> None:
        with suppress(RuntimeError, OSError):  # it died meanwhile: `Died` says so
            await self._manager.interrupt_kernel()

    async def kill(self) -> None:
        """SIGKILL to its process group: shell commands of the cell go too."""
        if self._manager.provisioner is not None:
            await self._manager.provisioner.send_signal(signal.SIGKILL)

    async def answer(self, text: str) -> None:
        self._client.input(text)

    async def close(self) -> None:
        """End the process; all that it still says is delivered first."""
        self._tasks.pop().cancel()  # the watch: from here on its end is no news
        if await self._manager.is_alive():
            await self._linger()
            await self._manager.shutdown_kernel()
        await self._until_quiet()
        await self._clean()

    async def _linger(self) -> None:
        """Let the threads that the runbook left running end and print, as Python does at exit:
        ipykernel closes iopub before it waits for them, and their output would be lost."""
        if not self._sees_shell or self._busy:
            return
        request = self._silently(_JOIN_THREADS)
        deadline = self._loop_time() + LINGER + 1
        while request in self._own and self._loop_time() < deadline:
            await asyncio.sleep(0.01)

    async def _clean(self) -> None:
        """Leave no task, socket, connection file or process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "_client"):
            self._client.stop_channels()
        if await self._manager.is_alive():
            await self._manager.shutdown_kernel(now=True)
        await self._manager.cleanup_resources()
        self._context.destroy(linger=0)
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _read(self, channel: Any, handle: Callable[[dict[str, Any]], None]) -> None:
        """Hand over every message of a channel; many at a time, since a poll costs the most."""
        raw: zmq.Socket[bytes] = zmq.Socket.shadow(channel.socket.underlying)
        while True:
            await channel.socket.poll()
            for _ in range(_BATCH):
                try:
                    parts = raw.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._last_message = self._loop_time()
                self._handle(channel, parts, handle)
            await asyncio.sleep(0)

    def _handle(
        self, channel: Any, parts: list[bytes], handle: Callable[[dict[str, Any]], None]
    ) -> None:
        try:
            message = wire.unpack(parts, channel.session.sign)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            logging.getLogger(__name__).warning("a message was not understood: %s", error)
            return
        handle(message)

    def _on_iopub(self, message: dict[str, Any]) -> None:
        request, content = wire.parent(message), message["content"]
        if message["msg_type"] == "status":
            if content.get("execution_state") == "idle":
                self._idle.add(request)
                self._deliver(request)
            return
        said = wire.as_message(request, message["msg_type"], content)
        if said is not None:
            self._sink(said)

    def _on_shell(self, message: dict[str, Any]) -> None:
        request = wire.parent(message)
        if message["msg_type"] != "execute_reply":
            return
        if request in self._own:
            self._own.discard(request)
        else:
            self._replies[request] = wire.replied(request, message["content"])
            self._deliver(request)

    def _deliver(self, request: str) -> None:
        """A reply counts when iopub has said `idle` for it: its outputs are all there then."""
        if request in self._idle and request in self._replies:
            self._idle.discard(request)
            self._busy = False
            self._sink(self._replies.pop(request))

    def _on_stdin(self, message: dict[str, Any]) -> None:
        if message["msg_type"] == "input_request":
            self._sink(wire.input_wanted(wire.parent(message), message["content"]))

    async def _watch(self) -> None:
        """Notice the end of the process within a tenth of a second."""
        provisioner: Any = self._manager.provisioner
        while (code := await provisioner.poll()) is None:
            await asyncio.sleep(0.1)
        await self._until_quiet()
        self._sink(Died(generation=self._generation, why=_how_it_ended(code)))

    async def _until_quiet(self) -> None:
        self._last_message = self._loop_time()
        while self._loop_time() - self._last_message < _QUIET:
            await asyncio.sleep(_QUIET / 3)

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


def _speaks_ipc(spec: KernelSpec) -> bool:
    """Whether the kernel is built on ipykernel. Others may know TCP only; over ipc no port is
    open to other users of the machine."""
    return any("ipykernel" in word or "bash_kernel" in word for word in spec.argv)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"the kernel process ended with status {code}"
    try:
        named = signal.Signals(-code).name
    except ValueError:
        named = f"signal {-code}"
    hint = ": killed from outside, or out of memory" if named == "SIGKILL" else ""
    return f"the kernel process was ended by {named}{hint}"
