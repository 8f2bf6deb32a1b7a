"""Events of a kernel, of its role and of the processes that cells started."""

from typing import Any

from nbrun.core.events.base import EventBase, KernelProcess, RemoteKernel
from nbrun.core.model import EventPart, Identity


class KernelStarted(EventBase, frozen=True, kw_only=True, tag="kernel.started"):
    """A kernel became ready. `identities`: the identities that the run's role gives it.

    `process` is None for a kernel elsewhere, and `remote` for one on this machine.
    `doubts`: what may have gone wrong in a step that this kernel calls a success.
    """

    generation: int
    kernelspec: str
    language: str
    language_info: dict[str, Any] = {}
    implementation: str = ""
    process: KernelProcess | None = None
    identities: tuple[Identity, ...] = ()
    remote: RemoteKernel | None = None
    doubts: tuple[str, ...] = ()


class KernelDied(EventBase, frozen=True, kw_only=True, tag="kernel.died"):
    """A kernel's process ended unasked, or a kernel could not be started.

    `may_run`: nbrun has only lost its way to the kernel, which may still run, and run a step.
    """

    generation: int
    why: str
    may_run: bool = False


class KernelSuspended(EventBase, frozen=True, kw_only=True, tag="kernel.suspended"):
    """Something outside nbrun stopped the kernel's process, for example with SIGSTOP."""

    generation: int
    pid: int


class KernelContinued(EventBase, frozen=True, kw_only=True, tag="kernel.continued"):
    """The kernel's stopped process continues."""

    generation: int
    pid: int


class KernelRestarted(EventBase, frozen=True, kw_only=True, tag="kernel.restarted"):
    """A new kernel replaced the previous one.

    `lost`: names that steps had defined in the previous kernel and that no setup step defines
    again; None when the kernel's language is not supported for this.
    """

    generation: int
    kernelspec: str
    why: str
    process: KernelProcess | None = None
    lost: tuple[str, ...] | None = None
    identities: tuple[Identity, ...] = ()
    remote: RemoteKernel | None = None


class KernelReattached(EventBase, frozen=True, kw_only=True, tag="kernel.reattached"):
    """The run connected again to the kernel that it had before, variables included.

    - `gap`: seconds up to now in which no process listened. Output printed in that time is lost.
    - `buffered`: a gateway may have kept that output, and sends what it has kept from now on.
    """

    generation: int
    gap: float
    buffered: bool = False


class KernelDisconnected(EventBase, frozen=True, kw_only=True, tag="kernel.disconnected"):
    """The connection to a remote kernel was lost. The kernel lives on; nbrun connects again."""

    generation: int
    why: str


class GatewayFailed(EventBase, frozen=True, kw_only=True, tag="gateway.failed"):
    """The gateway did not do what nbrun asked it for, or dropped output of the kernel.

    `action`: what nbrun wanted, in words, such as "interrupt the kernel".
    """

    generation: int
    action: str
    why: str


class KernelIdle(EventBase, frozen=True, kw_only=True, tag="kernel.idle"):
    """A reattached kernel has finished what it was doing.

    `told`: what the kernel knows about the attempt whose end nobody saw; empty if it knows nothing.
    """

    generation: int
    told: str = ""


class KernelInterrupted(EventBase, frozen=True, kw_only=True, tag="kernel.interrupted"):
    """nbrun sent the kernel SIGINT or an interrupt request.

    `kill`: nbrun killed the kernel instead. `timeout`: the step's own time limit caused it.
    """

    generation: int
    why: str
    kill: bool = False
    timeout: bool = False


class KernelUnresponsive(EventBase, frozen=True, kw_only=True, tag="kernel.unresponsive"):
    """A busy kernel has not answered for `silent` seconds, though it can answer while it works.

    - `heartbeat`: True if its heartbeat channel answers; None if that was not probed.
    - `state`: the process state that the system reports (`running`, `sleeping`, `disk-sleep`, …).
    - `cpu`: seconds of processor time used meanwhile; None if it can't be read.
    """

    generation: int
    pid: int
    silent: float
    heartbeat: bool | None
    state: str
    cpu: float | None = None


class KernelResponded(EventBase, frozen=True, kw_only=True, tag="kernel.responded"):
    """An unresponsive kernel answers again, after `silent` seconds."""

    generation: int
    silent: float


class InterruptUnheeded(EventBase, frozen=True, kw_only=True, tag="interrupt.unheeded"):
    """The step still runs `waited` seconds after the operator interrupted it.

    Consoles now offer to kill the kernel.
    """

    generation: int
    waited: float


class RoleRefreshed(EventBase, frozen=True, kw_only=True, tag="role.refreshed"):
    """The role was taken again before its credentials expired; the kernel has the new ones."""

    generation: int
    role: str
    identities: tuple[Identity, ...]


class RoleNotRefreshed(EventBase, frozen=True, kw_only=True, tag="role.not_refreshed"):
    """The role could not be taken again; nbrun will retry.

    `until`: when the kernel's credentials expire, RFC 3339 UTC.
    """

    role: str
    why: str
    until: str


class ProcessLeft(EventPart, frozen=True, kw_only=True):
    """A running process: its pid and its command line, shortened."""

    pid: int
    command: str


class ProcessesLeft(EventBase, frozen=True, kw_only=True, tag="processes.left"):
    """Processes that a cut-short attempt, or any cell of a kernel, had started are still running.

    Checked a moment after the attempt or, with `at_end`, after the run's kernel has ended. `more`:
    how many processes there are besides. `step` is None if some step of a kernel started them that
    has ended, or was gone when the run was resumed.
    """

    step: str | None = None
    attempt: int = 0
    processes: tuple[ProcessLeft, ...]
    more: int = 0
    at_end: bool = False


class BackgroundEnded(EventBase, frozen=True, kw_only=True, tag="background.ended"):
    """Work that cells had started in the background ended with the kernel, unfinished.

    `processes` and `more` are as in `processes.left`. `threads` and `tasks` of asyncio, by their
    names, had not ended in the seconds that nbrun gives them.
    """

    generation: int
    processes: tuple[ProcessLeft, ...] = ()
    more: int = 0
    threads: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
