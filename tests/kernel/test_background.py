"""Programs, threads and tasks that cells leave in the background of a kernel."""

import os
import signal

import pytest

from nbrun.kernel import background
from nbrun.kernel.messages import LeftInBackground
from tests.support.kernel_session import KernelSession, is_alive, printed_text

PROGRAMS = """
import subprocess
print(subprocess.Popen(['sleep', '801']).pid, flush=True)
print(subprocess.Popen(['sleep', '802'], start_new_session=True).pid, flush=True)
subprocess.run('setsid -f sleep 803; sleep 0.01', shell=True)
"""
SLOW_TASK = """
import asyncio
async def speak():
    await asyncio.sleep(0.3)
    print('spoken')
task = asyncio.create_task(speak())
"""
ENDLESS = """
import asyncio, threading, time
async def watch():
    while True: await asyncio.sleep(0.05)
tasks = [asyncio.create_task(watch())]
threading.Thread(target=time.sleep, args=(60,), name='counter').start()
"""


def ended(session: KernelSession) -> list[LeftInBackground]:
    session.kernel.shutdown()
    messages = []
    while not session.queue.empty():
        messages.append(session.queue.get())
    return [each for each in messages if isinstance(each, LeftInBackground)]


@pytest.mark.sweep
def test_programs_that_end_with_the_kernel_or_go_on_are_told_apart(
    own_session: KernelSession,
) -> None:
    own_session.kernel.start()
    pids = [int(line) for line in printed_text(own_session.ask(PROGRAMS)).split()]
    (left,) = ended(own_session)
    running = {" ".join(each.command): each.pid for each in left.running}
    try:
        assert [" ".join(each.command) for each in left.ended] == ["sleep 801"]
        assert [each.pid for each in left.ended] == pids[:1]
        assert set(running) == {"sleep 802", "sleep 803"}
        assert running["sleep 802"] == pids[1]
        assert not is_alive(pids[0])
        assert left.generation == 1
    finally:
        for pid in running.values():
            os.kill(pid, signal.SIGKILL)


def test_task_of_the_last_cell_runs_to_its_end(own_session: KernelSession) -> None:
    own_session.kernel.start()
    own_session.reply(SLOW_TASK)
    own_session.kernel.shutdown()
    messages = []
    while not own_session.queue.empty():
        messages.append(own_session.queue.get())
    assert printed_text(messages) == "spoken\n"
    assert not [each for each in messages if isinstance(each, LeftInBackground)]


def test_tasks_and_threads_that_do_not_end_in_time_are_named(
    own_session: KernelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = background._FINISH.replace(f"{background.FINISH_TIMEOUT}", "0.2")
    monkeypatch.setattr(background, "_FINISH", finish)
    own_session.kernel.start()
    own_session.reply(ENDLESS)
    (left,) = ended(own_session)
    assert (left.tasks, left.threads) == (("watch",), ("counter",))
    assert (left.ended, left.running) == ((), ())


def test_threads_are_waited_for_without_autoawait(own_session: KernelSession) -> None:
    own_session.kernel.start()
    own_session.reply("%autoawait off")
    own_session.reply(
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('spoken'))).start()"
    )
    own_session.kernel.shutdown()
    messages = []
    while not own_session.queue.empty():
        messages.append(own_session.queue.get())
    assert printed_text(messages) == "spoken\n"


def test_kernel_with_nothing_in_the_background_reports_nothing(own_session: KernelSession) -> None:
    own_session.kernel.start()
    own_session.reply("import multiprocessing as m; m.Pool(1).map(abs, [1]); import asyncio")
    assert ended(own_session) == []
