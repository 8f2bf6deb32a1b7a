"""The outcome of an attempt, from the kernel's reply and from what nbrun itself knows."""

import msgspec

from nbrun.core.events import Outcome
from nbrun.kernel.messages import Replied

_NO_EXCEPTION = "NoneType"  # ipykernel's `ename` for an error in the display of a cell's value


class AttemptResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an attempt: fields of `events.AttemptFinished`."""

    outcome: Outcome
    execution_count: int | None = None
    ename: str | None = None
    evalue: str | None = None
    shell_exit: int | None = None
    ended_run: bool = False
    nested_error: str | None = None
    ran_to_end: bool = False
    sent: bool = True


def attempt_result(
    reply: Replied,
    *,
    interrupted: bool,
    shell_errors_fail: bool,
    nested_errors_fail: bool = True,
    timeout: float | None = None,
) -> AttemptResult:
    """Return the result that `reply` means. Outputs never decide success or failure.

    `interrupted`: nbrun interrupted the attempt. Kernels answer an interrupt with an error, with
    ok, or not at all. `timeout`: the seconds after which nbrun interrupted the attempt by itself.
    """
    failed_exit = next((code for code in reply.shell_exits if code), None)
    asked_to_end = _asks_to_end_run(reply)
    outcome: Outcome = "ok"
    ename, evalue = reply.ename, reply.evalue
    if ename == _NO_EXCEPTION and reply.nested_error:
        ename, evalue = reply.nested_error
    if timeout is not None:
        outcome, ename = "timed_out", "TimeoutError"
        evalue = f"the step did not end within its {timeout:g} s"
    elif interrupted:
        outcome = "interrupted"
    elif reply.status != "ok" and not asked_to_end:
        outcome, ename = "error", ename or reply.status
    elif reply.nested_error and nested_errors_fail:
        outcome, (ename, evalue) = "error", reply.nested_error
    elif failed_exit and shell_errors_fail:
        outcome, ename = "error", "ShellError"
        evalue = reply.shell_failure or _describe_exits(reply.shell_exits)
    return AttemptResult(
        outcome=outcome,
        execution_count=reply.execution_count,
        ename=ename,
        evalue=evalue,
        shell_exit=failed_exit or (0 if reply.shell_exits else None),
        ended_run=asked_to_end and outcome == "ok",
        nested_error=": ".join(filter(None, reply.nested_error or ())) or None,
        ran_to_end=outcome in ("interrupted", "timed_out") and reply.status == "ok",
    )


def _asks_to_end_run(reply: Replied) -> bool:
    """Return True if the cell ended the run without an error: `sys.exit(0)`, `exit()`."""
    clean_exit = reply.ename == "SystemExit" and reply.evalue in ("", "0", "None")
    return clean_exit or (reply.exit_asked and reply.status == "ok")


def _describe_exits(exits: tuple[int, ...]) -> str:
    """Return which of the cell's shell commands failed, with their exit codes."""
    failed = [(number, code) for number, code in enumerate(exits, 1) if code]
    text = ", ".join(
        f"shell command {number} of {len(exits)} exited with {code}" for number, code in failed[:5]
    )
    return text + (f" and {len(failed) - 5} more" if len(failed) > 5 else "")
