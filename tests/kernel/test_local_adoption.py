"""Adopting a kernel that outlived the process that started it."""

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

import msgspec
import pytest

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError
from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import Displayed, Idled, KernelInfo, Message, Replied, TextPrinted

TIMEOUT = 30  # seconds

SUPERVISOR = """
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
    """A kernel whose supervisor was killed after it had sent `sources`."""

    def __init__(self, folder: Path, *sources: str) -> None:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        self.info = KernelInfo(**json.loads(supervisor.stdout.readline()))
        self.process = KernelProcess(**dict(self.info.process))  # type: ignore[call-overload]
        self.info = msgspec.structs.replace(self.info, process=self.process)
        for source in sources:
            supervisor.stdin.write(json.dumps(source) + "\n")
            supervisor.stdin.flush()
            assert supervisor.stdout.readline() == "sent\n"
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        supervisor.stdin.close()
        supervisor.stdout.close()
        self.queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        launcher = KernelLauncher("python3", cwd=folder, attended=True, generation=1)
        self.kernel = LocalKernel(launcher, self.queue.put)

    def adopt(self) -> None:
        self.kernel.adopt(self.info, lambda: False)

    def until(self, kind: type[Any]) -> list[Any]:
        messages: list[Any] = []
        while not messages or not isinstance(messages[-1], kind):
            messages.append(self.queue.get(timeout=TIMEOUT))
        return messages

    def is_gone(self) -> bool:
        try:
            os.kill(self.process.pid, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def short_tempdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a temporary directory with a short path. pytest has made its own before."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
        assert list(Path(folder).glob("nbrun-*")) == [], "a kernel's folder was left behind"


def test_adopted_kernel_has_its_variables_and_reports_its_work(
    short_tempdir: Path, tmp_path: Path
) -> None:
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


def test_kernel_at_work_is_adopted_with_its_output(short_tempdir: Path, tmp_path: Path) -> None:
    orphan = Orphan(
        tmp_path,
        "import os, time\nopen('began', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\nprint('messages')",
    )
    orphan.adopt()
    assert orphan.queue.empty()
    (tmp_path / "go").touch()
    messages = orphan.until(Idled)
    assert "".join(each.text for each in messages if isinstance(each, TextPrinted)) == "messages\n"
    assert (messages[-1].ended, messages[-1].error) == (1, None)
    orphan.kernel.shutdown()
    assert orphan.is_gone()


def test_kernel_at_work_can_be_interrupted_after_adoption(
    short_tempdir: Path, tmp_path: Path
) -> None:
    orphan = Orphan(tmp_path, "import time\nopen('began', 'w')\nwhile True: time.sleep(0.01)")
    orphan.adopt()
    orphan.kernel.interrupt()
    messages = orphan.until(Idled)
    assert messages[-1].error == "KeyboardInterrupt: "
    assert any(isinstance(each, Displayed) for each in messages)
    orphan.kernel.shutdown()


def test_adopting_a_dead_kernel_is_an_error(short_tempdir: Path, tmp_path: Path) -> None:
    orphan = Orphan(tmp_path)
    os.killpg(orphan.process.pid, signal.SIGKILL)
    while not orphan.is_gone():
        pass
    with pytest.raises(KernelError, match="gone"):
        orphan.adopt()
    orphan.kernel.start()  # sweeps the folder of the one before
    orphan.kernel.shutdown()


def test_unresponsive_kernel_is_ended_when_the_operator_gives_up(
    short_tempdir: Path, tmp_path: Path
) -> None:
    orphan = Orphan(tmp_path)
    os.kill(orphan.process.pid, signal.SIGSTOP)
    with pytest.raises(KernelError, match="gave up waiting"):
        orphan.kernel.adopt(orphan.info, lambda: True)
    assert orphan.is_gone()
    orphan.kernel.shutdown()


def test_other_process_with_the_pid_is_not_adopted(short_tempdir: Path, tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    launcher = KernelLauncher("python3", cwd=tmp_path, attended=True)
    kernel = LocalKernel(launcher, lambda _message: None)
    info = KernelInfo(
        generation=1,
        kernelspec="python3",
        language="python",
        language_info={},
        implementation="",
        process=KernelProcess(pid=other.pid, connection_file=str(short_tempdir / "kernel.json")),
    )
    with pytest.raises(KernelError, match="gone"):
        kernel.adopt(info, lambda: False)
    assert other.poll() is None
    other.kill()
    other.wait()
