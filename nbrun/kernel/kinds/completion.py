"""Complete a kernel's reply to a cell by what its kind asks after it, before anybody sees it."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nbrun.kernel.kinds.kind import Content, Interview, KernelKind, ShellLostError

_MARK_TIMEOUT = 2.0  # seconds without a message after which a token is not waited for


class Ask(Protocol):
    """Executes a source silently, and returns the id of the request (see `Channels`)."""

    def __call__(self, source: str, *, on_reply: Callable[[Content], None]) -> str: ...


@dataclass
class _Mark:
    """A request that prints `token`, and the reply that waits for it. `at`: its last output."""

    request: str
    token: str
    reply: Content
    at: float = field(default_factory=time.monotonic)


class ReplyCompletion:
    """Completes one reply at a time. All methods are called on the thread of the channels."""

    def __init__(
        self,
        kind: Callable[[], KernelKind],
        ask: Ask,
        deliver: Callable[[str, Content], None],
        on_shell_lost: Callable[[str], None],
    ) -> None:
        """`kind` returns that of the kernel, once it is known.

        `deliver` receives the id of the cell's request and the completed reply.
        """
        self._kind = kind
        self._ask = ask
        self._deliver = deliver
        self._on_shell_lost = on_shell_lost
        self._mark: _Mark | None = None
        self.request: str | None = None  # the cell's, whose reply is being completed

    def begin(self, request: str, reply: Content) -> None:
        """Complete the reply to `request`."""
        self.request = request
        kind = self._kind()
        if kind.mark is None:
            self._interview(kind.complete(reply), None)
            return
        token = f"nbrun-{secrets.token_hex(16)}"
        asked = self._ask(kind.mark(token), on_reply=lambda _reply: None)
        self._mark = _Mark(asked, token, reply)

    def is_queued(self, request: str, kind: str) -> bool:
        """Return True for an output of the cell that comes under the request of the mark."""
        return self._mark is not None and request == self._mark.request and kind != "execute_input"

    def receive_queued(
        self, kind: str, content: Content, show: Callable[[str, Content], None]
    ) -> None:
        """Pass an output on to `show`, up to the token, which ends the wait."""
        mark = self._mark
        if mark is None:
            return
        mark.at = time.monotonic()
        text = content.get("text") if kind == "stream" else None
        before, token, _ = text.partition(mark.token) if isinstance(text, str) else ("", "", "")
        if before or not token:
            show(str(self.request), {**content, "text": before} if token else content)
        if token:
            self._end_mark(mark)

    def give_up_mark(self) -> None:
        """Deliver the reply without the token if the cell has replaced the function that prints."""
        if self._mark is not None and time.monotonic() - self._mark.at > _MARK_TIMEOUT:
            self._end_mark(self._mark)

    def cancel(self) -> None:
        """Forget the reply that is being completed, of which nothing more will come."""
        self.request = self._mark = None

    def _end_mark(self, mark: _Mark) -> None:
        self._mark = None
        self._interview(self._kind().complete(mark.reply), None)

    def _interview(self, interview: Interview, answer: Content | None) -> None:
        """Put the next question about the reply, or deliver the completed reply."""
        try:
            question = next(interview) if answer is None else interview.send(answer)
        except StopIteration as end:
            request, self.request = str(self.request), None
            self._deliver(request, end.value)
        except ShellLostError as error:
            self._on_shell_lost(str(error))
        else:
            self._ask(question, on_reply=lambda reply: self._interview(interview, reply))
