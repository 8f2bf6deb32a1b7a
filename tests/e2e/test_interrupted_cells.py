"""An interrupted cell ends at the interrupt; if it goes on to its end, nbrun says so."""

import os
import signal
from pathlib import Path

import pytest

from nbrun.core import decisions
from nbrun.core import events as ev
from tests.support.build_notebooks import code, notebook, write
from tests.support.live_run import LiveRun
from tests.support.terminal import Desk, wait_until

AFTER = "\nopen('went_on', 'w').close()"
SCRIPT = "open('began', 'w').close()\nimport time; time.sleep(20)"

# Each creates the file `began`, and then takes 20 seconds. `slow.py` and `slow.ipynb` do, too.
SLOW = {
    "command": "!touch began; sleep 20",
    "output of a command": "x = !touch began; sleep 20",
    "magic sx": "%sx touch began; sleep 20",
    "os.system": "import os; os.system('touch began; sleep 20')",
    "shell function": "get_ipython().system('touch began; sleep 20')",
    "raw shell function": "get_ipython().system_raw('touch began; sleep 20')",
    "subprocess": "import subprocess; subprocess.run('touch began; sleep 20', shell=True)",
    "loop of commands": "for n in range(10_000):\n    !touch began; true",
    "await": "import asyncio; await asyncio.sleep(0)\n!touch began; sleep 20",
    "script": "get_ipython().run_cell_magic('bash', '--no-raise-error', 'touch began; sleep 20')",
    "run": "%run slow.py",
    "run a notebook": "%run slow.ipynb",
    "nested cell": "get_ipython().run_cell(open('slow.py').read())",
    "widget": "from ipywidgets import Output\nwith Output():\n    exec(open('slow.py').read())",
}
CATCHES = """try:
    open('began', 'w').close(); import time; time.sleep(20)
except KeyboardInterrupt:
    pass"""


def slow_book(desk: Desk, source: str, **nbrun: float) -> None:
    (desk.folder / "slow.py").write_text(SCRIPT)
    desk.book(code(SCRIPT)).rename(desk.folder / "slow.ipynb")
    desk.book(code(source + AFTER, id="slow", metadata={"nbrun": nbrun}))


@pytest.mark.sweep
def test_interrupted_cell_does_not_go_on(tmp_path: Path) -> None:
    sources = [numbered(source, number) for number, source in enumerate(SLOW.values())]
    run = LiveRun(tmp_path, *[decisions.Skip()] * len(SLOW))
    for number in range(len(SLOW)):
        script = numbered(SCRIPT, number)
        (tmp_path / f"slow{number}.py").write_text(script)
        write(tmp_path, notebook(code(script)), f"slow{number}.ipynb")
    run.start(*(source + AFTER for source in sources))
    for number, name in enumerate(SLOW):
        wait_until((tmp_path / f"began{number}").exists)
        run.decide(decisions.Interrupt())
        finished = run.until(ev.AttemptFinished)
        ended = (finished.outcome, finished.ename, finished.ran_to_end)
        assert ended == ("interrupted", "KeyboardInterrupt", False), name
        assert finished.duration < 15, name
    run.ended()
    assert not (tmp_path / "went_on").exists()


def numbered(source: str, number: int) -> str:
    return source.replace("began", f"began{number}").replace("slow.", f"slow{number}.")


def test_ctrl_c_ends_a_cell_in_a_shell_command(desk: Desk) -> None:
    slow_book(desk, SLOW["command"])
    terminal = desk.start()
    wait_until((desk.folder / "began").exists)
    terminal.press("ctrl-c")
    terminal.prompted("step 1>")
    assert "interrupted ·" in terminal.text()
    assert not (desk.folder / "went_on").exists()


def test_stop_says_that_an_interrupted_cell_ran_to_its_end(desk: Desk) -> None:
    slow_book(desk, CATCHES)
    terminal = desk.start()
    wait_until((desk.folder / "began").exists)
    terminal.press("ctrl-c")
    terminal.prompted("step 1>")
    assert "this step was interrupted, but the cell ran to its end" in terminal.words()


def test_sigterm_ends_a_cell_in_a_shell_command(desk: Desk) -> None:
    slow_book(desk, SLOW["command"])
    run = desk.begin()
    wait_until((desk.folder / "began").exists)
    os.kill(desk.supervisor(), signal.SIGTERM)
    assert run.wait(60) == 5
    assert not (desk.folder / "went_on").exists()


@pytest.mark.sweep
def test_time_limit_ends_a_cell_in_a_shell_command(desk: Desk) -> None:
    slow_book(desk, SLOW["command"], timeout=1)
    assert desk.unattended().returncode == 4
    assert not (desk.folder / "went_on").exists()
    assert desk.attempts() == [("slow", 1, "timed_out")]


@pytest.mark.sweep
def test_cell_that_catches_the_interrupt_is_said_to_have_run_to_its_end(desk: Desk) -> None:
    slow_book(desk, CATCHES)
    run = desk.begin()
    wait_until((desk.folder / "began").exists)
    assert desk.command("cancel", "last").returncode == 0
    shown = run.communicate(timeout=60)[0]
    assert "interrupted, but the cell ran to its end ·" in shown
    assert (desk.folder / "went_on").exists()
    (finished,) = desk.events(ev.AttemptFinished)
    assert (finished.outcome, finished.ran_to_end) == ("interrupted", True)
    assert desk.code_cells()[0].metadata.nbrun.ran_to_end is True
    assert "but the cell ran to its end" in desk.command("log").stdout


@pytest.mark.sweep
def test_time_limit_that_a_cell_catches_is_said_to_have_run_to_its_end(desk: Desk) -> None:
    slow_book(desk, CATCHES, timeout=1)
    shown = desk.unattended().stdout
    assert "timed out, but the cell ran to its end ·" in shown
    assert [each.ran_to_end for each in desk.events(ev.AttemptFinished)] == [True]
