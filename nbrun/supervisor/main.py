"""The supervisor process: it owns one run's engine, kernel and journal, and outlives the terminal.

`nbrun` starts it as `python -m nbrun.supervisor.main`, writes one request to its stdin, and reads
one reply from its stdout (see `requests`).
"""

import gc
import logging
import signal
import sys

from nbrun.errors import ExitCode, NbrunError
from nbrun.supervisor import requests
from nbrun.supervisor.requests import Declined, ResumeRequest, StartRequest
from nbrun.system import faults, python_settings


def main() -> int:
    """Serve the request on stdin and return an exit code, which only the log shows."""
    python_settings.restore_settings()
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    # Imported here, while `nbrun` still builds the request: most imports overlap with that work.
    from nbrun.supervisor import kernel_plan  # noqa: F401

    line = sys.stdin.buffer.readline()
    if not line:  # `nbrun` exited without a request
        return 0
    request = requests.decode_request(line)
    try:
        return _start(request) if isinstance(request, StartRequest) else _resume(request)
    except NbrunError as error:
        return _decline(error)
    except (OSError, UnicodeEncodeError) as fault:
        logging.getLogger(__name__).warning("not handled", exc_info=fault)
        return _decline(faults.as_error(fault))


def _decline(error: NbrunError) -> int:
    declined = Declined(why=str(error), exit_code=int(error.exit_code))
    sys.stdout.buffer.write(requests.encode(declined))
    return int(error.exit_code)


def _exit_on_sigterm(_number: int, _frame: object) -> None:
    """Exit before the run has begun. The `finally` of `_start` shuts down the kernel."""
    sys.exit(ExitCode.INTERRUPTED)


def _start(request: StartRequest) -> int:
    """Start a run. The kernel boots while this process imports, checks and prepares the rest."""
    from nbrun.supervisor import kernel_plan

    plan = kernel_plan.plan_kernel(request)
    launcher = plan.launcher()
    if not request.options.by_hand:
        launcher.launch()
    try:
        from nbrun.notifications import receivers
        from nbrun.supervisor import host, prepare

        checked = prepare.check(request, plan)
        told = receivers.look_up(checked.config)  # before anything is created
        run = prepare.prepare(request, checked)
        run_host = host.create(
            run.directory,
            run.journal,
            launcher,
            run.started,
            redaction=checked.redaction(),
            receivers=told,
        )
        # They hold the parsed notebook, which is several times the size of the run's plan.
        del plan, checked
        return run_host.run(lambda: run_host.engine.run(run.started), bound=request.bound)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the shutdown must not be interrupted
        launcher.close()


def _resume(request: ResumeRequest) -> int:
    """Resume an interrupted run, with its kernel if that is still alive."""
    from nbrun.journal.run_directory import RunDirectory
    from nbrun.supervisor import host, resume

    directory = RunDirectory(request.directory)
    run = resume.open_run(directory, request)
    run_host = host.create(
        directory,
        run.writer,
        run.launcher,
        run.plan,
        redaction=resume.redaction_for(run.state, run.role, run.secrets),
        receivers=run.receivers,
        state=run.state,
    )
    return run_host.run(lambda: run_host.engine.resume(run.resumed, run.last_seen, run.replaced))


if __name__ == "__main__":
    code = main()
    gc.freeze()  # skip Python's last garbage collection, as in `entry`
    sys.exit(code)
