"""Processes that outlive the attempt that started them, where it was cut short: found and named."""

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nbrun.core import events as ev
from nbrun.core.events import KernelProcess, ProcessLeft
from nbrun.core.redaction import Redaction
from nbrun.system import processes
from nbrun.system.processes import Relative

GRACE = 1.0  # seconds that processes have to end after the attempt has
MAX_NAMED = 20  # processes that are named at once
MAX_COMMAND_LENGTH = 160  # characters of a command line
_CUT_SHORT = ("interrupted", "timed_out", "kernel_died")
_POLL = 0.05  # seconds


@dataclass
class _Watch:
    """One attempt. `since` and `until`: when it began and ended, by the clock of `processes`."""

    attempt: ev.AttemptStarted
    kernel: KernelProcess
    since: float
    seen: dict[int, Relative] = field(default_factory=dict)
    until: float = 0.0
    due: float = 0.0

    def note(self) -> None:
        self.seen |= {each.pid: each for each in processes.relatives(self.kernel, self.since)}

    def left(self) -> list[Relative]:
        """Those that it started and that are running now."""
        return [each for each in self.seen.values() if processes.is_there(each)]


class LeftoverProcesses:
    """Told of an attempt's course, it says which of the processes that began while it ran are
    there a moment after an attempt that did not end by itself. They are named and left alone."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._running: _Watch | None = None
        self._waiting: list[_Watch] = []
        self._named: list[_Watch] = []

    @property
    def due(self) -> float | None:
        """When the next look is due, by the monotonic clock."""
        return min((watch.due for watch in self._waiting), default=None)

    def began(self, attempt: ev.AttemptStarted, kernel: KernelProcess | None) -> None:
        """`kernel` runs `attempt` from now on."""
        self._running = None
        if kernel is not None:
            self._running = _Watch(attempt, kernel, processes.now())

    def about_to_end(self) -> None:
        """It will be interrupted or killed: those that lose their parents by that are found now."""
        if self._running is not None:
            self._running.note()

    def ended(self, outcome: ev.Outcome) -> None:
        watch, self._running = self._running, None
        if watch is not None and outcome in _CUT_SHORT:
            watch.until = processes.now()
            watch.due = time.monotonic() + GRACE
            self._waiting.append(watch)

    def look(self) -> list[ev.ProcessesLeft]:
        """What is left of the attempts whose look is due."""
        now = time.monotonic()
        due = [watch for watch in self._waiting if watch.due <= now]
        return [told for watch in due if (told := self._look(watch))]

    def look_last(self) -> list[ev.ProcessesLeft]:
        """The run's kernel has ended: what is left of all attempts, those too that were named."""
        for watch in list(self._waiting):
            self._wait_for(watch)
        return [
            self._told(watch.attempt, left, at_end=True)
            for watch in self._named
            if (left := watch.left())
        ]

    def _wait_for(self, watch: _Watch) -> None:
        """Until all that it left have ended, or have had their time."""
        watch.seen = {each.pid: each for each in self._found(watch)}
        while watch.left() and time.monotonic() < watch.due:
            time.sleep(_POLL)
        self._waiting.remove(watch)
        self._named.append(watch)

    def _look(self, watch: _Watch) -> ev.ProcessesLeft | None:
        self._waiting.remove(watch)
        watch.seen = {each.pid: each for each in self._found(watch)}
        if not watch.seen:
            return None
        self._named.append(watch)
        return self._told(watch.attempt, watch.left())

    def _found(self, watch: _Watch) -> list[Relative]:
        """Not those that a later attempt has started since."""
        watch.note()
        return [each for each in watch.left() if each.began <= watch.until]

    def of_gone(self, kernel: KernelProcess) -> ev.ProcessesLeft | None:
        """What is left of a kernel that was found gone."""
        left = processes.marked(kernel)
        return self._told(None, left) if left else None

    def _told(
        self, attempt: ev.AttemptStarted | None, left: Sequence[Relative], *, at_end: bool = False
    ) -> ev.ProcessesLeft:
        return ev.ProcessesLeft(
            step=attempt.step if attempt else None,
            attempt=attempt.attempt if attempt else 0,
            processes=tuple(self._named_process(each) for each in left[:MAX_NAMED]),
            more=max(0, len(left) - MAX_NAMED),
            at_end=at_end,
        )

    def _named_process(self, relative: Relative) -> ProcessLeft:
        return ProcessLeft(pid=relative.pid, command=self._command(relative.command))

    def _command(self, words: Iterable[str]) -> str:
        """Cut after it is redacted: half a secret is none that would be known. Where secrets are
        not known to this process, the program alone."""
        known = list(words) if self._redaction.knows_all_secrets else [*words][:1]
        line = self._redaction.redact_text(shlex.join(map(self._redaction.redact_text, known)))
        brief = " ".join(line.split())
        return (
            brief
            if len(brief) <= MAX_COMMAND_LENGTH
            else brief[: MAX_COMMAND_LENGTH - 2].rstrip() + " …"
        )
