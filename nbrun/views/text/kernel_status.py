"""What is seen of a kernel's process, and of those that it leaves behind, told in words."""

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.planner import label
from nbrun.core.state import RunState
from nbrun.views.text import phrases

AT_WORK = 0.1  # part of one processor: who uses more of it is at work
_KILL = "press Ctrl-C twice to kill it"


def fact(state: RunState, event: Event) -> str:
    """What was seen; empty for other events."""
    match event:
        case ev.KernelSuspended(pid=pid):
            return f"the kernel is not responding: something stopped its process ({pid})"
        case ev.KernelContinued():
            return "the kernel's process goes on again"
        case ev.KernelUnresponsive():
            return _unresponsive(event)
        case ev.KernelResponded(silent=silent):
            return f"the kernel answers again, after {phrases.duration(silent)}"
        case ev.InterruptUnheeded(waited=waited):
            return f"the step goes on {phrases.duration(waited)} after it was interrupted"
        case ev.ProcessesLeft():
            return _left(state, event)
    return ""


def advice(event: Event) -> str:
    """What can be done about it; empty where there is nothing to do."""
    match event:
        case ev.KernelSuspended(pid=pid):
            return f"let it go on with kill -CONT {pid}, or {_KILL}"
        case ev.KernelUnresponsive():
            return f"wait for it, or {_KILL}"
        case ev.InterruptUnheeded():
            return f"wait for it, or {_KILL.replace('it', 'the kernel')} and all its variables"
        case ev.ProcessesLeft(processes=processes, more=more):  # no command to kill: this is read
            what = "it" if len(processes) + more == 1 else "them"  # days later, too
            return f"nbrun leaves {what} alone"
    return ""


def needs_action(event: Event) -> bool:
    """Return False for good news, and for a silent kernel that is busy computing."""
    match event:
        case ev.KernelContinued() | ev.KernelResponded():
            return False
        case ev.KernelUnresponsive():
            return not is_at_work(event)
    return True


def is_at_work(event: ev.KernelUnresponsive) -> bool:
    """Return True if the kernel uses the processor, so that its silence is no alarm."""
    return event.cpu is not None and event.cpu >= event.silent * AT_WORK


def _unresponsive(event: ev.KernelUnresponsive) -> str:
    """What is known of a kernel that says nothing, and no more."""
    silent = f"has answered nothing for {phrases.duration(event.silent)}"
    if is_at_work(event):
        used = (event.cpu or 0.0) / event.silent
        return f"the kernel {silent}, and uses {used:.0%} of a processor: at a long call, it seems"
    told = f"the kernel is not responding: it {silent}, {_stillness(event)}"
    if event.heartbeat is not None:
        told += f", its heartbeat {'is there' if event.heartbeat else 'is silent, too'}"
    return f"{told} (process {event.pid})"


def _stillness(event: ev.KernelUnresponsive) -> str:
    if event.state == "disk-sleep":
        return "it hangs in a call to the system, as to a disk or a network (state D)"
    if event.cpu is None:
        return f"the system says {event.state}"
    return f"it uses no processor time ({event.state})"


def _left(state: RunState, event: ev.ProcessesLeft) -> str:
    """`still running: 4711 (sleep 600), started by step 3, attempt 1`."""
    named = [f"{each.pid} ({each.command})" for each in event.processes]
    if event.more:
        named.append(f"{event.more} more")
    by = f"{label(state, event.step)}, attempt {event.attempt}" if event.step else "the kernel"
    when = "still running after the run" if event.at_end else "still running"
    return f"{when}: {', '.join(named)}, started by {by}"
