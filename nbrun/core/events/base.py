"""The base of every event, and words that several events use."""

from typing import Literal

import msgspec

from nbrun.core.model import EventPart

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
    "undone",  # the undo of a step has ended; the run does not continue by itself
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
    "undo",  # the undo of a step, as the operator decided; the attempt is of the undo's cell
]


class KernelProcess(EventPart, frozen=True, kw_only=True):
    """The process of a kernel, with what is needed to find it again.

    `connection_file` is the path of Jupyter's connection file. It appears in the process's command
    line and so distinguishes the kernel from a later process with the same `pid`.
    """

    pid: int
    connection_file: str


class RemoteKernel(EventPart, frozen=True, kw_only=True):
    """A kernel that a gateway runs, with what is needed to find it again.

    - `gateway`: the URL, without credentials.
    - `id`: the gateway's name of the kernel. It stays the same when the gateway restarts it.
    - `session`: the kernel's own session, which its messages carry and which a restart changes;
      empty if the kernel has none of its own.
    - `client`: nbrun's session, for which the gateway may keep what the kernel prints meanwhile.
    """

    gateway: str
    id: str
    session: str = ""
    client: str = ""


class EventBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened in a run."""
