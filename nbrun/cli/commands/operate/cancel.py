"""`nbrun cancel`: end a run from elsewhere, one that goes on or one that was interrupted."""

import os
import queue
import select
import socket
from pathlib import Path

from nbrun import config
from nbrun.audit.subscribers import Recipients
from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.engine.engine import Engine, Inbox, Ordered, Reported
from nbrun.errors import ExitCode, NoSupervisorError, RefusedAttachError, UsageError
from nbrun.journal import run_directory, writer
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor import listener, resume
from nbrun.supervisor.client import SocketLink
from nbrun.supervisor.notebook_writer import saver
from nbrun.system import provenance


def cancel(run: str, runs_dir: Path | None, *, reason: str) -> ExitCode:
    """Have the run end as cancelled, its running step interrupted, its kernel ended.

    Raises:
        UsageError: it has ended already.
        NbrunError: its supervisor did not do so.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    try:
        link = SocketLink(directory, "follow")
    except NoSupervisorError:
        if writer.is_locked(directory.journal):
            raise
        _end_interrupted(directory, reason)
        print(f"{directory.id}: cancelled")  # noqa: T201
        return ExitCode.COMPLETED
    return _through(directory, link, reason)


def _through(directory: RunDirectory, link: SocketLink, reason: str) -> ExitCode:
    """Send the decision, and wait for the end that it leads to."""
    link.send(decisions.Cancel(reason=reason))
    finished = None
    while not link.closed:
        select.select([link], [], [], 1.0)
        for record in link.receive():
            if isinstance(record.event, ev.RunFinished):
                finished = record.event
            if isinstance(record.event, ev.DecisionRefused) and _is_ours(record.event, link):
                raise RefusedAttachError(f"{directory.id}: {record.event.why}")
    link.close()
    if finished is None:
        why = link.failure.why if link.failure else "its supervisor is gone"
        raise NoSupervisorError(f"{directory.id}: {why}")
    print(f"{directory.id}: {finished.outcome}")  # noqa: T201
    return ExitCode.COMPLETED


def _is_ours(refused: ev.DecisionRefused, link: SocketLink) -> bool:
    return refused.decision == "cancel" and refused.operator == link.operator


def _end_interrupted(directory: RunDirectory, reason: str) -> None:
    """No supervisor is left to do it: find the kernel, if it is there still, and end both here."""
    found = resume.open_journal(directory)
    operator = provenance.operator(os.getpid())
    kernel = resume.kernel_of(found.state)
    redaction = resume.redaction_of(found.state, None)
    kernel.log_to(directory.log, redaction.scrub)
    kernel.learn_by(redaction.learn)
    inbox: Inbox = queue.SimpleQueue()
    recipients = Recipients(found.state.plan, directory, lambda event: inbox.put(Reported(event)))
    engine = Engine(
        found.writer,
        make_kernel=kernel.speak_to,
        publish=recipients.take,
        save_notebook=saver(directory, found.state.plan),
        inbox=inbox,
        state=found.state,
        redaction=redaction,
    )
    engine.inbox.put(Ordered(decisions.Cancel(reason=reason), operator))
    resumed = ev.RunResumed(
        operator=operator,
        host=socket.gethostname(),
        versions=provenance.versions(),
        reason="to cancel it",
    )
    state = engine.resume(resumed, found.seen)
    recipients.close()
    listener.forget(directory.socket)
    if state.finished is None:
        raise UsageError(f"{directory.id}: it could not be ended")
