"""Commands whose standard streams are closed, full or lost."""

import shlex
import subprocess
import sys

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

NBRUN = f"{shlex.quote(sys.executable)} -m nbrun"
CONTINUES = "the run continues, and its record keeps what it prints"


def bash(desk: Desk, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"],
        cwd=desk.folder,
        env=desk.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("redirections", "notice"),
    [
        (">/dev/full", f"nbrun: stdout can't be written: No space left on device: {CONTINUES}\n"),
        (">&-", f"nbrun: stdout is closed: {CONTINUES}\n"),
        ("| true", f"nbrun: stdout is closed: {CONTINUES}\n"),
        ("<&- 2>&- >/dev/null", ""),
    ],
)
def test_start_keeps_its_exit_code_when_streams_are_lost(
    desk: Desk, redirections: str, notice: str
) -> None:
    desk.book(code("print('one')", id="one"), code("print('x' * 10**5); 1/0", id="two"))
    done = bash(desk, f"{NBRUN} start runbook.ipynb {redirections}")
    assert (done.returncode, done.stderr) == (4, notice)
    assert desk.attempts() == [("one", 1, "ok"), ("two", 1, "error")]


@pytest.mark.sweep
def test_no_command_ends_with_a_traceback_when_stdout_is_full(desk: Desk) -> None:
    desk.book(code("print('one')", id="one"))
    assert desk.unattended().returncode == 0
    for command in ("--help", "log", "log --json", "verify last"):
        done = bash(desk, f"{NBRUN} {command} >/dev/full")
        notice = "nbrun: stdout can't be written: No space left on device\n"
        assert (command, done.returncode, done.stderr) == (command, 1, notice)


def test_watch_ends_when_its_reader_has_seen_enough(desk: Desk) -> None:
    desk.book(code("import time\nwhile True: print('more', flush=True); time.sleep(0.1)", id="one"))
    desk.command("start", "runbook.ipynb", "--detach")
    done = bash(desk, f"{NBRUN} watch | head -1")
    assert (done.returncode, done.stderr) == (8, "")


@pytest.mark.sweep
def test_run_continues_on_stderr_when_ctrl_c_kills_tee(desk: Desk) -> None:
    desk.book(code("import time; print('be' + 'gun', flush=True); time.sleep(60)", id="one"))
    # nbrun runs in the foreground group of a terminal, and `tee` beside it, as in a shell.
    script = f"{NBRUN} start runbook.ipynb | tee copy; exit ${{PIPESTATUS[0]}}"
    desk.nbrun = ["bash", "-c", f"trap : INT; {script}"]
    terminal = desk.open()
    terminal.until("begun")
    terminal.press("ctrl-c")
    terminal.until(f"nbrun: stdout is closed: {CONTINUES}")
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer("reason (Enter for none, Ctrl-C to go back):", "enough")
    assert terminal.wait() == 5
    assert desk.events(ev.RunFinished)[0].outcome == "cancelled"
