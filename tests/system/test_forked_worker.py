"""A second process: what it makes of what it is told, and that nothing is left of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbrun.system.forked_worker import Beside, Read


def whole(read: Read) -> bytes:
    """All that is told."""
    told = []
    while piece := read(1000):
        told.append(piece)
    return b"".join(told)


def pid_of(beside: Beside) -> int:
    return beside._pid


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_it_is_told_every_byte_in_order(size: int) -> None:
    data = os.urandom(size)
    with Beside(lambda read: b"=" + whole(read)) as beside:
        for start in range(0, size, 65_536):
            beside.tell(data[start : start + 65_536])
        assert beside.result() == b"=" + data


def test_it_is_another_process_and_gone_afterwards_with_all_that_it_took() -> None:
    before = open_files()
    with Beside(lambda _: str(os.getpid()).encode()) as beside:
        pid = pid_of(beside)
        assert int(beside.result()) == pid != os.getpid()
    assert not is_there(pid)
    assert open_files() == before


def test_it_is_ended_when_what_is_done_here_fails() -> None:
    before = open_files()
    with pytest.raises(KeyboardInterrupt), Beside(whole) as beside:
        pid = pid_of(beside)
        beside.tell(b"some")
        raise KeyboardInterrupt
    assert not is_there(pid)
    assert open_files() == before


def test_telling_more_than_it_takes_waits_for_nothing() -> None:
    with Beside(lambda read: read(1) * 100_000) as beside:
        for _ in range(100):
            beside.tell(b"x" * 65_536)
        assert beside.result() == b"x" * 100_000


@pytest.mark.parametrize("how", ["killed", "raises"])
def test_one_that_ends_without_a_result_is_an_error(
    how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(read: Read) -> bytes:
        if how == "raises":
            raise ValueError
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    with Beside(work) as beside, pytest.raises(ChildProcessError):
        beside.tell(b"x" * 3_000_000)
        beside.result()
    assert capfd.readouterr().out == ""


def test_what_was_yet_to_be_printed_is_printed_once() -> None:
    code = (
        "import sys\n"
        "from nbrun.system.forked_worker import Beside\n"
        "sys.stdout.write('once')\n"
        "with Beside(lambda read: read(1)) as beside:\n"
        "    beside.tell(b'x')\n"
        "    sys.stdout.write(beside.result().decode())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("oncex", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_the_process_that_it_helps(number: signal.Signals) -> None:
    """Whatever ends that one; Ctrl-C goes to both, as a terminal sends it."""
    code = (
        "from nbrun.system.forked_worker import Beside\n"
        "def work(read):\n"
        "    while read(1000): pass\n"
        "    return b'.'\n"
        "try:\n"
        "    with Beside(work) as beside:\n"
        "        print(beside._pid, flush=True)\n"
        "        while True: beside.tell(b'x' * 1000)\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    pid = int(started.stdout.readline())
    if number == signal.SIGINT:
        os.killpg(started.pid, number)
    else:
        os.kill(started.pid, number)
    _, said = started.communicate(timeout=30)
    until = time.monotonic() + 30
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_there(pid)
    assert said == ""
