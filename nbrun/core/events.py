"""Events of a run, as frozen data: the journal's schema.

Every event is one line of the journal, and the struct's tag is the line's `event`. Times within
events are in seconds. Text is recorded as the kernel sent it: views sanitize it for display, the
record never does.
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
    SettingsFile,
    Step,
)

SCHEMA_VERSION = 1

Outcome = Literal["ok", "error", "interrupted", "timed_out", "kernel_died"]
RunOutcome = Literal["completed", "cancelled", "failed"]
StopReason = Literal[
    "step_failed",  # the last attempt of the current step did not succeed
    "kernel_died",  # no step can run until the kernel is restarted
    "kernel_restarted",  # setup steps were run again; the operator decides what to do next
    "fill",  # the runbook asks the operator to complete this cell
    "step_mode",  # `--step`, or the operator asked to go step by step
    "paused",  # the operator pressed Ctrl-C between steps
    "returned",  # a cell run out of order has ended; the run is back at the step where it was
    "moved",  # the operator jumped to this step
    "indeterminate",  # nobody saw an attempt end: the operator states what became of it
    "confirm",  # the runbook asks for a confirmation before this step
    "manual",  # this step is for a person to do
    "approval",  # the runbook asks for the approval of a person other than the operator
]
AttemptCause = Literal[
    "script",  # the runbook's next step, in order
    "operator",  # an operator's decision at a stop
    "setup",  # a `setup` or `parameters` step, run again in a new kernel
    "retry",  # an automatic retry that the runbook declares with `retries`
    "check",  # the check of a step, which the runbook declares; the attempt is of the check's cell
]


class KernelProcess(EventPart, frozen=True, kw_only=True):
    """The process of a kernel, with what is needed to find it again.

    `connection_file` is the path of Jupyter's connection file. It appears in the process's command
    line and so distinguishes the kernel from a later process with the same `pid`.
    """

    pid: int
    connection_file: str


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened in a run."""


class RunStarted(_Event, frozen=True, kw_only=True, tag="run.started"):
    """A run began. The event holds the whole plan, so that the journal needs no other file.

    - `metadata`: the notebook's own metadata.
    - `epilogue`: the Markdown and raw cells after the last step.
    - `git_commit`: the commit checked out in the runbook's folder; None outside a checkout.
    - `boot_id`: the machine's boot, from which `mono` counts the seconds.
    - `sign_key`: fingerprint of the key that will sign the record; empty for no signature.
    - `secrets`: names of the parameters whose values are not recorded.
    - `role`: None when the kernels have nbrun's own environment.
    - `index`: hash of the last line of the operator's index of runs, before this run was entered;
      empty if it could not be read.
    - `settings`: the `nbrun.toml` files that applied, the nearest last.
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
    index: str = ""
    settings: tuple[SettingsFile, ...] = ()


class KernelStarted(_Event, frozen=True, kw_only=True, tag="kernel.started"):
    """A kernel became ready. `identities`: the identities that the run's role gives it."""

    generation: int
    kernelspec: str
    language: str
    language_info: dict[str, Any] = {}
    implementation: str = ""
    process: KernelProcess | None = None
    identities: tuple[Identity, ...] = ()


class KernelDied(_Event, frozen=True, kw_only=True, tag="kernel.died"):
    """A kernel's process ended unasked, or a kernel could not be started."""

    generation: int
    why: str


class KernelSuspended(_Event, frozen=True, kw_only=True, tag="kernel.suspended"):
    """Something outside nbrun stopped the kernel's process, for example with SIGSTOP."""

    generation: int
    pid: int


class KernelContinued(_Event, frozen=True, kw_only=True, tag="kernel.continued"):
    """The kernel's stopped process continues."""

    generation: int
    pid: int


class KernelRestarted(_Event, frozen=True, kw_only=True, tag="kernel.restarted"):
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


class KernelReattached(_Event, frozen=True, kw_only=True, tag="kernel.reattached"):
    """A resumed run connected to the kernel that it had before, variables included.

    `gap`: seconds up to now in which no process listened. Output printed in that time is lost.
    """

    generation: int
    gap: float


class KernelIdle(_Event, frozen=True, kw_only=True, tag="kernel.idle"):
    """A reattached kernel has finished what it was doing.

    `told`: what the kernel knows about the attempt whose end nobody saw; empty if it knows nothing.
    """

    generation: int
    told: str = ""


class KernelInterrupted(_Event, frozen=True, kw_only=True, tag="kernel.interrupted"):
    """nbrun sent the kernel SIGINT or an interrupt request.

    `kill`: nbrun killed the kernel instead. `timeout`: the step's own time limit caused it.
    """

    generation: int
    why: str
    kill: bool = False
    timeout: bool = False


class AttemptStarted(_Event, frozen=True, kw_only=True, tag="attempt.started"):
    """An attempt is about to start: on disk before the kernel receives `source`.

    `edited`: `source` differs from the runbook's.
    """

    step: str
    attempt: int
    source: str
    edited: bool
    cause: AttemptCause


class Output(_Event, frozen=True, kw_only=True, tag="output"):
    """One nbformat 4 output (stream text as a plain string), in the order of arrival.

    `late`: it arrived after its attempt had finished. `display_id` names it for later updates.
    `widget`: the id of the ipywidgets `Output` model that captured it, and that shows it in place
    of the cell; empty for the cell's own output.
    """

    step: str
    attempt: int
    output: dict[str, Any]
    display_id: str | None = None
    late: bool = False
    widget: str = ""


class OutputUpdated(_Event, frozen=True, kw_only=True, tag="output.updated"):
    """Every output shown under `display_id`, of any attempt, changed to this mime bundle."""

    step: str
    attempt: int
    display_id: str
    data: dict[str, Any]
    metadata: dict[str, Any] = {}
    late: bool = False


class OutputCleared(_Event, frozen=True, kw_only=True, tag="output.cleared"):
    """The attempt's outputs were cleared: at once or, if `wait`, when its next output arrives.

    `widget`: what the `Output` model with this id holds was cleared instead; empty for the cell.
    """

    step: str
    attempt: int
    wait: bool
    late: bool = False
    widget: str = ""


class InputRequested(_Event, frozen=True, kw_only=True, tag="input.requested"):
    """The running cell asked for a line of input."""

    step: str
    attempt: int
    prompt: str
    password: bool


class InputAnswered(_Event, frozen=True, kw_only=True, tag="input.answered"):
    """An operator answered. `answer` is None for a password, which is never recorded."""

    step: str
    attempt: int
    operator: Operator
    answer: str | None


class AttemptFinished(_Event, frozen=True, kw_only=True, tag="attempt.finished"):
    """An attempt ended.

    - `duration`: in seconds.
    - `shell_exit`: the first non-zero exit code of the cell's shell commands; 0 when all succeeded;
      None when there were none or the kernel can't tell.
    - `ended_run`: the cell asked for the run to end here (`sys.exit(0)`, `exit()`).
    - `nested_error`: the first error that the kernel showed although the cell neither raised nor
      caught it, as in a script that `%run` runs; its name and its text.
    - `ran_to_end`: nbrun interrupted the attempt, and the kernel still replied that it succeeded.
    - `holds`: what a check said; None if the attempt is not of a check.
    """

    step: str
    attempt: int
    outcome: Outcome
    duration: float
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exit: int | None = None
    ended_run: bool = False
    nested_error: str | None = None
    ran_to_end: bool = False
    holds: bool | None = None


class AttemptIndeterminate(_Event, frozen=True, kw_only=True, tag="attempt.indeterminate"):
    """An attempt was started and nobody saw it end."""

    step: str
    attempt: int
    why: str


class AttemptSettled(_Event, frozen=True, kw_only=True, tag="attempt.settled"):
    """An operator stated what became of an indeterminate attempt.

    `by_check`: nobody was asked; the step's check said it, as the runbook declares. `operator` is
    then the person who started the run.
    """

    step: str
    attempt: int
    finding: Settlement
    operator: Operator
    reason: str = ""
    by_check: bool = False


class Stopped(_Event, frozen=True, kw_only=True, tag="stopped"):
    """The run waits for a decision about `step`.

    `step` is the first step not yet passed, or the step of an indeterminate attempt.
    """

    reason: StopReason
    step: str | None
    detail: str = ""


class Resumed(_Event, frozen=True, kw_only=True, tag="resumed"):
    """A decision ended the stop."""


class Decided(_Event, frozen=True, kw_only=True, tag="decision"):
    """An operator's decision.

    `step` and `source` are set when the decision names them, `typed` when the step asks for a text
    to be typed.
    """

    operator: Operator
    decision: str
    reason: str = ""
    step: str | None = None
    source: str | None = None
    typed: str = ""


class DecisionRefused(_Event, frozen=True, kw_only=True, tag="decision.refused"):
    """A decision was not allowed in the current state, or not from where it came.

    `times`: how often this person's decisions were refused for this reason so far. Of refusals that
    need no operator's attention, only some are recorded: the 1st, 2nd, 4th, 8th and so on.
    """

    operator: Operator
    decision: str
    why: str
    times: int = 1


class ConnectionRefused(_Event, frozen=True, kw_only=True, tag="connection.refused"):
    """A process connected to the run's socket, and the supervisor refused to listen to it.

    Recorded for processes that a kernel of this run started, and for those that ended before they
    could be examined. `times` is as in `decision.refused`.
    """

    operator: Operator
    why: str
    times: int = 1


class Deviated(_Event, frozen=True, kw_only=True, tag="deviation"):
    """The run left the script in one way.

    `diff` is a unified diff, for an edit. `reason` is the reason the operator gave for the decision
    behind it.
    """

    kind: DeviationKind
    step: str | None = None
    diff: str = ""
    reason: str = ""


class OperatorAttached(_Event, frozen=True, kw_only=True, tag="operator.attached"):
    """An operator's console attached to the run."""

    operator: Operator


class OperatorDetached(_Event, frozen=True, kw_only=True, tag="operator.detached"):
    """An operator's console left the run.

    `lost`: the operator did not ask for it. An attended run then waits at its next step.
    """

    operator: Operator
    why: str
    lost: bool = False


class RunInterrupted(_Event, frozen=True, kw_only=True, tag="run.interrupted"):
    """A later command found that the process writing the journal is gone.

    `cut`: length in bytes of a torn last line. It was moved to `kept_in`, a file beside the
    journal.
    """

    why: str
    cut: int = 0
    kept_in: str = ""


class RunResumed(_Event, frozen=True, kw_only=True, tag="run.resumed"):
    """A new process continues an interrupted run and has taken the run's role again.

    `boot_id`: the machine's boot from which `mono` counts from here on. `secrets`: the parameters
    whose values were entered again; they are redacted from here on. `settings`: the `nbrun.toml`
    files that apply from here on.
    """

    operator: Operator
    host: str
    versions: dict[str, str] = {}
    reason: str = ""
    boot_id: str = ""
    role: RoleTaken | None = None
    secrets: tuple[str, ...] = ()
    settings: tuple[SettingsFile, ...] = ()


class RunbookReplaced(_Event, frozen=True, kw_only=True, tag="runbook.replaced"):
    """The run follows these steps from here on.

    Steps that were run stay as recorded; the others come from the runbook as it is now. `diff` is a
    unified diff.
    """

    operator: Operator
    runbook_sha256: str
    git_commit: str | None = None
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...] = ()
    diff: str


class ApprovalGranted(_Event, frozen=True, kw_only=True, tag="approval.granted"):
    """A person other than the operator approved `decision` about `step`.

    `binding`: SHA-256 of what was approved: this run, this decision and step, this source, these
    parameters (see `approval.binding`). `group`: the group whose members may approve.
    """

    operator: Operator
    step: str | None
    group: str
    binding: str
    reason: str = ""
    decision: str = "run"


class ApprovalRejected(_Event, frozen=True, kw_only=True, tag="approval.rejected"):
    """A person other than the operator rejected `decision` about `step`.

    The operator's pending decision is void; the run still waits.
    """

    operator: Operator
    step: str | None
    reason: str = ""
    decision: str = "run"


class NoteAdded(_Event, frozen=True, kw_only=True, tag="note.added"):
    """An operator added a note to the record."""

    operator: Operator
    text: str


class RunFinished(_Event, frozen=True, kw_only=True, tag="run.finished"):
    """The run ended.

    - `counts`: attempts, and steps by how they ended.
    - `notebook_sha256`: of the output notebook; None if it could not be written.
    - `why`: one sentence for a person.
    """

    outcome: RunOutcome
    off_script: bool
    counts: dict[str, int]
    duration: float
    why: str = ""
    notebook_sha256: str | None = None


class OutputCapped(_Event, frozen=True, kw_only=True, tag="output.capped"):
    """An attempt's output exceeded `limit` bytes, and nbrun dropped the rest.

    So far it dropped `outputs` outputs of `bytes` bytes in all, with this SHA-256 (see
    `kernel.output_limit`). Recorded when dropping begins and when the attempt has ended; an
    attempt's later event replaces its earlier one.
    """

    step: str
    attempt: int
    limit: int
    outputs: int
    bytes: int
    sha256: str
    late: bool = False


class SealFailed(_Event, frozen=True, kw_only=True, tag="seal.failed"):
    """The record could not be signed up to line `upto`."""

    upto: int
    why: str


class IndexFailed(_Event, frozen=True, kw_only=True, tag="index.failed"):
    """The start of the run could not be entered into the index of the folder of runs."""

    why: str


class ForwardingFailed(_Event, frozen=True, kw_only=True, tag="forwarding.failed"):
    """The lines from `since` on could not be sent to `target`.

    nbrun sends them once the sink accepts lines again.
    """

    target: str
    since: int
    why: str


class ForwardingResumed(_Event, frozen=True, kw_only=True, tag="forwarding.resumed"):
    """All lines up to `upto` have been sent to `target`, including those that had failed."""

    target: str
    upto: int


class RoleRefreshed(_Event, frozen=True, kw_only=True, tag="role.refreshed"):
    """The role was taken again before its credentials expired; the kernel has the new ones."""

    generation: int
    role: str
    identities: tuple[Identity, ...]


class RoleNotRefreshed(_Event, frozen=True, kw_only=True, tag="role.not_refreshed"):
    """The role could not be taken again; nbrun will retry.

    `until`: when the kernel's credentials expire, RFC 3339 UTC.
    """

    role: str
    why: str
    until: str


class WidgetsChanged(_Event, frozen=True, kw_only=True, tag="widgets.changed"):
    """Progress bars of ipywidgets, the text beside them, or the boxes that hold them, changed.

    `models` maps a model's id to its changed values of `_model_name`, `value`, `min`, `max`,
    `description`, `children`, `bar_style`. `closed`: the models that were closed, views and all.
    """

    step: str
    attempt: int
    models: dict[str, Any]
    late: bool = False
    closed: tuple[str, ...] = ()


class ProcessLeft(EventPart, frozen=True, kw_only=True):
    """A running process: its pid and its command line, shortened."""

    pid: int
    command: str


class ProcessesLeft(_Event, frozen=True, kw_only=True, tag="processes.left"):
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


class BackgroundEnded(_Event, frozen=True, kw_only=True, tag="background.ended"):
    """Work that cells had started in the background ended with the kernel, unfinished.

    `processes` and `more` are as in `processes.left`. `threads` and `tasks` of asyncio, by their
    names, had not ended in the seconds that nbrun gives them.
    """

    generation: int
    processes: tuple[ProcessLeft, ...] = ()
    more: int = 0
    threads: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


class KernelUnresponsive(_Event, frozen=True, kw_only=True, tag="kernel.unresponsive"):
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


class KernelResponded(_Event, frozen=True, kw_only=True, tag="kernel.responded"):
    """An unresponsive kernel answers again, after `silent` seconds."""

    generation: int
    silent: float


class InterruptUnheeded(_Event, frozen=True, kw_only=True, tag="interrupt.unheeded"):
    """The step still runs `waited` seconds after the operator interrupted it.

    Consoles now offer to kill the kernel.
    """

    generation: int
    waited: float


class DecisionProposed(_Event, frozen=True, kw_only=True, tag="decision.proposed"):
    """An operator's decision that waits for another person's approval.

    - `step`: the step that it is about.
    - `source`: the exact source that it sends.
    - `kinds`: the kinds of deviation that need the approval; empty if the step itself needs it.
    - `group`: the group whose members may approve; empty for anybody else than the operator.
    """

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
