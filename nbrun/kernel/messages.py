"""A kernel's messages as frozen data, and the interface of a kernel: what the engine depends on."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from nbrun.core.events import KernelProcess, RemoteKernel
from nbrun.core.model import Identity
from nbrun.kernel.lazy_text import LazyText
from nbrun.system.processes import Descendant


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message about a request: the id that `Kernel.execute` returned, or empty if unknown."""

    request: str


class TextPrinted(_Message, frozen=True, kw_only=True):
    """Text printed to a stream: `name` is `stdout` or `stderr`.

    `widget`, here and below: the ipywidgets `Output` model that captured it; empty for none.
    """

    name: str
    text: str
    widget: str = ""


class LongTextPrinted(_Message, frozen=True, kw_only=True):
    """Text too long to be decoded at once. The receiver iterates over its pieces."""

    name: str
    text: LazyText
    widget: str = ""

    def pieces(self) -> Iterator[TextPrinted]:
        for piece in self.text:
            yield TextPrinted(request=self.request, name=self.name, text=piece, widget=self.widget)


class Displayed(_Message, frozen=True, kw_only=True):
    """An nbformat 4 output other than a stream: `display_data`, `execute_result` or `error`."""

    output: dict[str, Any]
    display_id: str | None = None
    widget: str = ""


class DisplayUpdated(_Message, frozen=True, kw_only=True):
    """New content of every output that has this `display_id`."""

    display_id: str
    data: dict[str, Any]
    metadata: dict[str, Any]


class Cleared(_Message, frozen=True, kw_only=True):
    """The cell's outputs are cleared: now, or (`wait`) when the next output comes."""

    wait: bool
    widget: str = ""


class WidgetChanged(_Message, frozen=True, kw_only=True):
    """A change of an ipywidgets model. `state` has only keys that are shown.

    `closed`: the model was closed, and with it all of its views.
    """

    model: str
    state: dict[str, Any]
    closed: bool = False


class Capped(_Message, frozen=True, kw_only=True):
    """Output past the limit was dropped: so far, this many `outputs` of `bytes` bytes in all.

    `limit` is in bytes; `sha256` is the digest of everything dropped (see `output_limit`).
    """

    limit: int
    outputs: int
    bytes: int
    sha256: str


class InputWanted(_Message, frozen=True, kw_only=True):
    """The cell asks for a line of input. `password`: it must not be shown."""

    prompt: str
    password: bool


class Replied(_Message, frozen=True, kw_only=True):
    """The execute_reply. All output of the request has been delivered before.

    `shell_exits` are the exit codes of the cell's shell commands, in order, as far as the kernel
    reports them. `shell_failure` describes the failed ones if the kernel's kind can say it better
    than by their numbers. `nested_error` is the name and the text of the first error that the
    kernel showed although the cell neither raised nor caught it. `exit_asked`: the cell asked the
    kernel to exit.
    """

    status: str
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exits: tuple[int, ...] = ()
    shell_failure: str = ""
    nested_error: tuple[str, str] | None = None
    exit_asked: bool = False


class Died(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's process has ended unexpectedly. Its last messages have been delivered before.

    `may_run`: the kernel can't be reached any more, and may still run.
    """

    generation: int
    why: str
    may_run: bool = False


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's process was stopped from outside (SIGSTOP), or continues (not `suspended`)."""

    generation: int
    pid: int
    suspended: bool


class Unresponsive(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel at work has not answered for `silent` seconds (see `events.KernelUnresponsive`).

    `heartbeat`: the heartbeat is answered; None if the kernel was not probed. `state` of the
    process is in psutil's words. `cpu`: seconds of processor time used since the probe.
    """

    generation: int
    pid: int
    silent: float
    heartbeat: bool | None
    state: str
    cpu: float | None = None


class Responded(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that was reported unresponsive answers again, after `silent` seconds."""

    generation: int
    silent: float


class Idled(msgspec.Struct, frozen=True, kw_only=True):
    """An adopted kernel has finished what it was executing.

    `ended` counts the requests that it has finished in all, without nbrun's own; None if unknown.
    `error` is that of the last one; None if it had none.
    """

    generation: int
    ended: int | None = None
    error: str | None = None


class Disconnected(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to a remote kernel was lost. `Reconnected` or `Died` follows."""

    generation: int
    why: str


class Reconnected(msgspec.Struct, frozen=True, kw_only=True):
    """The remote kernel was found again after `gap` seconds; `Idled` follows."""

    generation: int
    gap: float


class ReplyLost(_Message, frozen=True, kw_only=True):
    """The reply to a request will never come, and nobody knows what became of the request."""

    why: str


class GatewayTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway did not do `action` (see `events.GatewayFailed`)."""

    generation: int
    action: str
    why: str


class LeftInBackground(msgspec.Struct, frozen=True, kw_only=True):
    """The work that cells had left in the background of a kernel that has ended.

    Programs `ended` with the kernel, or are `running`. `threads` and `tasks` of asyncio, by their
    names, did not end in the time that they were given.
    """

    generation: int
    ended: tuple[Descendant, ...] = ()
    running: tuple[Descendant, ...] = ()
    threads: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


KernelOutput = TextPrinted | Displayed | DisplayUpdated | Cleared | WidgetChanged | Capped
Message = (
    KernelOutput
    | LongTextPrinted
    | InputWanted
    | Replied
    | Died
    | Idled
    | Suspended
    | Unresponsive
    | Responded
    | LeftInBackground
    | Disconnected
    | Reconnected
    | ReplyLost
    | GatewayTrouble
)


class KernelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel's description of itself, once it is ready. `generation` counts kernels from 1.

    `doubts`: what may have gone wrong in a step that this kernel calls a success.
    """

    generation: int
    kernelspec: str
    language: str
    language_info: dict[str, Any]
    implementation: str
    process: KernelProcess | None = None
    identities: tuple[Identity, ...] = ()
    remote: RemoteKernel | None = None
    doubts: tuple[str, ...] = ()


class Kernel(Protocol):
    """One kernel at a time. Its own thread sends the messages to the sink it was made with."""

    def start(self, give_up: Callable[[], bool]) -> KernelInfo:
        """Start a kernel, after ending the one there is, and wait until it is ready.

        `give_up` is called repeatedly, and ends the wait by returning True.

        Raises:
            KernelError: the kernel did not become ready; nothing of it is left.
        """

    def adopt(self, info: KernelInfo, give_up: Callable[[], bool]) -> None:
        """Connect to the running kernel `info`, which an earlier supervisor started.

        `info` says where it is. `Idled` follows when the kernel has finished what it is executing.

        Raises:
            KernelError: the kernel is gone, or did not answer before `give_up` returned True;
                nothing of it is left.
        """

    def execute(self, source: str) -> str:
        """Send `source`, and return the id of the request, which its messages carry."""

    def interrupt(self) -> None:
        """Interrupt the running code, as a Jupyter front end does."""

    def kill(self) -> None:
        """Kill the process; `Died` follows."""

    def answer(self, text: str) -> None:
        """Send the line that the last `InputWanted` asked for."""

    def shutdown(self) -> None:
        """End the kernel, if there is one, deliver its last messages, and leave nothing behind."""


Sink = Callable[[Message], None]
