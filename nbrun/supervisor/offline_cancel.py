"""Cancel an interrupted run from this process, since its supervisor is gone."""

import os
import queue
import socket

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.engine.engine import Inbox, SubmittedDecision
from nbrun.errors import UsageError
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor import host, listener, resume
from nbrun.system import provenance


def cancel_interrupted(directory: RunDirectory, reason: str, *, foreign: bool) -> None:
    """End the interrupted run as cancelled, and shut down its kernel if that is still alive.

    Raises:
        ForeignRunError: the run is not this user's own, or this user did not begin it.
        UnprovenKernelError: its record names a process that is not known to be its kernel.
        UsageError: the run is in progress or has ended, or it did not end.
        JournalError: the journal can't be written, or is damaged.
    """
    found = resume.open_journal(directory, foreign=foreign)
    try:
        plan = resume.believed_plan(directory, found.state, foreign=foreign)
        launcher = resume.launcher_for(found.state, sudo=resume.sudo_for(found.state))
    except BaseException:
        found.journal.close()
        raise
    operator = provenance.operator(os.getpid())
    inbox: Inbox = queue.SimpleQueue()
    engine, _, subscribers = host.build_engine(
        directory,
        found.journal,
        launcher,
        plan,
        inbox=inbox,
        redaction=resume.redaction_for(found.state, None),
        state=found.state,
    )
    # The decision waits in the inbox before the engine resumes, so that no step runs.
    inbox.put(SubmittedDecision(decisions.Cancel(reason=reason), operator))
    resumed = ev.RunResumed(
        operator=operator,
        host=socket.gethostname(),
        versions=provenance.versions(),
        reason="to cancel it",
    )
    state = engine.resume(resumed, found.last_alive)
    subscribers.close()
    listener.remove_stale_socket(directory.socket)
    if state.finished is None:
        raise UsageError(f"{directory.id}: the run could not be cancelled")
