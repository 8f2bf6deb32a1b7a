"""What happens in a run, as frozen data: the journal's schema.

Every event is one line of the journal; its tag is the line's `event`. Times within events are
seconds. Text is kept as the kernel sent it: a view makes it safe to show, never the record.
"""

from typing import Any, Literal, Protocol

import msgspec

from nbrun.core.decisions import Settlement
from nbrun.core.model import (
    DeviationKind,
    EventPart,
    Identity,
    Narration,
    Operator,
    Policy,
    RoleTaken,
    Step,
)

SCHEMA_VERSION = 1

Outcome = Literal["ok", "error", "interrupted", "timed_out", "kernel_died"]
RunOutcome = Literal["completed", "cancelled", "failed"]
StopReason = Literal[
    "step_failed",  # the last attempt of the next step did not succeed
    "kernel_died",  # nothing can run until the kernel is restarted
    "kernel_restarted",  # setup steps were run again; the operator says how to go on
    "fill",  # the runbook asks the operator to complete this cell
    "step_mode",  # `--step`, or the operator asked to go step by step
    "paused",  # the operator pressed Ctrl-C between steps
    "returned",  # a step or cell run aside has ended; back where the run stood
    "moved",  # the operator moved the run to this step
    "indeterminate",  # nobody saw an attempt end: the operator says what came of it
    "confirm",  # the runbook asks for a confirmation before this step
    "manual",  # this step is for a person to do
    "approval",  # the runbook asks for the approval of another person than the operator
]
AttemptCause = Literal[
    "script",  # the runbook's next step, in order
    "operator",  # an operator's decision at a stop
    "setup",  # a `setup` or `parameters` step, run again to rebuild a new kernel's state
    "retry",  # the runbook's own: it declares `retries`
]


class KernelProcess(EventPart, frozen=True, kw_only=True):
    """How a kernel is found again. `connection_file` is Jupyter's: its path, which is in the
    process's command line, tells it from a later process with the same `pid`."""

    pid: int
    connection_file: str


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened."""


class RunStarted(_Event, frozen=True, kw_only=True, tag="run.started"):
    """The whole plan, so that the journal needs no other file.

    `metadata` is the notebook's own; `epilogue` the cells after the last step; `git_commit` that
    of the runbook's folder, or None outside a checkout; `boot_id` names the machine's boot, of
    which `mono` counts the seconds; `sign_key` is the fingerprint of the key that is to sign the
    record, empty when none was named; `secrets` the names of the parameters whose values stand
    nowhere in the record; `role` is None where the kernels have nbrun's own environment.
    """

    run: str
    runbook: str
    runbook_sha256: str
    git_commit: str | None = None
    metadata: dict[str, Any] = {}
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...] = ()
    parameters: dict[str, Any] = {}
    kernelspec: str
    cwd: str
    operator: Operator
    host: str
    versions: dict[str, str] = {}
    policy: Policy = Policy()
    reason: str = ""
    ticket: str = ""
    notices: tuple[str, ...] = ()
    boot_id: str = ""
    sign_key: str = ""
    secrets: tuple[str, ...] = ()
    role: RoleTaken | None = None


class KernelStarted(_Event, frozen=True, kw_only=True, tag="kernel.started"):
    """`identities`: as whom it acts by its role, here and where a kernel is restarted."""

    generation: int
    kernelspec: str
    language: str
    language_info: dict[str, Any] = {}
    implementation: str = ""
    process: KernelProcess | None = None
    identities: tuple[Identity, ...] = ()


class KernelDied(_Event, frozen=True, kw_only=True, tag="kernel.died"):
    generation: int
    why: str


class KernelSuspended(_Event, frozen=True, kw_only=True, tag="kernel.suspended"):
    """Something outside has stopped its process: it is there, and does nothing."""

    generation: int
    pid: int


class KernelContinued(_Event, frozen=True, kw_only=True, tag="kernel.continued"):
    """Its process goes on again."""

    generation: int
    pid: int


class KernelRestarted(_Event, frozen=True, kw_only=True, tag="kernel.restarted"):
    """A new kernel in place of the one before. `lost`: the names that steps had made in that one
    and that no setup step makes again; None where the language can't be read."""

    generation: int
    kernelspec: str
    why: str
    process: KernelProcess | None = None
    lost: tuple[str, ...] | None = None
    identities: tuple[Identity, ...] = ()


class KernelReattached(_Event, frozen=True, kw_only=True, tag="kernel.reattached"):
    """The kernel of before the interruption, with its variables. `gap`: seconds, ending now, in
    which nobody listened; what it printed in them is lost."""

    generation: int
    gap: float


class KernelIdle(_Event, frozen=True, kw_only=True, tag="kernel.idle"):
    """A kernel that was reattached to has ended what it was doing. `told`: what it says of the
    attempt that nobody saw end, as far as it knows; empty where it knows nothing."""

    generation: int
    told: str = ""


class KernelInterrupted(_Event, frozen=True, kw_only=True, tag="kernel.interrupted"):
    """SIGINT or an interrupt request was sent; `kill` when the kernel was ended instead;
    `timeout` when it was the step's own time limit that sent it."""

    generation: int
    why: str
    kill: bool = False
    timeout: bool = False


class AttemptStarted(_Event, frozen=True, kw_only=True, tag="attempt.started"):
    """On disk before the kernel is sent `source`. `edited`: it differs from the runbook's."""

    step: str
    attempt: int
    source: str
    edited: bool
    cause: AttemptCause


class Output(_Event, frozen=True, kw_only=True, tag="output"):
    """One nbformat 4 output (stream text as a plain string), in the order it came.

    `late`: it came after its attempt had finished. `display_id` names it for later updates.
    """

    step: str
    attempt: int
    output: dict[str, Any]
    display_id: str | None = None
    late: bool = False


class OutputUpdated(_Event, frozen=True, kw_only=True, tag="output.updated"):
    """Every output shown under `display_id`, in whatever attempt, is now this bundle."""

    step: str
    attempt: int
    display_id: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    late: bool = False


class OutputCleared(_Event, frozen=True, kw_only=True, tag="output.cleared"):
    """The attempt's outputs are cleared: at once, or (`wait`) when its next one comes."""

    step: str
    attempt: int
    wait: bool
    late: bool = False


class InputRequested(_Event, frozen=True, kw_only=True, tag="input.requested"):
    step: str
    attempt: int
    prompt: str
    password: bool


class InputAnswered(_Event, frozen=True, kw_only=True, tag="input.answered"):
    """`answer` is None for a password, which is never recorded."""

    step: str
    attempt: int
    operator: Operator
    answer: str | None


class AttemptFinished(_Event, frozen=True, kw_only=True, tag="attempt.finished"):
    """`duration` in seconds. `shell_exit`: the first non-zero exit of the cell's shell commands,
    0 when all succeeded, None when there were none or the kernel can't tell. `ended_run`: the
    cell asked for the run to end here (`sys.exit(0)`, `exit()`)."""

    step: str
    attempt: int
    outcome: Outcome
    duration: float
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exit: int | None = None
    ended_run: bool = False


class AttemptIndeterminate(_Event, frozen=True, kw_only=True, tag="attempt.indeterminate"):
    """It was started and nobody saw it end."""

    step: str
    attempt: int
    why: str


class AttemptSettled(_Event, frozen=True, kw_only=True, tag="attempt.settled"):
    """What the operator says came of an indeterminate attempt."""

    step: str
    attempt: int
    finding: Settlement
    operator: Operator
    reason: str = ""


class Stopped(_Event, frozen=True, kw_only=True, tag="stopped"):
    """The run waits for a decision about `step`: the first one not yet passed, or that of an
    indeterminate attempt."""

    reason: StopReason
    step: str | None
    detail: str = ""


class Resumed(_Event, frozen=True, kw_only=True, tag="resumed"):
    """A decision has ended the stop."""


class Decided(_Event, frozen=True, kw_only=True, tag="decision"):
    """What the operator chose. `step` and `source` where the choice names them; `typed` where the
    step asks for a text to be typed."""

    operator: Operator
    decision: str
    reason: str = ""
    step: str | None = None
    source: str | None = None
    typed: str = ""


class DecisionRefused(_Event, frozen=True, kw_only=True, tag="decision.refused"):
    """A decision that reached the engine and is not allowed where the run stands."""

    operator: Operator
    decision: str
    why: str


class Deviated(_Event, frozen=True, kw_only=True, tag="deviation"):
    """One way in which the run left the script. `diff` is a unified diff, for an edit; `reason`
    what the operator said of the decision that led to it."""

    kind: DeviationKind
    step: str | None = None
    diff: str = ""
    reason: str = ""


class OperatorAttached(_Event, frozen=True, kw_only=True, tag="operator.attached"):
    operator: Operator


class OperatorDetached(_Event, frozen=True, kw_only=True, tag="operator.detached"):
    operator: Operator
    why: str


class RunInterrupted(_Event, frozen=True, kw_only=True, tag="run.interrupted"):
    """The process that wrote the journal is gone, found by a later command. `cut`: bytes of a torn
    last line, which are kept in `kept_in`, a file beside the journal."""

    why: str
    cut: int = 0
    kept_in: str = ""


class RunResumed(_Event, frozen=True, kw_only=True, tag="run.resumed"):
    """An interrupted run goes on, in a new process, which has taken the run's role again. `boot_id`
    names the machine's boot in which `mono` counts from here on; `secrets` the parameters whose
    values were given again, and are kept out of the record from here on."""

    operator: Operator
    host: str
    versions: dict[str, str] = {}
    reason: str = ""
    boot_id: str = ""
    role: RoleTaken | None = None
    secrets: tuple[str, ...] = ()


class RunbookReplaced(_Event, frozen=True, kw_only=True, tag="runbook.replaced"):
    """From here on the run follows these steps: those that were run as they were recorded, the
    others from the runbook as it is now. `diff` is a unified diff."""

    operator: Operator
    runbook_sha256: str
    git_commit: str | None = None
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...] = ()
    diff: str


class ApprovalGranted(_Event, frozen=True, kw_only=True, tag="approval.granted"):
    """Another person than the operator lets `decision` be carried out, about `step`: with this
    source, in this run, with these parameters. `binding` is the SHA-256 of all of it (see
    `approval.binding`). `group`: whose members may."""

    operator: Operator
    step: str | None
    group: str
    binding: str
    reason: str = ""
    decision: str = "run"


class ApprovalRejected(_Event, frozen=True, kw_only=True, tag="approval.rejected"):
    """Another person than the operator does not. What the operator had decided is void; the run
    still waits."""

    operator: Operator
    step: str | None
    reason: str = ""
    decision: str = "run"


class NoteAdded(_Event, frozen=True, kw_only=True, tag="note.added"):
    operator: Operator
    text: str


class RunFinished(_Event, frozen=True, kw_only=True, tag="run.finished"):
    """`counts`: attempts, and steps by how they ended. `notebook_sha256`: of the output notebook,
    None when it could not be written. `why`: one sentence for a person."""

    outcome: RunOutcome
    off_script: bool
    counts: dict[str, int]
    duration: float
    why: str = ""
    notebook_sha256: str | None = None


class OutputCapped(_Event, frozen=True, kw_only=True, tag="output.capped"):
    """More came of the attempt than `limit` bytes, and what came past them is not kept: `outputs`
    of them so far, of `bytes` bytes together, with this SHA-256 (see `output_cap`). Said when it
    begins and when the attempt has ended; a later one of an attempt replaces the one before."""

    step: str
    attempt: int
    limit: int
    outputs: int
    bytes: int
    sha256: str
    late: bool = False


class SealFailed(_Event, frozen=True, kw_only=True, tag="seal.failed"):
    """The record up to its line `upto` could not be signed."""

    upto: int
    why: str


class ForwardingFailed(_Event, frozen=True, kw_only=True, tag="forwarding.failed"):
    """The lines from `since` on could not be sent to `target`; they will be when they can be."""

    target: str
    since: int
    why: str


class ForwardingResumed(_Event, frozen=True, kw_only=True, tag="forwarding.resumed"):
    """The lines up to `upto` have been sent to `target`, those that had failed too."""

    target: str
    upto: int


class RoleRefreshed(_Event, frozen=True, kw_only=True, tag="role.refreshed"):
    """The role was taken again before its credentials ended, and the kernel has the new ones."""

    generation: int
    role: str
    identities: tuple[Identity, ...]


class RoleNotRefreshed(_Event, frozen=True, kw_only=True, tag="role.not_refreshed"):
    """The role could not be taken again; it is tried again. `until`: when the kernel's credentials
    end, RFC 3339 UTC."""

    role: str
    why: str
    until: str


class WidgetsChanged(_Event, frozen=True, kw_only=True, tag="widgets.changed"):
    """What bars of ipywidgets, and the words beside them, show now: of each model (its id) the
    changed ones of `value`, `min`, `max`, `description`, `children`, `bar_style`."""

    step: str
    attempt: int
    models: dict[str, Any]
    late: bool = False


class ProcessLeft(EventPart, frozen=True, kw_only=True):
    """A process that is running: its number and its command line, shortened."""

    pid: int
    command: str


class ProcessesLeft(_Event, frozen=True, kw_only=True, tag="processes.left"):
    """What an attempt that was cut short had started is still running, a moment after it, or
    (`at_end`) after the run's kernel has ended. `more`: how many there are besides. `step` is None
    where the kernel was gone when the run was resumed: then some step of it had started them."""

    step: str | None = None
    attempt: int = 0
    processes: tuple[ProcessLeft, ...]
    more: int = 0
    at_end: bool = False


class KernelUnresponsive(_Event, frozen=True, kw_only=True, tag="kernel.unresponsive"):
    """A kernel that is at work has answered nothing for `silent` seconds, though it can answer
    while it works. `heartbeat`: whether its heartbeat does, None where it was not asked; `state`:
    what the system says of its process (`running`, `sleeping`, `disk-sleep`, …); `cpu`: seconds of
    processor time that it used meanwhile, None where they can't be read."""

    generation: int
    pid: int
    silent: float
    heartbeat: bool | None
    state: str
    cpu: float | None = None


class KernelResponded(_Event, frozen=True, kw_only=True, tag="kernel.responded"):
    """It answers again, after `silent` seconds."""

    generation: int
    silent: float


class InterruptUnheeded(_Event, frozen=True, kw_only=True, tag="interrupt.unheeded"):
    """The step still runs, `waited` seconds after the operator interrupted it, who is offered to
    end the kernel."""

    generation: int
    waited: float


class DecisionProposed(_Event, frozen=True, kw_only=True, tag="decision.proposed"):
    """A decision that needs the approval of another person, and waits for it: `step` that it is
    about, and the exact `source` that it sends. `kinds`: the ways of leaving the script that need
    the approval, none where the step itself does; `group`: whose members may give it, empty for
    anybody else."""

    operator: Operator
    decision: str
    reason: str = ""
    step: str | None = None
    source: str | None = None
    typed: str = ""
    kinds: tuple[DeviationKind, ...] = ()
    group: str = ""


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
    | ForwardingFailed
    | ForwardingResumed
    | KernelSuspended
    | KernelContinued
    | WidgetsChanged
    | ProcessesLeft
    | KernelUnresponsive
    | KernelResponded
    | InterruptUnheeded
    | DecisionProposed
    | RoleRefreshed
    | RoleNotRefreshed
)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An event where it stands in the journal: one line.

    `seq` counts from 0 without holes; `at` is RFC 3339 UTC with microseconds; `mono` is seconds
    since the run began by the monotonic clock; `prev` the SHA-256 of the line before, `hash` that
    of this one, which the next will have as its `prev`.
    """

    seq: int
    at: str
    mono: float
    event: Event
    prev: str
    hash: str


class TimestampedEvent(Protocol):
    """An event, and when it was recorded, as a `Record` has it."""

    @property
    def event(self) -> Event: ...

    @property
    def at(self) -> str: ...
