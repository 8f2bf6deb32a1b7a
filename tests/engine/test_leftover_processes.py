"""Tests of which processes an attempt left running, and how they are described."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.core.events import BackgroundEnded, KernelProcess, ProcessesLeft, ProcessLeft
from nbrun.core.redaction.redactor import Redaction
from nbrun.engine import leftover_processes
from nbrun.engine.leftover_processes import MAX_COMMAND_LENGTH, MAX_NAMED, LeftoverProcesses
from nbrun.kernel.messages import LeftInBackground
from nbrun.system import processes
from nbrun.system.processes import Descendant
from tests.support.build_events import attempt_started
from tests.support.kernel_process import as_recorded, start_kernel_process

# What a cell would do, in the place of a kernel: it starts what it is told on its stdin.
KERNEL = "import subprocess, sys\nfor line in sys.stdin: print(eval(line), flush=True)"


class Kernel:
    """A process that starts others, in its own session and marked as a kernel's."""

    def __init__(self, folder: Path) -> None:
        self._process = start_kernel_process([sys.executable, "-c", KERNEL], folder)
        self.known = as_recorded(self._process, folder)
        self.started: list[int] = []

    def starts(self, *words: str, **options: bool) -> int:
        """Start a process; return its pid once it runs its program."""
        assert self._process.stdin
        assert self._process.stdout
        away = "stdin=-3, stdout=-3"
        ask = f"subprocess.Popen({[*words]!r}, {away}, **{options!r}).pid\n"
        self._process.stdin.write(ask)
        self._process.stdin.flush()
        self.started.append(int(self._process.stdout.readline()))
        return self.started[-1]

    def dies(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill every process that the test started."""
        self.dies()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        for each in processes.marked_processes(self.known):
            os.kill(each.pid, signal.SIGKILL)
        for pid in self.started:
            if processes.exists(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftover_processes, "GRACE", 0.1)


def pids(found: list[processes.Descendant]) -> set[int]:
    return {each.pid for each in found}


def looked(found: LeftoverProcesses) -> list[leftover_processes.ev.ProcessesLeft]:
    due = found.deadline
    assert due is not None
    while time.monotonic() < due:
        time.sleep(0.01)
    return found.report_due()


def test_process_is_attributed_to_kernel_however_it_detaches(kernel: Kernel) -> None:
    below = kernel.starts("sleep", "600")
    own_session = kernel.starts("sleep", "600", start_new_session=True)
    assert pids(processes.descendants(kernel.known, 0.0)) >= {below, own_session}
    kernel.starts("setsid", "--fork", "sleep", "611")
    kernel.starts("sh", "-c", "sleep 612 & exec true")
    while len(sleepers := commands(processes.descendants(kernel.known, 0.0))) < 4:
        time.sleep(0.01)
    assert sleepers == ["sleep 600", "sleep 600", "sleep 611", "sleep 612"]
    kernel.dies()
    assert commands(processes.descendants(kernel.known, 0.0)) == sleepers, "by group, and by mark"
    assert commands(processes.marked_processes(kernel.known)) == sleepers


def commands(found: list[processes.Descendant]) -> list[str]:
    return sorted(" ".join(each.command) for each in found if each.command[0] == "sleep")


def test_unmarked_process_is_found_while_parent_exists(kernel: Kernel) -> None:
    """`snapshot` is called while the parent still exists."""
    found = LeftoverProcesses(Redaction())
    found.attempt_started(attempt_started(), kernel.known)
    away = kernel.starts("env", "-i", "setsid", "sleep", "613")
    while commands(processes.descendants(kernel.known, 0.0)) != ["sleep 613"]:
        time.sleep(0.01)
    found.snapshot()
    kernel.dies()
    found.attempt_ended("kernel_died")
    (told,) = looked(found)
    assert [each.pid for each in told.processes] == [away]


def test_process_from_outside_attempt_is_not_reported(kernel: Kernel) -> None:
    found = LeftoverProcesses(Redaction())
    kernel.starts("sleep", "620")
    time.sleep(0.05)  # more than the hundredth of a second that beginnings are told in
    found.attempt_started(attempt_started("s1"), kernel.known)
    own = kernel.starts("sleep", "621")
    time.sleep(0.05)
    found.attempt_ended("interrupted")
    time.sleep(0.05)
    found.attempt_started(attempt_started("s2"), kernel.known)
    kernel.starts("sleep", "622")
    (told,) = looked(found)
    assert told.step == "s1"
    assert [each.pid for each in told.processes] == [own]


@pytest.mark.parametrize("outcome", ["ok", "error"])
def test_attempt_that_ended_normally_is_not_checked(
    kernel: Kernel, outcome: leftover_processes.ev.Outcome
) -> None:
    found = LeftoverProcesses(Redaction())
    found.attempt_started(attempt_started(), kernel.known)
    kernel.starts("sleep", "630")
    found.attempt_ended(outcome)
    assert found.deadline is None
    assert found.report_at_end() == []


def test_processes_left_at_end_are_reported_again(kernel: Kernel) -> None:
    found = LeftoverProcesses(Redaction())
    found.attempt_started(attempt_started(), kernel.known)
    stays = kernel.starts("sleep", "640", start_new_session=True)
    goes = kernel.starts("sleep", "641", start_new_session=True)
    found.attempt_ended("interrupted")
    (told,) = looked(found)
    assert {each.pid for each in told.processes} == {stays, goes}
    end(goes)
    (at_end,) = found.report_at_end()
    assert at_end.at_end
    assert [each.pid for each in at_end.processes] == [stays]
    end(stays)
    assert found.report_at_end() == []


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while processes.exists(pid):
        time.sleep(0.01)


def test_many_processes_are_counted_but_some_listed(kernel: Kernel) -> None:
    found = LeftoverProcesses(Redaction())
    found.attempt_started(attempt_started(), kernel.known)
    for _ in range(MAX_NAMED + 3):
        kernel.starts("sleep", "650")
    found.attempt_ended("timed_out")
    (told,) = looked(found)
    assert (len(told.processes), told.more) == (MAX_NAMED, 3)


SECRET = "c4n4ry-c4n4ry"


@pytest.mark.parametrize("before", [0, *range(MAX_COMMAND_LENGTH - 58, MAX_COMMAND_LENGTH - 38, 3)])
def test_command_line_is_redacted_before_cut(kernel: Kernel, before: int) -> None:
    found = LeftoverProcesses(Redaction({"password": SECRET}))
    found.attempt_started(attempt_started(), kernel.known)
    kernel.starts("sh", "-c", "sleep 660; exit 0", "x" * before, f"--password={SECRET}")
    found.attempt_ended("interrupted")
    (told,) = looked(found)
    line = next(each.command for each in told.processes if each.command.startswith("sh -c"))
    assert len(line) <= MAX_COMMAND_LENGTH
    assert SECRET[:4] not in line


def test_only_program_is_shown_when_secrets_unknown(kernel: Kernel) -> None:
    found = LeftoverProcesses(Redaction(unknown=("password",)))
    kernel.starts("sleep", "670")
    told = found.report_of_kernel(kernel.known)
    assert told is not None
    assert (told.step, told.attempt) == (None, 0)
    assert "sleep" in [each.command for each in told.processes]


def test_kernel_without_leftovers_is_not_reported(tmp_path: Path) -> None:
    gone = KernelProcess(pid=2**22 + 1, connection_file=str(tmp_path / "kernel.json"))
    assert LeftoverProcesses(Redaction()).report_of_kernel(gone) is None
    found = LeftoverProcesses(Redaction())
    found.attempt_started(attempt_started(), gone)
    found.snapshot()
    found.attempt_ended("kernel_died")
    assert looked(found) == []


def test_background_of_kernel_is_told_without_what_an_attempt_left(kernel: Kernel) -> None:
    found = LeftoverProcesses(Redaction({"password": SECRET}))
    found.attempt_started(attempt_started(), kernel.known)
    kernel.starts("sleep", "680")
    found.attempt_ended("interrupted")
    (told,) = looked(found)
    (of_attempt,) = [each for each in told.processes if each.command == "sleep 680"]
    ends = Descendant(pid=1, start_time=0.0, command=("serve", f"--key={SECRET}"))
    goes_on = Descendant(pid=2, start_time=0.0, command=("agent",))
    known = Descendant(pid=of_attempt.pid, start_time=0.0, command=("sleep", "680"))
    message = LeftInBackground(
        generation=2, ended=(ends,), running=(goes_on, known), tasks=("watch",)
    )
    ended, left = found.background_events(message, at_end=True)
    assert ended == BackgroundEnded(
        generation=2,
        processes=(ProcessLeft(pid=1, command="serve '--key=[secret:password]'"),),
        tasks=("watch",),
    )
    assert left == ProcessesLeft(processes=(ProcessLeft(pid=2, command="agent"),), at_end=True)
