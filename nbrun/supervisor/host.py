"""One run's engine and its socket in this process, from the answer to who ordered it to its end."""

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbrun.audit.subscribers import Recipients
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.redaction import Formatter, Redaction
from nbrun.core.state import RunState
from nbrun.engine.engine import Engine, Inbox, Ordered, Reported
from nbrun.errors import ExitCode
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.roles.roles import Held
from nbrun.supervisor import requests
from nbrun.supervisor.listener import Listener
from nbrun.supervisor.notebook_writer import saver
from nbrun.supervisor.requests import Accepted
from nbrun.supervisor.role_refresh import Renewal
from nbrun.supervisor.server import Server
from nbrun.system import group_access, provenance


@dataclass(frozen=True)
class Host:
    """What owns a run: it can begin now."""

    engine: Engine
    server: Server
    recipients: Recipients
    directory: RunDirectory
    redaction: Redaction
    kernel: LocalKernel
    role: Held | None

    def run(self, begin: Callable[[], RunState]) -> ExitCode:
        """Answer that the run goes on, leave the terminal, and have `begin` run the engine on a
        thread, while this one lets consoles in. They are told what ends the engine early."""
        failure: list[BaseException] = []

        def work() -> None:
            try:
                begin()
                self.recipients.close()
                self.server.end()
            except BaseException as error:  # noqa: BLE001
                failure.append(error)
                self.server.fail(error)
                self.recipients.close()

        _listen_to_signals(self.engine.inbox)
        thread = threading.Thread(target=work, name="nbrun-engine")
        _answer(Accepted(directory=str(self.directory.path)))
        _leave_the_terminal(self.directory.log, self.redaction)
        thread.start()
        renewal = Renewal(self.role, self.kernel.furnish, self._report) if self.role else None
        self.server.serve()
        thread.join()
        if renewal is not None:
            renewal.close()
        if failure:
            logging.getLogger(__name__).error("the run was ended by", exc_info=failure[0])
        return ExitCode.INTERNAL if failure else ExitCode.COMPLETED

    def _report(self, event: ev.Event) -> None:
        self.engine.inbox.put(Reported(event))


def host(
    directory: RunDirectory,
    writer: Journal,
    kernel: LocalKernel,
    plan: ev.RunStarted,
    *,
    redaction: Redaction,
    role: Held | None = None,
    state: RunState | None = None,
) -> Host:
    """`redaction` keeps secrets out of record and log, those too that `role` will come to; `state`:
    where the run stands that the journal holds already. NbrunError when there is no place for its
    socket."""
    kernel.log_to(directory.log, redaction.scrub)
    kernel.learn_by(redaction.learn)
    inbox: Inbox = queue.SimpleQueue()
    gid = group_access.gid_of(plan.policy.group) if plan.policy.group else None
    server = Server(Listener(directory.socket, gid), inbox)
    recipients = Recipients(plan, directory, lambda event: inbox.put(Reported(event)))

    def publish(records: Sequence[Record]) -> None:
        server.publish(records)
        recipients.take(records)

    engine = Engine(
        writer,
        make_kernel=kernel.speak_to,
        publish=publish,
        on_loss=server.fail,
        save_notebook=saver(directory, plan),
        inbox=inbox,
        state=state,
        redaction=redaction,
    )
    return Host(engine, server, recipients, directory, redaction, kernel, role)


def _listen_to_signals(inbox: Inbox) -> None:
    """SIGTERM ends the run, and the record says so. The others are a terminal's, and there is none;
    a handler, unlike SIG_IGN, is not inherited by kernels."""
    who = provenance.operator(os.getpid())

    def end(number: int, _frame: object) -> None:
        reason = f"the supervisor got {signal.Signals(number).name}"
        inbox.put(Ordered(decisions.Cancel(reason=reason), who))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)


def _answer(answer: Accepted) -> None:
    try:
        os.write(1, requests.encoded(answer))
    except BrokenPipeError:  # who ordered it is gone: the run goes on
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
