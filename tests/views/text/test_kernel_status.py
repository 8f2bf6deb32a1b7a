"""Messages about a kernel's process, which claim no more than is known."""

import pytest

from nbrun.core import events as ev
from nbrun.core.reducer import fold
from nbrun.views.text import kernel_status
from tests.support.build_events import (
    BUILDERS,
    begun,
    interrupt_unheeded,
    kernel_continued,
    kernel_responded,
    kernel_unresponsive,
    processes_left,
)

STATE = fold(begun())


def fact(event: ev.Event) -> str:
    return kernel_status.fact(STATE, event)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            kernel_unresponsive(),
            "the kernel is not responding: it has answered nothing for 10.0 s, it uses no "
            "processor time (sleeping), it answers the heartbeat (process 4711)",
        ),
        (
            kernel_unresponsive(heartbeat=False, state="running"),
            "the kernel is not responding: it has answered nothing for 10.0 s, it uses no "
            "processor time (running), it does not answer the heartbeat (process 4711)",
        ),
        (
            kernel_unresponsive(heartbeat=None, state="disk-sleep"),
            "the kernel is not responding: it has answered nothing for 10.0 s, it hangs in a "
            "system call, as to a disk or a network (state D) (process 4711)",
        ),
        (
            kernel_unresponsive(cpu=None, heartbeat=None),
            "the kernel is not responding: it has answered nothing for 10.0 s, its process is "
            "sleeping (process 4711)",
        ),
        (
            kernel_unresponsive(silent=30.0, cpu=29.7),
            "the kernel has answered nothing for 30.0 s, and uses 99% of a processor: it seems to "
            "compute",
        ),
        (kernel_responded(), "the kernel answers again, after 12.0 s"),
        (interrupt_unheeded(), "the step still runs 5.0 s after it was interrupted"),
        (processes_left(), "still running: 4712 (sleep 600), started by step 1, attempt 1"),
        (
            processes_left(step=None, attempt=0, more=3),
            "still running: 4712 (sleep 600), 3 more, started by the kernel",
        ),
        (
            processes_left(at_end=True),
            "still running after the run: 4712 (sleep 600), started by step 1, attempt 1",
        ),
        (kernel_continued(), "the kernel's process continues"),
    ],
)
def test_fact_claims_only_what_is_known(event: ev.Event, told: str) -> None:
    assert fact(event) == told


def test_advice_on_left_processes_names_no_kill_command() -> None:
    """A number may be another process's by then."""
    told = kernel_status.advice(processes_left(pid=4712))
    assert told == "nbrun leaves it alone"
    assert kernel_status.advice(processes_left(more=1)) == "nbrun leaves them alone"


def test_fact_is_empty_for_other_events() -> None:
    own = (
        ev.KernelSuspended
        | ev.KernelContinued
        | ev.KernelUnresponsive
        | ev.KernelResponded
        | ev.InterruptUnheeded
        | ev.ProcessesLeft
        | ev.BackgroundEnded
    )
    for build in BUILDERS:
        event = build()
        assert bool(fact(event)) is isinstance(event, own), event


def test_work_that_ended_with_the_kernel_is_named_by_kind() -> None:
    event = ev.BackgroundEnded(
        generation=1,
        processes=(ev.ProcessLeft(pid=4711, command="sleep 600"),),
        more=2,
        threads=("counter",),
        tasks=("watch",),
    )
    assert fact(event) == (
        "ended with the kernel, unfinished: 4711 (sleep 600), 2 more, the thread counter, the "
        "asyncio task watch"
    )
