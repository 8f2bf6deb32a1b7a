"""Work that cells leave in the background, at the end of a run."""

import os
import signal

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk


@pytest.mark.sweep
def test_end_of_run_names_what_ended_and_what_goes_on(desk: Desk) -> None:
    desk.book(
        code(
            "import subprocess\n"
            "one = subprocess.Popen(['sleep', '811'])\n"
            "two = subprocess.Popen(['sleep', '812'], start_new_session=True)",
            id="start",
        ),
        # It waits until nohup has taken effect: before, the end of the shell's terminal ends it.
        code(
            "!(nohup sh -c 'touch up; exec sleep 813' >/dev/null 2>&1 &); "
            "while [ ! -e up ]; do sleep 0.05; done",
            id="nohup",
        ),
        code(
            "import asyncio\n"
            "async def report(): await asyncio.sleep(0.2); print('reported')\n"
            "task = asyncio.create_task(report())",
            id="task",
        ),
    )
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    (left,) = desk.events(ev.ProcessesLeft)
    try:
        words = " ".join(ended.stdout.split())
        (gone,) = desk.events(ev.BackgroundEnded)
        commands = {each.command for each in (*gone.processes, *left.processes)}
        assert commands == {"sleep 811", "sleep 812", "sleep 813"}
        assert "sleep 811" in {each.command for each in gone.processes}
        assert "sleep 812" in {each.command for each in left.processes}
        assert f"ended with the kernel, unfinished: {gone.processes[0].pid} (sleep 811)" in words
        assert f"still running after the run: {left.processes[0].pid} (sleep 81" in words
        assert desk.printed("task") == "reported\n"
        assert "sleep 811" in str(desk.notebook())
    finally:
        for each in left.processes:
            os.kill(each.pid, signal.SIGKILL)
