"""A kernel that outlives the process that started it is found again, with its variables."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import Displayed, Idled, KernelInfo, Message, Replied, TextPrinted

PATIENCE = 30  # seconds

FIRST = """
import json, queue, sys, time
from pathlib import Path
import msgspec
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import Replied
said = queue.SimpleQueue()
kernel = LocalKernel(KernelLauncher("python3", cwd=Path.cwd(), attended=True), said.put)
print(msgspec.json.encode(kernel.start()).decode(), flush=True)
for line in sys.stdin:
    kernel.execute(json.loads(line))
    if "began" in line:
        while not Path("began").exists():
            time.sleep(0.01)
    else:
        while not isinstance(said.get(), Replied):
            pass
    print("sent", flush=True)
"""


class Orphan:
    """A kernel whose first process was killed after it had sent some code."""

    def __init__(self, folder: Path, *sources: str) -> None:
        first = subprocess.Popen(
            [sys.executable, "-c", FIRST],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert first.stdin is not None
        assert first.stdout is not None
        self.info = KernelInfo(**json.loads(first.stdout.readline()))
        self.process = KernelProcess(**dict(self.info.process))  # type: ignore[call-overload]
        for source in sources:
            first.stdin.write(json.dumps(source) + "\n")
            first.stdin.flush()
            assert first.stdout.readline() == "sent\n"
        first.send_signal(signal.SIGKILL)
        first.wait()
        first.stdin.close()
        first.stdout.close()
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        launcher = KernelLauncher("python3", cwd=folder, attended=True, generation=1)
        self.kernel = LocalKernel(launcher, self.said.put)

    def adopt(self) -> None:
        self.kernel.adopt(self.process, self.info, lambda: False)

    def until(self, kind: type[Any]) -> list[Any]:
        heard: list[Any] = []
        while not heard or not isinstance(heard[-1], kind):
            heard.append(self.said.get(timeout=PATIENCE))
        return heard

    def is_gone(self) -> bool:
        try:
            os.kill(self.process.pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder, of a short name. pytest has made its own by then."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        assert list(Path(folder).glob("nbrun-*")) == [], "a kernel's folder was left behind"


def test_its_variables_are_there_and_it_tells_what_it_has_done(short: Path, tmp_path: Path) -> None:
    orphan = Orphan(tmp_path, "x = 41", "1 / 0")
    orphan.adopt()
    (idled,) = orphan.until(Idled)
    assert (idled.ended, idled.error) == (2, "ZeroDivisionError: division by zero")
    orphan.kernel.execute("x + 1")
    *_, shown, replied = orphan.until(Replied)
    assert shown.output["data"]["text/plain"] == "42"
    assert replied.status == "ok"
    orphan.kernel.shutdown()
    assert orphan.is_gone()


def test_one_that_is_at_work_is_heard_until_it_has_ended(short: Path, tmp_path: Path) -> None:
    orphan = Orphan(
        tmp_path,
        "import os, time\nopen('began', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\nprint('heard')",
    )
    orphan.adopt()
    assert orphan.said.empty()
    (tmp_path / "go").touch()
    heard = orphan.until(Idled)
    assert "".join(each.text for each in heard if isinstance(each, TextPrinted)) == "heard\n"
    assert (heard[-1].ended, heard[-1].error) == (1, None)
    orphan.kernel.shutdown()
    assert orphan.is_gone()


def test_one_that_is_at_work_can_be_interrupted(short: Path, tmp_path: Path) -> None:
    orphan = Orphan(tmp_path, "import time\nopen('began', 'w')\nwhile True: time.sleep(0.01)")
    orphan.adopt()
    orphan.kernel.interrupt()
    heard = orphan.until(Idled)
    assert heard[-1].error == "KeyboardInterrupt: "
    assert any(isinstance(each, Displayed) for each in heard)
    orphan.kernel.shutdown()


def test_one_that_is_gone_is_said_to_be(short: Path, tmp_path: Path) -> None:
    orphan = Orphan(tmp_path)
    os.killpg(orphan.process.pid, signal.SIGKILL)
    while not orphan.is_gone():
        pass
    with pytest.raises(KernelError, match="gone"):
        orphan.adopt()
    orphan.kernel.start()  # sweeps the folder of the one before
    orphan.kernel.shutdown()


def test_one_that_does_not_answer_is_ended_when_the_operator_gives_it_up(
    short: Path, tmp_path: Path
) -> None:
    orphan = Orphan(tmp_path)
    os.kill(orphan.process.pid, signal.SIGSTOP)
    with pytest.raises(KernelError, match="gave up waiting"):
        orphan.kernel.adopt(orphan.process, orphan.info, lambda: True)
    assert orphan.is_gone()
    orphan.kernel.shutdown()


def test_another_process_with_its_number_is_not_taken_for_it(short: Path, tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    launcher = KernelLauncher("python3", cwd=tmp_path, attended=True)
    kernel = LocalKernel(launcher, lambda _message: None)
    info = KernelInfo(
        generation=1, kernelspec="python3", language="python", language_info={}, implementation=""
    )
    claimed = KernelProcess(pid=other.pid, connection_file=str(short / "kernel.json"))
    with pytest.raises(KernelError, match="gone"):
        kernel.adopt(claimed, info, lambda: False)
    assert other.poll() is None
    other.kill()
    other.wait()
