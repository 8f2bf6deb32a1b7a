"""The process that owns one run's engine, kernel and journal, and outlives the terminal that
started it: `python -m nbrun.supervisor.main`, with an order on stdin and the answer on stdout."""

import gc
import signal
import sys
from pathlib import Path

from nbrun.errors import ExitCode, NbrunError
from nbrun.supervisor import requests
from nbrun.supervisor.requests import Declined, ResumeOrder, StartOrder


def main() -> int:
    """Carry out the order on stdin; its exit code is for the log alone. What that takes is imported
    while the order is being made."""
    signal.signal(signal.SIGTERM, _give_up)
    from nbrun.supervisor import kernel_plan  # noqa: F401  ahead of its use

    line = sys.stdin.buffer.readline()
    if not line:  # who wanted to order something thought better of it
        return 0
    order = requests.order(line)
    try:
        return _start(order) if isinstance(order, StartOrder) else _resume(order)
    except NbrunError as error:
        declined = Declined(why=str(error), exit_code=int(error.exit_code))
        sys.stdout.buffer.write(requests.encoded(declined))
        return int(error.exit_code)


def _give_up(_number: int, _frame: object) -> None:
    """SIGTERM before the run has begun: what was started is ended on the way out."""
    sys.exit(ExitCode.INTERRUPTED)


def _start(order: StartOrder) -> int:
    """The kernel boots while the rest is checked, imported and made."""
    from nbrun.supervisor import kernel_plan

    found = kernel_plan.of(order)
    kernel = found.kernel()
    kernel.launch()
    try:
        from nbrun.supervisor import host as hosting
        from nbrun.supervisor import prepare

        checked = prepare.check(order, found)
        run = prepare.prepare(order, checked)
        host = hosting.host(
            run.directory,
            run.journal,
            kernel,
            run.started,
            redaction=checked.redaction(),
            role=checked.role,
        )
        del found, checked  # the notebook as it was read, several times the size of the plan
        return host.run(lambda: host.engine.run(run.started))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end is not ended half-way
        kernel.shutdown()


def _resume(order: ResumeOrder) -> int:
    from nbrun.journal.run_directory import RunDirectory
    from nbrun.supervisor import host as hosting
    from nbrun.supervisor import resume

    directory = RunDirectory(Path(order.directory))
    found = resume.open_run(directory, order)
    role = found.role
    kernel = resume.kernel_of(found.state, role)
    redaction = resume.redaction_of(found.state, role, found.secrets)
    plan = found.state.plan
    host = hosting.host(
        directory,
        found.writer,
        kernel,
        plan,
        redaction=redaction,
        role=role,
        state=found.state,
    )
    return host.run(lambda: host.engine.resume(found.resumed, found.seen, found.replaced))


if __name__ == "__main__":
    code = main()
    gc.freeze()  # as in `entry`
    sys.exit(code)
