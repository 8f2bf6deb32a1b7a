"""A real kernel for tests, and its messages."""

import os
import queue
from pathlib import Path
from typing import Any

from nbrun.kernel.launcher import KernelLauncher
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import (
    Displayed,
    Message,
    Replied,
    TextPrinted,
)
from nbrun.kernel.process import KernelLog

TIMEOUT = 30  # seconds


class KernelSession:
    """A kernel whose messages go into `queue`."""

    def __init__(self, folder: Path, name: str = "python3") -> None:
        self.queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.log = folder / "supervisor.log"
        self.launcher = KernelLauncher(name, cwd=folder, attended=True)
        self.kernel = LocalKernel(self.launcher, self.queue.put, log=KernelLog(self.log, bytes))

    def receive(self) -> Message:
        return self.queue.get(timeout=TIMEOUT)

    def until(self, *kinds: type[Any]) -> list[Any]:
        """Return the messages up to the first one of these types, which is the last."""
        messages = [self.receive()]
        while not isinstance(messages[-1], kinds):
            messages.append(self.receive())
        return messages

    def ask(self, source: str) -> list[Any]:
        """Execute `source`, and return its messages up to the reply."""
        request = self.kernel.execute(source)
        messages = self.until(Replied)
        assert {each.request for each in messages} == {request}
        return messages

    def reply(self, source: str) -> Replied:
        return self.ask(source)[-1]

    def value(self, expression: str) -> str:
        """Return the repr of an expression in the kernel."""
        shown = [each for each in self.ask(expression) if isinstance(each, Displayed)]
        return str(shown[0].output["data"]["text/plain"])


def printed_text(messages: list[Any], name: str = "stdout") -> str:
    """Return the text of one stream in `messages`."""
    return "".join(
        each.text for each in messages if isinstance(each, TextPrinted) and each.name == name
    )


def is_alive(pid: int) -> bool:
    """Return True if the process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
