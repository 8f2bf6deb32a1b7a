"""Events of a run, as frozen data: the journal's schema.

Every event is one line of the journal, and the struct's tag is the line's `event`. Times within
events are in seconds. Text is recorded as the kernel sent it: views sanitize it for display, the
record never does.
"""

from typing import Protocol

import msgspec

from nbrun.core.events.attempts import (
    AttemptFinished,
    AttemptIndeterminate,
    AttemptSettled,
    AttemptStarted,
    InputAnswered,
    InputRequested,
)
from nbrun.core.events.base import (
    SCHEMA_VERSION,
    AttemptCause,
    KernelProcess,
    Outcome,
    RemoteKernel,
    RunOutcome,
    StopReason,
)
from nbrun.core.events.copies import (
    ForwardingFailed,
    ForwardingResumed,
    IndexFailed,
    SealFailed,
    TraceFailed,
)
from nbrun.core.events.kernel import (
    BackgroundEnded,
    GatewayFailed,
    InterruptUnheeded,
    KernelContinued,
    KernelDied,
    KernelDisconnected,
    KernelIdle,
    KernelInterrupted,
    KernelReattached,
    KernelResponded,
    KernelRestarted,
    KernelStarted,
    KernelSuspended,
    KernelUnresponsive,
    ProcessesLeft,
    ProcessLeft,
    RoleNotRefreshed,
    RoleRefreshed,
)
from nbrun.core.events.notifications import NotificationFailed, NotificationSent
from nbrun.core.events.outputs import (
    Output,
    OutputCapped,
    OutputCleared,
    OutputUpdated,
    WidgetsChanged,
)
from nbrun.core.events.people import (
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRejected,
    ConnectionRefused,
    Decided,
    DecisionProposed,
    DecisionRefused,
    Deviated,
    HandoverAccepted,
    HandoverOffered,
    HandoverWithdrawn,
    NoteAdded,
    OperatorAttached,
    OperatorDetached,
)
from nbrun.core.events.run import (
    Resumed,
    RunbookReplaced,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    Stopped,
)

Event = (
    RunStarted
    | KernelStarted
    | KernelDied
    | KernelRestarted
    | KernelReattached
    | KernelIdle
    | KernelInterrupted
    | AttemptStarted
    | Output
    | OutputUpdated
    | OutputCleared
    | InputRequested
    | InputAnswered
    | AttemptFinished
    | AttemptIndeterminate
    | AttemptSettled
    | Stopped
    | Resumed
    | Decided
    | DecisionRefused
    | ConnectionRefused
    | Deviated
    | OperatorAttached
    | OperatorDetached
    | RunInterrupted
    | RunResumed
    | RunbookReplaced
    | ApprovalGranted
    | ApprovalRejected
    | NoteAdded
    | RunFinished
    | OutputCapped
    | SealFailed
    | IndexFailed
    | ForwardingFailed
    | ForwardingResumed
    | TraceFailed
    | KernelSuspended
    | KernelContinued
    | WidgetsChanged
    | ProcessesLeft
    | BackgroundEnded
    | KernelUnresponsive
    | KernelResponded
    | InterruptUnheeded
    | DecisionProposed
    | RoleRefreshed
    | RoleNotRefreshed
    | KernelDisconnected
    | GatewayFailed
    | ApprovalExpired
    | HandoverOffered
    | HandoverAccepted
    | HandoverWithdrawn
    | NotificationSent
    | NotificationFailed
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal: an event, its position, its time and its hash.

    `seq` counts from 0 without gaps. `at` is RFC 3339 UTC with microseconds. `mono` is seconds
    since the run began by the monotonic clock. `prev` is the SHA-256 of the line before; `hash` is
    that of this line, and the next line's `prev`.
    """

    seq: int
    at: str
    mono: float
    event: Event
    prev: str
    hash: str


class TimestampedEvent(Protocol):
    """An event and the time it was recorded, as a `Record` has them."""

    @property
    def event(self) -> Event: ...

    @property
    def at(self) -> str: ...
