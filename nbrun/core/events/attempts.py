"""Events of an attempt: its start, its questions, its end."""

from nbrun.core.decisions import Settlement
from nbrun.core.events.base import AttemptCause, EventBase, Outcome
from nbrun.core.model import Operator


class AttemptStarted(EventBase, frozen=True, kw_only=True, tag="attempt.started"):
    """An attempt is about to start: on disk before the kernel receives `source`.

    `edited`: `source` differs from the runbook's.
    """

    step: str
    attempt: int
    source: str
    edited: bool
    cause: AttemptCause


class InputRequested(EventBase, frozen=True, kw_only=True, tag="input.requested"):
    """The running cell asked for a line of input."""

    step: str
    attempt: int
    prompt: str
    password: bool


class InputAnswered(EventBase, frozen=True, kw_only=True, tag="input.answered"):
    """An operator answered. `answer` is None for a password, which is never recorded."""

    step: str
    attempt: int
    operator: Operator
    answer: str | None


class AttemptFinished(EventBase, frozen=True, kw_only=True, tag="attempt.finished"):
    """An attempt ended.

    - `duration`: in seconds.
    - `shell_exit`: the first non-zero exit code of the cell's shell commands; 0 when all succeeded;
      None when there were none or the kernel can't tell.
    - `ended_run`: the cell asked for the run to end here (`sys.exit(0)`, `exit()`).
    - `nested_error`: the first error that the kernel showed although the cell neither raised nor
      caught it, as in a script that `%run` runs; its name and its text.
    - `ran_to_end`: nbrun interrupted the attempt, and the kernel still replied that it succeeded.
    - `holds`: what a check said; None if the attempt is not of a check.
    - `sent`: False if the code never went to the kernel.
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
    sent: bool = True


class AttemptIndeterminate(EventBase, frozen=True, kw_only=True, tag="attempt.indeterminate"):
    """An attempt was started and nobody saw it end."""

    step: str
    attempt: int
    why: str


class AttemptSettled(EventBase, frozen=True, kw_only=True, tag="attempt.settled"):
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
