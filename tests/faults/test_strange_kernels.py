"""Test kernels that hang, ignore interrupts, never start or die, and the processes they leave."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.model import Policy
from nbrun.core.redaction.redactor import Redaction
from nbrun.engine import kernel_controller, leftover_processes
from nbrun.kernel import process, watchdog
from nbrun.system import processes
from tests.support.build_notebooks import code
from tests.support.live_run import LiveRun
from tests.support.terminal import TELL_PID, Desk, is_gone, wait_until

WITHIN = 10.0  # seconds for Ctrl-C and time limits to work, whatever the kernel does
REASON = "reason (Enter for none, Ctrl-C to go back):"
ALONE = Policy(attended=False)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., LiveRun]]:
    made: list[LiveRun] = []

    def make(*decisions: decisions.Decision, **options: object) -> LiveRun:
        made.append(LiveRun(tmp_path, *decisions, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe the kernel, and report its silence, sooner."""
    for name, seconds in (
        ("PROBE_AFTER", 0.2),
        ("REPORT_IDLE_AFTER", 1.0),
        ("REPORT_BUSY_AFTER", 2.5),
    ):
        monkeypatch.setattr(watchdog, name, seconds)
    monkeypatch.setattr(process, "_CHECK_INTERVAL", 0.2)


# ── Kernels that do not answer ───────────────────────────────────────────────────────────────


@pytest.mark.sweep
def test_stopped_kernel_is_reported_and_can_be_killed(desk: Desk) -> None:
    desk.book(code(TELL_PID + "import time; time.sleep(600)", id="sleeps"))
    terminal = desk.start()
    kernel = terminal.kernel()
    os.kill(kernel, signal.SIGSTOP)
    terminal.until("the kernel is not responding: something stopped its process", timeout=10)
    assert f"kill -CONT {kernel}" in terminal.words()
    os.kill(kernel, signal.SIGCONT)
    terminal.until("the kernel's process continues", timeout=10)
    os.kill(kernel, signal.SIGSTOP)
    wait_until(lambda: len(desk.events(ev.KernelSuspended)) == 2)
    began = time.monotonic()
    terminal.press("ctrl-c")
    terminal.until("interrupting the step")
    terminal.press("ctrl-c")
    terminal.answer("kill the kernel? [y/N]", "y")
    terminal.until("the kernel was killed, as asked")
    assert time.monotonic() - began < 10
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert is_gone(kernel)


def test_stopped_kernel_is_killed_by_time_limit(
    live: Callable[..., LiveRun],
) -> None:
    began = time.monotonic()
    stop = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    run = live().start(stop, policy=ALONE, timeout=1.0)
    pid = run.until(ev.KernelStarted).process.pid
    interrupted = run.until(ev.KernelInterrupted)
    assert interrupted.timeout
    assert run.ended().outcome == "failed"
    assert time.monotonic() - began < 1.0 + WITHIN
    assert [event.pid for event in run.of(ev.KernelSuspended)] == [pid]
    assert [event.outcome for event in run.of(ev.AttemptFinished)] == ["kernel_died"]
    assert [event.kill for event in run.of(ev.KernelInterrupted)] == [False, True]
    wait_until(lambda: is_gone(pid))


def test_stopped_kernel_is_killed_on_cancel(live: Callable[..., LiveRun]) -> None:
    run = live().start(TELL_PID + "import time; time.sleep(600)")
    pid = int(run.printed("kernel").split()[1])
    os.kill(pid, signal.SIGSTOP)
    run.until(ev.KernelSuspended)
    began = time.monotonic()
    run.decide(decisions.Cancel())
    assert run.ended().outcome == "cancelled"
    assert time.monotonic() - began < WITHIN
    wait_until(lambda: is_gone(pid))


IGNORES = """import time
print('at it', flush=True)
while True:
    try: time.sleep(600)
    except KeyboardInterrupt: print('not now', flush=True)"""
DEAF = """import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('at it', flush=True)
while True: time.sleep(0.01)"""


@pytest.mark.parametrize("source", [IGNORES, DEAF], ids=["caught", "never heard"])
def test_unheeded_interrupt_is_reported_and_kernel_can_be_killed(
    live: Callable[..., LiveRun], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(kernel_controller, "UNHEEDED_AFTER", 0.5)
    run = live(decisions.Cancel()).start(source)
    run.printed("at it")
    run.decide(decisions.Interrupt())
    unheeded = run.until(ev.InterruptUnheeded)
    assert unheeded.waited == 0.5
    run.decide(decisions.KillKernel(reason="it does not listen"))
    died = run.until(ev.KernelDied)
    assert died.why == "the kernel was killed, as asked"
    assert run.ended().outcome == "cancelled"
    assert [each.decision for each in run.of(ev.Decided)] == ["interrupt", "kill", "cancel"]
    assert [each.kill for each in run.of(ev.KernelInterrupted)] == [False, True]
    assert [each.outcome for each in run.of(ev.AttemptFinished)] == ["kernel_died"]


def test_step_ignoring_its_time_limit_is_killed(
    live: Callable[..., LiveRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kernel_controller.KILL_GRACE < WITHIN - 1
    monkeypatch.setattr(kernel_controller, "KILL_GRACE", 1.0)
    run = live().start(IGNORES, policy=ALONE, timeout=0.5)
    assert run.ended().outcome == "failed"
    assert [each.outcome for each in run.of(ev.AttemptFinished)] == ["kernel_died"]
    assert run.of(ev.InterruptUnheeded) == [], "no operator interrupted it"


HELD = "import ctypes\nprint('held', flush=True)\nctypes.PyDLL(None).sleep({})"  # with the lock
LONG = "import re\nprint('held', flush=True)\nre.match('(a+)+$', 'a' * 64 + 'b')"


def test_kernel_blocked_in_idle_call_is_reported_unresponsive(
    live: Callable[..., LiveRun], hasty: None
) -> None:
    """The process is not stopped: its interpreter waits in a call with the lock held."""
    run = live().start(HELD.format(2) + "; __import__('time').sleep(1)")
    told = run.until(ev.KernelUnresponsive)
    assert (told.heartbeat, told.state) == (True, "sleeping")
    assert told.silent >= 1.0
    assert told.cpu is not None
    assert told.cpu < 0.1 * told.silent
    assert run.until(ev.KernelResponded).silent > told.silent
    assert run.ended().outcome == "completed"


def test_kernel_busy_in_long_call_is_reported_later(
    live: Callable[..., LiveRun], hasty: None
) -> None:
    run = live(decisions.Cancel()).start(LONG)
    told = run.until(ev.KernelUnresponsive)
    assert told.silent >= 2.5, "a busy kernel was reported as an idle one"
    assert told.heartbeat
    assert told.cpu is not None
    assert told.cpu >= 0.1 * told.silent
    run.decide(decisions.KillKernel())
    assert run.ended().outcome == "cancelled"


@pytest.mark.sweep
def test_slow_step_is_not_reported_unresponsive(live: Callable[..., LiveRun], hasty: None) -> None:
    """The steps sleep in Python, wait for a shell command, and compute."""
    run = live().start(
        "import time; time.sleep(1.7)",
        "!sleep 1.7",
        "end = time.monotonic() + 1.7\nwhile time.monotonic() < end: pass",
    )
    assert run.ended().outcome == "completed"
    assert run.of(ev.KernelUnresponsive) == []


# ── Kernels that never start or die ────────────────────────────────────────────────────────────


@pytest.fixture
def asleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a kernelspec whose program starts and never answers."""
    folder = tmp_path / "jupyter" / "kernels" / "asleep"
    folder.mkdir(parents=True)
    tell = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    argv = [sys.executable, "-c", f"{tell}; time.sleep(600)", "{connection_file}"]
    spec = {"argv": argv, "display_name": "asleep", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return "asleep"


def test_kernel_never_ready_is_given_up_after_timeout(
    live: Callable[..., LiveRun], asleep: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STARTUP_TIMEOUT", 2.0)
    began = time.monotonic()
    run = live(kernel=asleep).start("print('never')", policy=ALONE)
    died = run.until(ev.KernelDied)
    assert "it did not answer within 2 s" in died.why
    assert run.ended().outcome == "failed"
    assert time.monotonic() - began < 2.0 + WITHIN
    assert run.of(ev.AttemptStarted) == [], "nothing may be marked started"
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_gone(pid))


def test_kernel_never_ready_can_be_given_up_with_ctrl_c(desk: Desk, asleep: str) -> None:
    desk.variables["JUPYTER_PATH"] = os.environ["JUPYTER_PATH"]
    desk.book(code("print('never')", id="one"))
    terminal = desk.start("--kernel", asleep)
    wait_until(lambda: (desk.folder / "pid").exists() and (desk.folder / "pid").read_text())
    pid = int((desk.folder / "pid").read_text())
    terminal.until("starting the kernel")
    began = time.monotonic()
    terminal.press("ctrl-c")
    terminal.until("the operator gave up waiting")
    assert time.monotonic() - began < WITHIN
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert desk.events(ev.AttemptStarted) == []
    wait_until(lambda: is_gone(pid))


def test_kernel_killed_during_prompt_is_noticed_without_key(desk: Desk) -> None:
    desk.book(code(TELL_PID + "1 / 0", id="fails"))
    terminal = desk.start()
    terminal.prompted("step 1>")
    os.kill(terminal.kernel(), signal.SIGKILL)
    terminal.until("the kernel process was ended by SIGKILL", timeout=2)
    terminal.prompted("step 1>")
    assert len(desk.events(ev.KernelDied)) == 1
    terminal.type("r")
    terminal.until("the kernel is dead: restart it first")
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert desk.attempts() == [("fails", 1, "error")]


# ── Processes they leave ────────────────────────────────────────────────────────────────────────

LEAVES = TELL_PID + ("import subprocess, sys\nbefore = subprocess.Popen(['sleep', '601'])\n")
CUT_SHORT = """import subprocess
own = subprocess.Popen(['sleep', '602'], start_new_session=True)
subprocess.run(['setsid', '--fork', 'sleep', '603'])
subprocess.run('sleep 604 &', shell=True)
print('all', 'off', flush=True)
import time; time.sleep(600)"""


def sleepers(events: list[ev.ProcessLeft]) -> set[str]:
    return {each.command.split()[1] for each in events}


@pytest.mark.sweep
def test_processes_left_by_interrupted_step_are_named_everywhere(desk: Desk) -> None:
    """Processes in their own session, without parents, and in the kernel's group are named.

    A process that an earlier step started is not.
    """
    survives = CUT_SHORT.replace("'sleep 604 &'", "'trap \"\" INT; exec sleep 604 &'")
    desk.book(code(LEAVES, id="one"), code(survives, id="cut"))
    terminal = desk.start()
    terminal.until("all off")
    terminal.press("ctrl-c")
    try:
        terminal.until("still running:")
        (left,) = desk.events(ev.ProcessesLeft)
        assert (left.step, left.attempt, left.at_end) == ("cut", 1, False)
        assert sleepers(list(left.processes)) == {"602", "603", "604"}
        assert all(processes.exists(each.pid) for each in left.processes)
        terminal.prompted("step 2>")
        assert "started by step 2, attempt 1" in terminal.words()
        terminal.type("c")
        terminal.answer("end the run here? [y/N]", "y")
        terminal.answer(REASON, "")
        assert terminal.wait() == 5
        again = desk.events(ev.ProcessesLeft)[-1]
        assert again.at_end
        assert "603" in sleepers(list(again.processes))
        assert "still running after the run" in terminal.words()
        in_notebook = [
            cell.source for cell in desk.notebook().cells if "Left running" in cell.source
        ]
        assert len(in_notebook) == 2
        told = " ".join(desk.command("log", "--steps").stdout.split())
        assert f"still running: {left.processes[0].pid} (sleep" in told
        desk.command("export", "last", "--html", "report.html")
        assert "still running" in (desk.folder / "report.html").read_text()
    finally:
        for event in desk.events(ev.ProcessesLeft):
            for each in event.processes:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)


def test_processes_left_by_killed_kernel_are_named_without_secrets(
    live: Callable[..., LiveRun],
) -> None:
    secret = "c4n4ry-c4n4ry"
    words = ["sleep", "605"]
    source = (
        "import os, subprocess\n"
        f"argv = [{sys.executable!r}, '-c', 'import time; time.sleep(605)',"
        f" {'x' * (leftover_processes.MAX_COMMAND_LENGTH - 60)!r} + '--password={secret}']\n"
        "subprocess.Popen(argv, start_new_session=True)\n"
        f"subprocess.Popen({words!r})\n"
        "os.kill(os.getpid(), 9)"
    )
    run = live(decisions.Cancel(), redaction=Redaction({"password": secret})).start(source)
    left = run.until(ev.ProcessesLeft)
    try:
        assert [each.outcome for each in run.of(ev.AttemptFinished)] == ["kernel_died"]
        commands = [each.command for each in left.processes]
        assert len(commands) == 2
        assert any(each == "sleep 605" for each in commands)
        assert all(len(each) <= leftover_processes.MAX_COMMAND_LENGTH for each in commands)
        assert "c4n" not in " ".join(commands), "a part of a secret is in the record"
        run.ended()
    finally:
        for each in left.processes:
            os.kill(each.pid, signal.SIGKILL)


def test_processes_ending_shortly_after_are_not_named(live: Callable[..., LiveRun]) -> None:
    run = live(decisions.Cancel()).start(
        "import subprocess, time\n"
        "busy = 'trap \"sleep 0.3; exit\" INT; while :; do sleep 0.01; done'\n"
        "subprocess.Popen(['sh', '-c', busy])\n"
        "print('started', flush=True)\ntime.sleep(600)"
    )
    run.printed("started")
    run.decide(decisions.Interrupt())
    assert run.ended().outcome == "cancelled"
    assert run.of(ev.ProcessesLeft) == []
