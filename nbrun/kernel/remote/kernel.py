"""One kernel at a time on a gateway: started or found again, used and ended."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from nbrun.core.events import RemoteKernel as RecordedKernel
from nbrun.errors import KernelError, UnreachableKernelError
from nbrun.kernel import protocol
from nbrun.kernel.background import Background
from nbrun.kernel.kinds.known import kind_of
from nbrun.kernel.messages import KernelInfo, Sink
from nbrun.kernel.remote.api import GatewayError
from nbrun.kernel.remote.channels import RemoteChannels
from nbrun.kernel.remote.kernel_socket import ClientSession
from nbrun.kernel.remote.launcher import GatewayLauncher

READY_TIMEOUT = 60.0  # seconds for a started kernel to answer
_ASK_INTERVAL = 1.0  # seconds until a kernel that has not answered is asked again
_POLL_INTERVAL = 0.05  # seconds


class RemoteKernel:
    """A kernel on a gateway (`messages.Kernel`).

    The gateway starts, interrupts and ends it over HTTP; everything else goes over a websocket.
    """

    def __init__(
        self,
        launcher: GatewayLauncher,
        sink: Sink,
        *,
        on_secrets: Callable[[Mapping[str, str]], None] = lambda _secrets: None,
        traceparent: Callable[[], str] = str,
    ) -> None:
        """Start nothing yet. `on_secrets` gets the gateway's secrets now, and when they change.

        `traceparent`: as for `LocalKernel`.
        """
        self._traceparent = traceparent
        self._api = launcher.api
        self._name = launcher.name
        self._attended = launcher.attended
        self._generation = launcher.generation
        self._sink = sink
        self._live: RemoteChannels | None = None
        self._is_ipykernel = False
        self._left_behind: set[str] = set()  # kernels that may still run on the gateway
        self._api.credentials.report_secrets_to(on_secrets)

    def start(self, give_up: Callable[[], bool] = lambda: False) -> KernelInfo:
        try:
            self._end_live()
            self._end_left_behind()
        except GatewayError as error:
            raise UnreachableKernelError(str(error)) from error
        self._generation += 1
        channels: RemoteChannels | None = None
        try:
            kernel = self._started(give_up)
            channels = self._channels(kernel, ClientSession())
            info = self._ready(channels, give_up)
        except Exception as error:  # whatever the libraries raise, the kernel is not up
            if channels is not None:
                self._discard(channels)
            raise KernelError(f"the kernel {self._name!r} did not start: {error}") from error
        self._live = channels
        return info

    def _started(self, give_up: Callable[[], bool]) -> str:
        """Return the id of a new kernel. If the operator gives up, the kernel is ended later."""
        starting = _Starting(self._api.start, self._name, self._api.end)
        while not starting.done.wait(_POLL_INTERVAL):
            if give_up() and starting.abandon():
                raise KernelError("the operator gave up waiting")
        return starting.result()

    def _channels(self, kernel: str, session: ClientSession) -> RemoteChannels:
        return RemoteChannels(self._api, kernel, self._generation, self._sink, session)

    def _ready(self, channels: RemoteChannels, give_up: Callable[[], bool]) -> KernelInfo:
        """Return what the kernel says of itself, with the prelude of its kind on the way."""
        channels.open()
        first, second = self._wait_for_infos(channels, give_up)
        content = first["content"]
        own = first["session"] == second["session"] != channels.client_session
        channels.kernel_session = first["session"] if own else ""
        info = protocol.kernel_info(content, self._name, self._generation)
        kind = kind_of(info.implementation)
        self._is_ipykernel = kind.is_ipykernel
        channels.use_kind(kind)
        prelude = kind.prelude()
        if prelude:
            channels.execute_silently(prelude)
        remote = RecordedKernel(
            gateway=self._api.settings.url,
            id=channels.kernel,
            session=channels.kernel_session,
            client=channels.client_session,
        )
        return msgspec.structs.replace(info, remote=remote, doubts=kind.doubts)

    def _wait_for_infos(
        self, channels: RemoteChannels, give_up: Callable[[], bool]
    ) -> list[dict[str, Any]]:
        """Return the replies to two questions.

        A kernel with a session of its own gives both replies the same one (see `RemoteKernel`).
        """
        deadline, asked = time.monotonic() + READY_TIMEOUT, 0.0
        while len(channels.infos()) < 2:
            if give_up():
                raise KernelError("the operator gave up waiting")
            if not channels.is_connected:
                raise KernelError("the connection was lost before the kernel was ready")
            if time.monotonic() > deadline:
                raise KernelError(f"it did not answer within {READY_TIMEOUT:.0f} s")
            if time.monotonic() - asked > _ASK_INTERVAL:
                channels.ask_info()
                channels.ask_info()
                asked = time.monotonic()
            channels.wait_for_progress()
        return channels.infos()[:2]

    def adopt(self, info: KernelInfo, give_up: Callable[[], bool]) -> None:
        remote = info.remote
        if remote is None:
            raise KernelError("the record does not say where it is")
        if remote.gateway != self._api.settings.url:
            raise KernelError(f"it is on another gateway, {remote.gateway}")
        self._generation = info.generation
        channels = self._channels(remote.id, ClientSession(remote.client))
        channels.kernel_session = remote.session
        kind = kind_of(info.implementation)
        self._is_ipykernel = kind.is_ipykernel
        channels.use_kind(kind)
        try:
            is_there = self._find(channels, give_up)
        except Exception as error:  # whatever the libraries raise, the kernel can't be used
            channels.close()
            self._left_behind.add(remote.id)
            raise UnreachableKernelError(str(error)) from error
        if not is_there:
            channels.close()
            raise KernelError(f"{remote.gateway} does not have it any more")
        self._live = channels
        channels.pass_early_output()
        channels.probe(lambda content: self._sink(protocol.idled(self._generation, content)))

    def _find(self, channels: RemoteChannels, give_up: Callable[[], bool]) -> bool:
        """Connect to a kernel that was left. Try again while the gateway can't be reached.

        Return False if the gateway does not have the kernel any more.
        """
        deadline = time.monotonic() + self._api.settings.reconnect
        while True:
            try:
                if not self._api.has_kernel(channels.kernel):
                    return False
                channels.open()
            except GatewayError as error:
                if error.is_refused or time.monotonic() > deadline:
                    raise
                if give_up():
                    raise KernelError(f"{error}, and the operator gave up waiting") from error
                time.sleep(_ASK_INTERVAL)
            else:
                return True

    def execute(self, source: str) -> str:
        traceparent = self._traceparent()
        metadata = {"nbrun": {"traceparent": traceparent}} if traceparent else {}
        return self._channels_of_live.execute(source, allow_stdin=self._attended, metadata=metadata)

    def interrupt(self) -> None:
        self._channels_of_live.interrupt()

    def kill(self) -> None:
        self._channels_of_live.kill()

    def answer(self, text: str) -> None:
        self._channels_of_live.send_input(text)

    def shutdown(self) -> None:
        try:
            self._end_live()
            self._end_left_behind()
        except KernelError as error:  # it was reported
            logging.getLogger(__name__).warning("%s", error)

    def _end_live(self) -> None:
        """End the kernel, and deliver its last messages.

        Raises:
            KernelError: the gateway did not end the kernel, which may still run.
        """
        channels, self._live = self._live, None
        if channels is None:
            return
        self._left_behind.add(channels.kernel)
        background = Background(None, 0.0, self._generation)
        if self._is_ipykernel and channels.is_connected and not channels.busy:
            background.let_finish(channels, lambda: channels.is_connected)
        channels.expect_exit()
        try:
            self._end_left_behind()
            channels.wait_for_last_messages()
        except GatewayError as error:
            channels.report_trouble("end the kernel", error)
            raise
        finally:
            channels.close()
        left = background.report(ended_by_kernel=True)
        if left is not None:
            self._sink(left)

    def _end_left_behind(self) -> None:
        """End kernels that may still run on the gateway, before another one starts.

        Raises:
            GatewayError: one can't be ended.
        """
        for kernel in sorted(self._left_behind):
            try:
                self._api.end(kernel)
            except GatewayError as error:
                raise GatewayError(
                    f"the old kernel ({kernel}) could not be ended, and may still run a step: "
                    f"{error}",
                    is_refused=error.is_refused,
                ) from error
            self._left_behind.discard(kernel)

    def _discard(self, channels: RemoteChannels) -> None:
        """End a kernel that did not become ready; remember it if that can't be done now."""
        channels.expect_exit()
        channels.close()
        self._left_behind.add(channels.kernel)
        try:
            self._end_left_behind()
        except GatewayError as error:
            logging.getLogger(__name__).warning("%s", error)

    @property
    def _channels_of_live(self) -> RemoteChannels:
        if self._live is None:
            raise KernelError("no kernel is running")
        return self._live


class _Starting:
    """A kernel that is being started on a thread. It is ended if nobody waits for it any more."""

    def __init__(self, start: Callable[[str], str], name: str, end: Callable[[str], None]) -> None:
        self.done = threading.Event()
        self._start, self._name, self._end = start, name, end
        self._lock = threading.Lock()
        self._abandoned = False
        self._kernel = ""
        self._error: Exception | None = None
        threading.Thread(target=self._run, name="nbrun-start", daemon=True).start()

    def _run(self) -> None:
        try:
            kernel = self._start(self._name)
        except Exception as error:  # noqa: BLE001  `result` raises it
            self._error = error
        else:
            with self._lock:
                self._kernel = kernel
            if self._abandoned:
                self._end_late(kernel)
        self.done.set()

    def _end_late(self, kernel: str) -> None:
        try:
            self._end(kernel)
        except GatewayError as error:
            logging.getLogger(__name__).warning("a kernel that nobody waits for: %s", error)

    def abandon(self) -> bool:
        """Have the kernel ended as soon as it is there. Return False if it is there already."""
        with self._lock:
            self._abandoned = not (self._kernel or self._error)
        return self._abandoned

    def result(self) -> str:
        """Return the kernel's id, or raise what was raised instead."""
        if self._error is not None:
            raise self._error
        return self._kernel
