"""The process that owns one run's engine, kernel and journal, and outlives the terminal that
started it: `python -m nbrun.supervisor`, with an order on stdin and the answer on stdout."""

import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbrun import events as ev
from nbrun import orders, preparation, provenance, resumption
from nbrun.engine import Engine, Inbox, Ordered, Reported
from nbrun.errors import ExitCode, NbrunError
from nbrun.events import Record
from nbrun.journal import Journal
from nbrun.kernel import LocalKernel
from nbrun.listener import Listener
from nbrun.orders import Accepted, Answer, Declined, ResumeOrder, StartOrder
from nbrun.recipients import Recipients
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
        wired = _wired(prepared.directory, prepared.journal, kernel, prepared.started)
        return _supervise(wired, prepared.directory, lambda: wired.engine.run(prepared.started))
    finally:
        kernel.shutdown()


def _resume(order: ResumeOrder) -> int:
    directory = RunDirectory(Path(order.directory))
    found = resumption.open_run(directory, order)
    kernel = resumption.kernel_of(found.state)
    wired = _wired(directory, found.writer, kernel, found.state.plan, state=found.state)
    return _supervise(
        wired,
        directory,
        lambda: wired.engine.resume(found.resumed, found.seen, found.replaced),
    )


# ── wiring ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Wired:
    """What a run consists of here: what does it, who is let in, who gets its record."""

    engine: Engine
    server: Server
    recipients: Recipients


def _wired(
    directory: RunDirectory,
    writer: Journal,
    kernel: LocalKernel,
    plan: ev.RunStarted,
    state: RunState | None = None,
) -> _Wired:
    kernel.log_to(directory.log)
    inbox: Inbox = queue.SimpleQueue()
    server = Server(Listener(directory.socket), inbox)
    recipients = Recipients(plan, directory, lambda event: inbox.put(Reported(event)))

    def publish(records: Sequence[Record]) -> None:
        server.publish(records)
        recipients.take(records)

    engine = Engine(
        writer,
        make_kernel=kernel.speak_to,
        publish=publish,
        on_loss=server.fail,
        save_notebook=saver(directory, Path(plan.runbook)),
        inbox=inbox,
        state=state,
    )
    return _Wired(engine, server, recipients)


def _supervise(wired: _Wired, directory: RunDirectory, run: Callable[[], RunState]) -> int:
    """Run the engine on a thread and let consoles in on this one, until the run has ended."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            run()
            wired.recipients.close()
            wired.server.end()
        except BaseException as error:  # noqa: BLE001  the consoles are told, and so is the log
            failure.append(error)
            wired.server.fail(error)
            wired.recipients.close()

    _listen_to_signals(wired.engine)
    thread = threading.Thread(target=work, name="nbrun-engine")
    _answer(Accepted(directory=str(directory.path)))
    _leave_the_terminal(directory.log)
    thread.start()
    wired.server.serve()
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


def _leave_the_terminal(log: Path) -> None:
    """From here on stdin is nothing, and stdout and stderr are the log."""
    kept = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in ((0, nothing), (1, kept), (2, kept)):
        os.dup2(fd, number)
    os.close(kept)
    os.close(nothing)
    logging.basicConfig(level=logging.WARNING)
    os.chdir("/")  # it holds no file system


if __name__ == "__main__":
    sys.exit(main())
