"""Detection of processes that outlive the attempt that started them, where it was cut short."""

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nbrun.core import events as ev
from nbrun.core.events import Event, KernelProcess, ProcessLeft
from nbrun.core.redaction.redactor import Redaction
from nbrun.kernel.messages import LeftInBackground
from nbrun.system import processes
from nbrun.system.processes import Descendant

GRACE = 1.0  # seconds that processes have to end after their attempt
MAX_NAMED = 20  # processes listed in one event
MAX_COMMAND_LENGTH = 160  # characters of a command line
_CUT_SHORT = ("interrupted", "timed_out", "kernel_died")
_POLL_INTERVAL = 0.05  # seconds


@dataclass
class _AttemptWatch:
    """The processes of one attempt.

    `started_at` and `ended_at` are when the attempt began and ended, by the clock of
    `system.processes`; `deadline` is when to check, by the monotonic clock.
    """

    attempt: ev.AttemptStarted
    kernel: KernelProcess
    started_at: float
    seen: dict[int, Descendant] = field(default_factory=dict)
    ended_at: float = 0.0
    deadline: float = 0.0

    def add_running(self) -> None:
        """Remember the kernel's processes that started since the attempt did."""
        self.seen |= {
            each.pid: each for each in processes.descendants(self.kernel, self.started_at)
        }

    def still_running(self) -> list[Descendant]:
        """Return the remembered processes that are still running."""
        return [each for each in self.seen.values() if processes.is_running(each)]


class LeftoverProcesses:
    """Reports processes left by attempts that were interrupted, timed out, or lost their kernel.

    A moment after such an attempt, it reports those processes that started during the attempt and
    still run. nbrun never ends them.
    """

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._running: _AttemptWatch | None = None
        self._waiting: list[_AttemptWatch] = []
        self._reported: list[_AttemptWatch] = []

    @property
    def deadline(self) -> float | None:
        """Return when the next check is due, by the monotonic clock."""
        return min((watch.deadline for watch in self._waiting), default=None)

    def attempt_started(self, attempt: ev.AttemptStarted, kernel: KernelProcess | None) -> None:
        """Note that `kernel` runs `attempt` from now on."""
        self._running = None
        if kernel is not None:
            self._running = _AttemptWatch(attempt, kernel, processes.now())

    def snapshot(self) -> None:
        """List the attempt's processes before it is interrupted or killed.

        Processes that lose their parent by that can't be attributed afterwards.
        """
        if self._running is not None:
            self._running.add_running()

    def attempt_ended(self, outcome: ev.Outcome) -> None:
        """Schedule the check, if the attempt was cut short."""
        watch, self._running = self._running, None
        if watch is not None and outcome in _CUT_SHORT:
            watch.ended_at = processes.now()
            watch.deadline = time.monotonic() + GRACE
            self._waiting.append(watch)

    def report_due(self) -> list[ev.ProcessesLeft]:
        """Return the events for attempts whose check is due."""
        now = time.monotonic()
        due = [watch for watch in self._waiting if watch.deadline <= now]
        return [event for watch in due if (event := self._report(watch))]

    def report_at_end(self) -> list[ev.ProcessesLeft]:
        """Return the events for all attempts, after the run's kernel has ended.

        Attempts that were reported before are reported again, with `at_end`.
        """
        for watch in list(self._waiting):
            self._wait_until_ended(watch)
        return [
            self._event(watch.attempt, still_running, at_end=True)
            for watch in self._reported
            if (still_running := watch.still_running())
        ]

    def _wait_until_ended(self, watch: _AttemptWatch) -> None:
        """Wait until all processes have ended or the deadline has passed."""
        watch.seen = {each.pid: each for each in self._find(watch)}
        while watch.still_running() and time.monotonic() < watch.deadline:
            time.sleep(_POLL_INTERVAL)
        self._waiting.remove(watch)
        self._reported.append(watch)

    def _report(self, watch: _AttemptWatch) -> ev.ProcessesLeft | None:
        self._waiting.remove(watch)
        watch.seen = {each.pid: each for each in self._find(watch)}
        if not watch.seen:
            return None
        self._reported.append(watch)
        return self._event(watch.attempt, watch.still_running())

    def _find(self, watch: _AttemptWatch) -> list[Descendant]:
        """Return the attempt's running processes, without those of later attempts."""
        watch.add_running()
        return [each for each in watch.still_running() if each.start_time <= watch.ended_at]

    def background_events(self, message: LeftInBackground, *, at_end: bool) -> list[Event]:
        """Return the events for a kernel that has ended, without what is reported by attempt."""
        events: list[Event] = []
        if message.ended or message.threads or message.tasks:
            events.append(
                ev.BackgroundEnded(
                    generation=message.generation,
                    processes=self._listed(message.ended),
                    more=max(0, len(message.ended) - MAX_NAMED),
                    threads=message.threads[:MAX_NAMED],
                    tasks=message.tasks[:MAX_NAMED],
                )
            )
        by_attempt = {pid for watch in (*self._waiting, *self._reported) for pid in watch.seen}
        running = [each for each in message.running if each.pid not in by_attempt]
        return [*events, *([self._event(None, running, at_end=at_end)] if running else [])]

    def report_of_kernel(self, kernel: KernelProcess) -> ev.ProcessesLeft | None:
        """Return the event for a kernel that was found gone; None if nothing is left."""
        still_running = processes.marked_processes(kernel)
        return self._event(None, still_running) if still_running else None

    def _event(
        self,
        attempt: ev.AttemptStarted | None,
        still_running: Sequence[Descendant],
        *,
        at_end: bool = False,
    ) -> ev.ProcessesLeft:
        return ev.ProcessesLeft(
            step=attempt.step if attempt else None,
            attempt=attempt.attempt if attempt else 0,
            processes=self._listed(still_running),
            more=max(0, len(still_running) - MAX_NAMED),
            at_end=at_end,
        )

    def _listed(self, found: Sequence[Descendant]) -> tuple[ProcessLeft, ...]:
        return tuple(self._describe_process(each) for each in found[:MAX_NAMED])

    def _describe_process(self, descendant: Descendant) -> ProcessLeft:
        return ProcessLeft(pid=descendant.pid, command=self._describe_command(descendant.command))

    def _describe_command(self, arguments: Iterable[str]) -> str:
        """Return a command line, redacted, then cut: half a secret would not be recognized.

        If some secrets are unknown to this process, only the program is shown.
        """
        shown = list(arguments) if self._redaction.knows_all_secrets else [*arguments][:1]
        line = self._redaction.redact_text(shlex.join(map(self._redaction.redact_text, shown)))
        one_line = " ".join(line.split())
        if len(one_line) <= MAX_COMMAND_LENGTH:
            return one_line
        return one_line[: MAX_COMMAND_LENGTH - 2].rstrip() + " …"
