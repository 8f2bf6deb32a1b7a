"""Decisions that an operator or an approver can make, as frozen data.

A console sends a decision to the run's process as JSON; the struct's tag is the decision's name.
"""

from typing import Literal

import msgspec

Settlement = Literal["happened", "did_not_happen", "unknown"]


class _Decision(msgspec.Struct, frozen=True, kw_only=True, tag_field="decision"):
    """A decision.

    - `reason` says why, and may be empty.
    - `expect_seq`: the number of the record that whoever decides knows as the last one that moved
      the run (see `RunState.seq`). The decision is refused if the run has moved since. None: the
      decision is about the run wherever it stands.
    - `confirmed`: whoever decides was shown the question of the step and agrees.
    """

    reason: str = ""
    expect_seq: int | None = None
    confirmed: bool = False


class Run(_Decision, frozen=True, kw_only=True, tag="run"):
    """Run `step` exactly as in the runbook; None for the current step.

    `typed` is the confirmation text that the step's contract asks for, here and in the classes
    below.
    """

    step: str | None = None
    typed: str = ""


class Continue(_Decision, frozen=True, kw_only=True, tag="continue"):
    """Run the current step and leave step mode."""

    typed: str = ""


class Retry(_Decision, frozen=True, kw_only=True, tag="retry"):
    """Run the source of the current step's last attempt again."""

    typed: str = ""


class Done(_Decision, frozen=True, kw_only=True, tag="done"):
    """State that a person has done what the current step asks for."""

    typed: str = ""


class Edit(_Decision, frozen=True, kw_only=True, tag="edit"):
    """Run `source` in place of `step`; None for the current step."""

    source: str
    step: str | None = None
    typed: str = ""


class Skip(_Decision, frozen=True, kw_only=True, tag="skip"):
    """Pass over the current step."""


class Jump(_Decision, frozen=True, kw_only=True, tag="jump"):
    """Move the run to `step` and stop there, without running anything.

    A jump forward skips the steps between; a jump back lets the run execute them again.
    """

    step: str


class Insert(_Decision, frozen=True, kw_only=True, tag="insert"):
    """Run `source`, which is not in the runbook, and return to this stop."""

    source: str


class Undo(_Decision, frozen=True, kw_only=True, tag="undo"):
    """Run the undo of `step`."""

    step: str
    typed: str = ""


class RestartKernel(_Decision, frozen=True, kw_only=True, tag="restart"):
    """End the kernel, start a new one and run the `parameters` and `setup` steps in it."""


class AddNote(_Decision, frozen=True, kw_only=True, tag="note"):
    """Add a text to the record."""

    text: str


class Withdraw(_Decision, frozen=True, kw_only=True, tag="withdraw"):
    """Take back a decision that waits for an approval."""


class SignedReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approval that somebody signed elsewhere (see `approval_request`).

    `signature` is OpenSSH's armored one, of a statement that the supervisor makes itself. The other
    fields say which statement, so that a refusal can name what differs.
    """

    run: str
    decision: str
    step: str | None
    attempt: int
    occasion: str
    binding: str
    issued: str
    expires: str
    signed: str
    reason: str
    signature: str


class Approve(_Decision, frozen=True, kw_only=True, tag="approve"):
    """Approve the pending decision or step.

    `binding` identifies what the approver was shown (see `approval.binding`). The approval is
    refused if that has changed since. `reply`: the approver signed it elsewhere, and whoever sends
    this decision only hands it in.
    """

    binding: str
    reply: SignedReply | None = None


class Reject(_Decision, frozen=True, kw_only=True, tag="reject"):
    """State that the pending decision or step should not be carried out."""


class Handover(_Decision, frozen=True, kw_only=True, tag="handover"):
    """Offer the run to the account `to`; an empty name withdraws the offer."""

    to: str


class AcceptHandover(_Decision, frozen=True, kw_only=True, tag="accept"):
    """Become the operator of a run that is offered."""


class Settle(_Decision, frozen=True, kw_only=True, tag="settle"):
    """State what became of an attempt whose end nobody saw."""

    finding: Settlement


class Detach(_Decision, frozen=True, kw_only=True, tag="detach"):
    """Leave the run, which continues without this operator up to its next stop.

    `lost`: the console ends without the operator's asking. The run waits at its next step.
    """

    lost: bool = False


class Cancel(_Decision, frozen=True, kw_only=True, tag="cancel"):
    """End the run here; interrupt a running step."""


class Interrupt(_Decision, frozen=True, kw_only=True, tag="interrupt"):
    """Interrupt the running step; between steps, pause before the next one."""


class KillKernel(_Decision, frozen=True, kw_only=True, tag="kill"):
    """Kill a kernel that does not react to an interrupt."""


class Answer(_Decision, frozen=True, kw_only=True, tag="answer"):
    """Send one line to a cell that asks for input."""

    text: str


Decision = (
    Run
    | Continue
    | Retry
    | Done
    | Edit
    | Skip
    | Jump
    | Insert
    | Undo
    | RestartKernel
    | AddNote
    | Withdraw
    | Approve
    | Reject
    | Handover
    | AcceptHandover
    | Settle
    | Detach
    | Cancel
    | Interrupt
    | KillKernel
    | Answer
)


def decision_name(decision: Decision) -> str:
    """Return the decision's name, which is its tag: `retry`, `skip`, …"""
    return str(decision.__struct_config__.tag)
