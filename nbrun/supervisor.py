"""The process that owns one run's engine, kernel and journal, and outlives the terminal that
started it: `python -m nbrun.supervisor`, with an order on stdin and the answer on stdout."""

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nbrun import events as ev
from nbrun import orders, preparation, provenance, resumption, sharing
from nbrun.engine import Engine, Inbox, Ordered
from nbrun.errors import ExitCode, NbrunError
from nbrun.journal import Journal
from nbrun.kernel import LocalKernel
from nbrun.listener import Listener
from nbrun.orders import Accepted, Answer, Declined, ResumeOrder, StartOrder
from nbrun.redaction import Formatter, Redaction
from nbrun.run_directory import RunDirectory
from nbrun.saving import saver
from nbrun.server import Server
from nbrun.state import RunState


def main() -> int:
    """Carry out the order on stdin."""
    order = orders.order(sys.stdin.buffer.readline())
    try:
        if isinstance(order, StartOrder):
            return _start(order)
        return _resume(order)
    except NbrunError as error:
        if not _answered:
            _answer(Declined(why=str(error), exit_code=int(error.exit_code)))
        return int(error.exit_code)


def _start(order: StartOrder) -> int:
    """The kernel boots while the rest is imported and made."""
    checked = preparation.check(order)
    kernel = checked.kernel()
    kernel.launch()
    try:
        prepared = preparation.prepare(order, checked)
        engine, server = _wired(
            prepared.directory,
            prepared.journal,
            kernel,
            prepared.started.runbook,
            redaction=checked.redaction(),
            group=checked.policy.group,
        )
        run = partial(engine.run, prepared.started)
        return _supervise(engine, server, prepared.directory, checked.redaction(), run)
    finally:
        kernel.shutdown()


def _resume(order: ResumeOrder) -> int:
    directory = RunDirectory(Path(order.directory))
    found = resumption.open_run(directory, order)
    role = resumption.role_of(found.state)
    kernel = resumption.kernel_of(found.state, role)
    redaction = resumption.redaction_of(found.state, role)
    engine, server = _wired(
        directory,
        found.writer,
        kernel,
        found.state.plan.runbook,
        redaction=redaction,
        group=found.state.plan.policy.group,
        state=found.state,
    )
    run = partial(engine.resume, found.resumed, found.seen, found.replaced)
    return _supervise(engine, server, directory, redaction, run)


# ── wiring ───────────────────────────────────────────────────────────────────────────────────


def _wired(
    directory: RunDirectory,
    writer: Journal,
    kernel: LocalKernel,
    book: str,
    *,
    redaction: Redaction,
    group: str,
    state: RunState | None = None,
) -> tuple[Engine, Server]:
    kernel.log_to(directory.log, redaction.scrub)
    inbox: Inbox = queue.SimpleQueue()
    gid = sharing.gid_of(group) if group else None
    server = Server(Listener(directory.socket, gid), inbox)
    engine = Engine(
        writer,
        make_kernel=kernel.speak_to,
        publish=server.publish,
        save_notebook=saver(directory, Path(book)),
        inbox=inbox,
        state=state,
        redaction=redaction,
    )
    return engine, server


def _supervise(
    engine: Engine,
    server: Server,
    directory: RunDirectory,
    redaction: Redaction,
    run: Callable[[], RunState],
) -> int:
    """Run the engine on a thread and let consoles in on this one, until the run has ended."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            run()
            server.end()
        except BaseException as error:  # noqa: BLE001  the consoles are told, and so is the log
            failure.append(error)
            server.fail(error)

    _listen_to_signals(engine)
    thread = threading.Thread(target=work, name="nbrun-engine")
    _answer(Accepted(directory=str(directory.path)))
    _leave_the_terminal(directory.log, redaction)
    thread.start()
    server.serve()
    thread.join()
    if failure:
        logging.getLogger(__name__).error("the run was ended by", exc_info=failure[0])
    return int(ExitCode.INTERNAL) if failure else int(ExitCode.COMPLETED)


def _listen_to_signals(engine: Engine) -> None:
    """SIGTERM ends the run, and the record says so. The others are a terminal's, and there is none;
    a handler, unlike SIG_IGN, is not inherited by kernels."""
    who = provenance.operator(os.getpid())

    def end(number: int, _frame: object) -> None:
        reason = f"the supervisor got {signal.Signals(number).name}"
        engine.inbox.put(Ordered(ev.Cancel(reason=reason), who))

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)


# ── who started it ───────────────────────────────────────────────────────────────────────────

_answered: list[Answer] = []


def _answer(answer: Answer) -> None:
    _answered.append(answer)
    try:
        os.write(1, orders.encoded(answer))
    except BrokenPipeError:  # who started it is gone: the run goes on
        logging.getLogger(__name__).warning("nobody took the answer %r", answer)


def _leave_the_terminal(log: Path, redaction: Redaction) -> None:
    """From here on stdin is nothing, and stdout and stderr are the log."""
    kept = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in ((0, nothing), (1, kept), (2, kept)):
        os.dup2(fd, number)
    os.close(kept)
    os.close(nothing)
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter(redaction))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    os.chdir("/")  # it holds no file system


if __name__ == "__main__":
    sys.exit(main())
