"""How an attempt ended: the kernel's reply, and what nbrun itself knows, made into one outcome."""

import msgspec

from nbrun.core.events import Outcome
from nbrun.kernel.messages import Replied


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `attempt.finished` that has to be judged (see `events.AttemptFinished`)."""

    outcome: Outcome
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exit: int | None = None
    ended_run: bool = False


def attempt_result(
    reply: Replied, *, interrupted: bool, shell_errors_fail: bool, timeout: float | None = None
) -> AttemptResult:
    """Success and failure come from the reply, never from what the outputs look like.

    An interrupt is nbrun's own knowledge: kernels answer one with an error, with ok or not at all.
    `timeout`: the seconds after which nbrun interrupted it by itself.
    """
    failed_exit = next((code for code in reply.shell_exits if code), None)
    ended = _asked_to_end(reply)
    outcome: Outcome = "ok"
    ename, evalue = reply.ename, reply.evalue
    if timeout is not None:
        outcome, ename = "timed_out", "TimeoutError"
        evalue = f"the step did not end within its {timeout:g} s"
    elif interrupted:
        outcome = "interrupted"
    elif reply.status != "ok" and not ended:
        outcome, ename = "error", ename or reply.status
    elif failed_exit and shell_errors_fail:
        outcome, ename, evalue = "error", "ShellError", _story(reply.shell_exits)
    return AttemptResult(
        outcome=outcome,
        execution_count=reply.execution_count,
        ename=ename,
        evalue=evalue,
        shell_exit=failed_exit or (0 if reply.shell_exits else None),
        ended_run=ended and outcome == "ok",
    )


def _asked_to_end(reply: Replied) -> bool:
    """`sys.exit()`, `sys.exit(0)`, `exit()`: the cell ends the run, and nothing has failed."""
    clean_exit = reply.ename == "SystemExit" and reply.evalue in ("", "0", "None")
    return clean_exit or (reply.exit_asked and reply.status == "ok")


def _story(exits: tuple[int, ...]) -> str:
    """Which of the cell's shell commands failed, and how."""
    failed = [(number, code) for number, code in enumerate(exits, 1) if code]
    told = ", ".join(
        f"shell command {number} of {len(exits)} exited with {code}" for number, code in failed[:5]
    )
    return told + (f" and {len(failed) - 5} more" if len(failed) > 5 else "")
