"""Host one run in this process: its engine on a thread, its socket, and its subscribers."""

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nbrun.audit import approval_signatures
from nbrun.audit.subscribers import Subscribers
from nbrun.audit.tracing import switch
from nbrun.core import decisions, trace_context
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.redaction.redactor import RedactingFormatter, Redaction
from nbrun.core.state import RunState
from nbrun.engine.engine import Engine, Inbox, ReportedEvent, SubmittedDecision
from nbrun.errors import ExitCode, JournalError
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import Kernel, Sink
from nbrun.kernel.output_limit import OutputLimiter
from nbrun.kernel.process import KernelLog
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.roles.roles import RunRole
from nbrun.notifications.notifier import Notifier
from nbrun.notifications.receivers import Receivers
from nbrun.supervisor import requests
from nbrun.supervisor.listener import Listener
from nbrun.supervisor.notebook_writer import notebook_saver
from nbrun.supervisor.requests import Accepted
from nbrun.supervisor.role_refresh import RoleRefresher
from nbrun.supervisor.server import Server
from nbrun.system import group_access, provenance


@dataclass(frozen=True)
class RunHost:
    """A run that is ready to begin, with everything that this process keeps for it."""

    engine: Engine
    server: Server
    subscribers: Subscribers
    directory: RunDirectory
    redaction: Redaction
    kernel: Kernel
    role: RunRole | None
    notifier: Notifier

    def run(self, begin: Callable[[], RunState], *, bound: bool = False) -> ExitCode:
        """Run the engine with `begin` on a thread, and serve consoles on this one until the end.

        `bound`: cancel the run when the other end of stdin, which is a pipe, is closed.
        An error that ends the engine early is sent to the consoles, and then logged.
        """
        failure: list[BaseException] = []

        def run_engine() -> None:
            try:
                state = begin()
                self.subscribers.close()
                # A container or a service may end with its command, and this process with it: only
                # an operator at a terminal need not wait until the end was told elsewhere.
                if not state.plan.policy.attended:
                    self.notifier.close()
                self.server.end()
            except BaseException as error:  # noqa: BLE001
                failure.append(error)
                self.server.fail(error)
                self.notifier.tell_broken(error)
                self.subscribers.close()
            self.notifier.close()

        # The order matters. Once the reply is sent, `nbrun` may send SIGTERM to cancel the run:
        # the handlers come first. The reply goes out on stdout: detaching from it comes second.
        # Whatever the engine's thread prints must reach the log: the thread comes last.
        _install_signal_handlers(self.engine.inbox)
        if bound:
            _cancel_at_end_of(os.dup(0), self.engine.inbox)
        thread = threading.Thread(target=run_engine, name="nbrun-engine")
        _send_reply(Accepted(directory=self.directory.path))
        _redirect_to_log(self.directory.log, self.redaction)
        thread.start()
        refresher = None
        if self.role is not None and isinstance(self.kernel, LocalKernel):
            refresher = RoleRefresher(self.role, self.kernel.update_role_files, self._record)
        self.server.serve()
        thread.join()
        if refresher is not None:
            refresher.close()
        if failure:
            logging.getLogger(__name__).error("the run was ended by", exc_info=failure[0])
        return ExitCode.INTERNAL if failure else ExitCode.COMPLETED

    def _record(self, event: ev.Event) -> None:
        self.engine.inbox.put(ReportedEvent(event))


def create(
    directory: RunDirectory,
    journal: Journal,
    launcher: KernelLauncher | GatewayLauncher,
    plan: ev.RunStarted,
    *,
    redaction: Redaction,
    receivers: Receivers,
    state: RunState | None = None,
) -> RunHost:
    """Create the host of the run that `plan` describes.

    `redaction` removes secrets from the record and the log. It also learns the secrets that the
    launcher's role obtains later. `receivers` are told elsewhere about the run. `state` is the
    state that the journal already holds, for a resumed run.

    Raises:
        NbrunError: the run's socket can't be created.
    """
    inbox: Inbox = queue.SimpleQueue()
    gid = group_access.gid_of(plan.policy.group) if plan.policy.group else None
    state = RunState() if state is None else state
    server = Server(Listener(directory.socket, gid), inbox, directory.id, state.kernels)
    redaction.add_secrets(receivers.secrets(), withheld=True)
    notifier = Notifier(
        receivers,
        directory,
        state,
        redact=redaction.redact_text,
        report=lambda event: inbox.put(ReportedEvent(event)),
    )
    engine, kernel, subscribers = build_engine(
        directory,
        journal,
        launcher,
        plan,
        inbox=inbox,
        redaction=redaction,
        state=state,
        publish=server.publish,
        notify=notifier.receive,
        on_journal_error=server.fail,
    )
    return RunHost(
        engine, server, subscribers, directory, redaction, kernel, launcher.role, notifier
    )


def build_engine(
    directory: RunDirectory,
    journal: Journal,
    launcher: KernelLauncher | GatewayLauncher,
    plan: ev.RunStarted,
    *,
    inbox: Inbox,
    redaction: Redaction,
    state: RunState | None = None,
    publish: Callable[[Sequence[Record]], None] = lambda _records: None,
    notify: Callable[[Sequence[Record]], None] = lambda _records: None,
    on_journal_error: Callable[[JournalError], None] = lambda _error: None,
) -> tuple[Engine, Kernel, Subscribers]:
    """Connect an engine to its kernel, its journal, its output notebook and its subscribers.

    The caller closes the subscribers after the engine has ended. `publish` receives each batch of
    records before the subscribers do, and `notify` after them. `on_journal_error` receives the
    error if the journal can't be written.
    """
    limiter = OutputLimiter(inbox.put)
    log = KernelLog(directory.log, redaction.redact_bytes)
    state = state or RunState()
    kernel = _kernel(launcher, limiter, log, redaction, lambda: _traceparent_of(plan, state))
    subscribers = Subscribers(plan, directory, lambda event: inbox.put(ReportedEvent(event)))

    def publish_to_all(records: Sequence[Record]) -> None:
        publish(records)
        subscribers.receive(records)
        notify(records)

    engine = Engine(
        journal,
        inbox=inbox,
        kernel=kernel,
        output_limiter=limiter,
        publish=publish_to_all,
        on_journal_error=on_journal_error,
        save_notebook=notebook_saver(directory, plan),
        state=state,
        redaction=redaction,
        check_signature=partial(approval_signatures.check, plan.policy.approver_keys),
    )
    return engine, kernel, subscribers


def _traceparent_of(plan: ev.RunStarted, state: RunState) -> str:
    """Return the place in the trace of the attempt that is about to be sent."""
    attempt = state.attempt
    if attempt is None:
        return ""
    span = trace_context.attempt_span(plan.run, attempt.step, attempt.attempt)
    return switch.handed_context(os.environ, plan.run, plan.traceparent, span)


def _kernel(
    launcher: KernelLauncher | GatewayLauncher,
    sink: Sink,
    log: KernelLog,
    redaction: Redaction,
    traceparent: Callable[[], str],
) -> Kernel:
    on_secrets = redaction.add_secrets
    if isinstance(launcher, KernelLauncher):
        return LocalKernel(launcher, sink, log=log, on_secrets=on_secrets, traceparent=traceparent)
    from nbrun.kernel.remote.kernel import RemoteKernel  # needs an extra

    return RemoteKernel(launcher, sink, on_secrets=on_secrets, traceparent=traceparent)


def _install_signal_handlers(inbox: Inbox) -> None:
    """Cancel the run on SIGTERM or SIGINT, and ignore the signals of a terminal.

    A handler is used instead of SIG_IGN because kernels would inherit SIG_IGN.
    """
    operator = provenance.operator(os.getpid())

    def cancel(number: int, _frame: object) -> None:
        reason = f"the supervisor got {signal.Signals(number).name}"
        inbox.put(SubmittedDecision(decisions.Cancel(reason=reason), operator))

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, cancel)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)


def _cancel_at_end_of(pipe: int, inbox: Inbox) -> None:
    """Cancel the run when `pipe` ends: the process that started the run holds the other end."""
    operator = provenance.operator(os.getppid())

    def wait() -> None:
        while os.read(pipe, 1024):
            pass
        cancel = decisions.Cancel(reason="the process that started the run is gone")
        inbox.put(SubmittedDecision(cancel, operator))

    threading.Thread(target=wait, name="nbrun-starter", daemon=True).start()


def _send_reply(reply: Accepted) -> None:
    try:
        os.write(1, requests.encode(reply))
    except BrokenPipeError:  # `nbrun` is gone: the run continues without it
        logging.getLogger(__name__).warning("nobody read the reply %r", reply)


def _redirect_to_log(log: Path, redaction: Redaction) -> None:
    """Detach from the terminal: stdin becomes /dev/null, stdout and stderr become the log."""
    log_fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    for number, fd in ((0, null_fd), (1, log_fd), (2, log_fd)):
        os.dup2(fd, number)
    os.close(log_fd)
    os.close(null_fd)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(redaction))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    os.chdir("/")  # so that no file system stays busy because of this process
