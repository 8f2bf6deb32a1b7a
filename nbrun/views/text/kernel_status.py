"""Messages about a kernel's process, and about processes that a cell left running.

A message claims no more than is known: a silent kernel may be busy, stopped or hung.
"""

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.planner import step_label
from nbrun.core.state import RunState
from nbrun.views.text import phrases

BUSY = 0.1  # part of one processor: a kernel that uses more is computing
_KILL = "press Ctrl-C twice to kill"


def fact(state: RunState, event: Event) -> str:
    """Return what was observed; "" for other events."""
    match event:
        case ev.KernelSuspended(pid=pid):
            return f"the kernel is not responding: something stopped its process ({pid})"
        case ev.KernelContinued():
            return "the kernel's process continues"
        case ev.KernelUnresponsive():
            return _unresponsive(event)
        case ev.KernelResponded(silent=silent):
            return f"the kernel answers again, after {phrases.duration(silent)}"
        case ev.InterruptUnheeded(waited=waited):
            return f"the step still runs {phrases.duration(waited)} after it was interrupted"
        case ev.ProcessesLeft():
            return _left_running(state, event)
        case ev.BackgroundEnded():
            return _ended(event)
    return ""


def advice(event: Event) -> str:
    """Return what the operator can do about the event; "" if there is nothing to do."""
    match event:
        case ev.KernelSuspended(pid=pid):
            return f"let it continue with kill -CONT {pid}, or {_KILL} it"
        case ev.KernelUnresponsive():
            return f"wait, or {_KILL} it"
        case ev.InterruptUnheeded():
            return f"wait, or {_KILL} the kernel, which loses all its variables"
        case ev.ProcessesLeft(processes=processes, more=more):
            # No command that kills: the line is also read days later, when the number may belong
            # to another process.
            what = "it" if len(processes) + more == 1 else "them"
            return f"nbrun leaves {what} alone"
        case ev.BackgroundEnded():
            return "a step that starts work in the background has to wait for it, or detach it"
    return ""


def needs_action(event: Event) -> bool:
    """Return False for good news, and for a silent kernel that is busy computing."""
    match event:
        case ev.KernelContinued() | ev.KernelResponded():
            return False
        case ev.KernelUnresponsive():
            return not is_busy(event)
    return True


def is_busy(event: ev.KernelUnresponsive) -> bool:
    """Return True if the kernel uses the processor, so that its silence is no alarm."""
    return event.cpu is not None and event.cpu >= event.silent * BUSY


def _unresponsive(event: ev.KernelUnresponsive) -> str:
    silent = f"has answered nothing for {phrases.duration(event.silent)}"
    if is_busy(event):
        used = (event.cpu or 0.0) / event.silent
        return f"the kernel {silent}, and uses {used:.0%} of a processor: it seems to compute"
    text = f"the kernel is not responding: it {silent}, {_process_state(event)}"
    if event.heartbeat is not None:
        answers = "answers" if event.heartbeat else "does not answer"
        text += f", it {answers} the heartbeat"
    return f"{text} (process {event.pid})"


def _process_state(event: ev.KernelUnresponsive) -> str:
    if event.state == "disk-sleep":
        return "it hangs in a system call, as to a disk or a network (state D)"
    if event.cpu is None:
        return f"its process is {event.state}"
    return f"it uses no processor time ({event.state})"


def _ended(event: ev.BackgroundEnded) -> str:
    """Return `ended with the kernel: 4711 (sleep 600), the asyncio task watch`."""
    named = [f"{each.pid} ({each.command})" for each in event.processes]
    if event.more:
        named.append(f"{event.more} more")
    named += [f"the thread {name}" for name in event.threads]
    named += [f"the asyncio task {name}" for name in event.tasks]
    return f"ended with the kernel, unfinished: {', '.join(named)}"


def _left_running(state: RunState, event: ev.ProcessesLeft) -> str:
    """Return `still running: 4711 (sleep 600), started by step 3, attempt 1`.

    The output notebook contains this text: it must not change (see `phrases`).
    """
    named = [f"{each.pid} ({each.command})" for each in event.processes]
    if event.more:
        named.append(f"{event.more} more")
    by = f"{step_label(state, event.step)}, attempt {event.attempt}" if event.step else "the kernel"
    when = "still running after the run" if event.at_end else "still running"
    return f"{when}: {', '.join(named)}, started by {by}"
