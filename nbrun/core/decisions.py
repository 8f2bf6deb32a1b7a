"""What an operator, or another person who has a say, may decide: as frozen data, which a console
sends as JSON."""

from typing import Literal

import msgspec

Settlement = Literal["happened", "did_not_happen", "unknown"]


class _Decision(msgspec.Struct, frozen=True, kw_only=True, tag_field="decision"):
    """One choice of an operator. `reason` says why, and may be empty."""

    reason: str = ""


class Run(_Decision, frozen=True, kw_only=True, tag="run"):
    """Run `step` exactly as the runbook has it; None for the step the run stands at. `typed`: the
    text that the step asks for, here and below."""

    step: str | None = None
    typed: str = ""


class Continue(_Decision, frozen=True, kw_only=True, tag="continue"):
    """Run the step the run stands at, and stop going step by step."""

    typed: str = ""


class Retry(_Decision, frozen=True, kw_only=True, tag="retry"):
    """Run again what was last run of the step the run stands at."""

    typed: str = ""


class Done(_Decision, frozen=True, kw_only=True, tag="done"):
    """Say that a person has done what the step that the run stands at asks for."""

    typed: str = ""


class Edit(_Decision, frozen=True, kw_only=True, tag="edit"):
    """Run `source` in place of `step`; None for the step the run stands at."""

    source: str
    step: str | None = None
    typed: str = ""


class Skip(_Decision, frozen=True, kw_only=True, tag="skip"):
    """Pass over the step the run stands at."""


class Jump(_Decision, frozen=True, kw_only=True, tag="jump"):
    """Move the run to `step` and stop there: forward, passing over those between; back, to run
    them again. Nothing is run by it."""

    step: str


class Insert(_Decision, frozen=True, kw_only=True, tag="insert"):
    """Run `source`, which is not in the runbook, and come back to this stop."""

    source: str


class RestartKernel(_Decision, frozen=True, kw_only=True, tag="restart"):
    """End the kernel, start a new one and run the `parameters` and `setup` steps in it."""


class AddNote(_Decision, frozen=True, kw_only=True, tag="note"):
    text: str


class Withdraw(_Decision, frozen=True, kw_only=True, tag="withdraw"):
    """Take back a decision that waits for an approval."""


class Approve(_Decision, frozen=True, kw_only=True, tag="approve"):
    """Let what waits for it be done. `binding`: what was shown to who approves (see
    `approval.binding`); when that has changed meanwhile, nothing is approved."""

    binding: str


class Reject(_Decision, frozen=True, kw_only=True, tag="reject"):
    """Say that what waits for an approval should not be done."""


class Settle(_Decision, frozen=True, kw_only=True, tag="settle"):
    """Say what came of the attempt that nobody saw end."""

    finding: Settlement


class Detach(_Decision, frozen=True, kw_only=True, tag="detach"):
    """Leave the run to go on without this operator, up to its next stop."""


class Cancel(_Decision, frozen=True, kw_only=True, tag="cancel"):
    """End the run here; a running step is interrupted."""


class Interrupt(_Decision, frozen=True, kw_only=True, tag="interrupt"):
    """Interrupt the running step; between steps, pause before the next."""


class KillKernel(_Decision, frozen=True, kw_only=True, tag="kill"):
    """End a kernel that does not answer an interrupt."""


class Answer(_Decision, frozen=True, kw_only=True, tag="answer"):
    """The operator's line for a cell that asks for input."""

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
    | RestartKernel
    | AddNote
    | Withdraw
    | Approve
    | Reject
    | Settle
    | Detach
    | Cancel
    | Interrupt
    | KillKernel
    | Answer
)


def decision_name(decision: Decision) -> str:
    """The decision's tag: `retry`, `skip`, …"""
    return str(decision.__struct_config__.tag)
