"""What a kernel says, as frozen data, and what can be asked of it: between kernel and engine."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from nbrun.core.events import KernelProcess
from nbrun.core.model import Identity
from nbrun.kernel.lazy_text import LongText


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """`request`: the id that `Kernel.execute` returned for the code that this is about."""

    request: str


class Printed(_Message, frozen=True, kw_only=True):
    """A chunk of stdout or stderr (`name`)."""

    name: str
    text: str


class PrintedMuch(_Message, frozen=True, kw_only=True):
    """A chunk that is very long. Whoever takes it decodes one piece after the other."""

    name: str
    text: LongText

    def pieces(self) -> Iterator[Printed]:
        for piece in self.text:
            yield Printed(request=self.request, name=self.name, text=piece)


class Displayed(_Message, frozen=True, kw_only=True):
    """One nbformat 4 output that is no stream."""

    output: dict[str, Any]
    display_id: str | None = None


class DisplayUpdated(_Message, frozen=True, kw_only=True):
    display_id: str
    data: dict[str, Any]
    metadata: dict[str, Any]


class Cleared(_Message, frozen=True, kw_only=True):
    wait: bool


class WidgetChanged(_Message, frozen=True, kw_only=True):
    """What of an ipywidgets model shows how far something is: `state` has only such keys."""

    model: str
    state: dict[str, Any]


class Capped(_Message, frozen=True, kw_only=True):
    """More came than `limit` bytes of output: what was let go so far (see `output_cap`)."""

    limit: int
    outputs: int
    bytes: int
    sha256: str


class InputWanted(_Message, frozen=True, kw_only=True):
    prompt: str
    password: bool


class Replied(_Message, frozen=True, kw_only=True):
    """The execute_reply, and every output before it has been delivered.

    `shell_exits`: the exit codes of the cell's shell commands, in order, as far as the kernel can
    tell. `exit_asked`: the cell asked the kernel to end.
    """

    status: str
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exits: tuple[int, ...] = ()
    exit_asked: bool = False


class Died(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel process is gone, and all that it said has been delivered."""

    generation: int
    why: str


class Suspended(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's process was stopped from outside, or (not `suspended`) goes on again."""

    generation: int
    pid: int
    suspended: bool


class Unresponsive(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that is at work has answered nothing for `silent` seconds (see
    `events.KernelUnresponsive`)."""

    generation: int
    pid: int
    silent: float
    heartbeat: bool | None
    state: str
    cpu: float | None = None


class Responded(msgspec.Struct, frozen=True, kw_only=True):
    """One that was unresponsive answers again, after `silent` seconds."""

    generation: int
    silent: float


class Idled(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel that was adopted has ended what it was doing. `ended`: how many requests it has seen
    through, nbrun's own not counted; None where it can't tell. `error`: what the last one ended
    in; None when all was well."""

    generation: int
    ended: int | None = None
    error: str | None = None


KernelOutput = Printed | Displayed | DisplayUpdated | Cleared | WidgetChanged | Capped
Message = (
    KernelOutput
    | PrintedMuch
    | InputWanted
    | Replied
    | Died
    | Idled
    | Suspended
    | Unresponsive
    | Responded
)


class KernelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a kernel that is ready says of itself. `generation` counts kernels from 1."""

    generation: int
    kernelspec: str
    language: str
    language_info: dict[str, Any]
    implementation: str
    process: KernelProcess | None = None
    identities: tuple[Identity, ...] = ()


class Kernel(Protocol):
    """One kernel at a time. Messages go to the sink it was made with, from its own thread."""

    def start(self, give_up: Callable[[], bool]) -> KernelInfo:
        """Start, or start anew after ending the one there is. `give_up` is asked now and then.

        Raises:
            KernelError: it did not become ready, or `give_up` said so; nothing of it is left.
        """

    def adopt(self, process: KernelProcess, info: KernelInfo, give_up: Callable[[], bool]) -> None:
        """Speak to the kernel that another process had started, which was `info`; `Idled` follows
        when it has ended what it is doing.

        Raises:
            KernelError: it is gone, or `give_up` said so before it answered; nothing of it is left.
        """

    def execute(self, source: str) -> str:
        """Send `source`; the id of the request, which its messages will carry."""

    def interrupt(self) -> None:
        """Ask the running code to stop, as a Jupyter front end does."""

    def kill(self) -> None:
        """End the process at once; `Died` follows."""

    def answer(self, text: str) -> None:
        """The line for the last `InputWanted`."""

    def shutdown(self) -> None:
        """End the kernel if there is one, deliver what it still says, leave nothing behind."""


Sink = Callable[[Message], None]
