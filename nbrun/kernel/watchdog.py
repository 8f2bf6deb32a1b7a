"""Whether a kernel that is at work and says nothing is there: asked seldom, and told with facts.

A kernel on ipykernel answers its control channel from a thread of its own, so that silence there
means that its interpreter is held: by a long call into C, which is work, or by one that waits for
ever. Which of them it is nobody can know; whether it uses the processor can be seen. Its heartbeat
is answered without the interpreter: silence there means that the whole process does not run.
Other kernels answer nothing while they work, and only what the system says of them is looked at.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nbrun.kernel.messages import Responded, Unresponsive

QUIET = 5.0  # seconds without a word after which a kernel that is at work is asked
IDLE_AFTER = 10.0  # seconds without an answer or work after which it is told of
BUSY_AFTER = 30.0  # seconds without an answer, while it uses the processor
BUSY = 0.1  # part of one processor that counts as use
STUCK = "disk-sleep"


class Line(Protocol):
    """Where one thing is asked and its answer looked for (`jupyter.Line`). It never waits."""

    def ask(self) -> None: ...
    def answered(self) -> bool:
        """Whether what was asked last has been answered."""


@dataclass(frozen=True)
class Vitals:
    """What the system says of a process: the seconds of processor time that it has used, None where
    nobody may know, and its state in psutil's words."""

    cpu: float | None
    state: str


@dataclass
class _Question:
    """One that was asked at `at`, by the monotonic clock, when `cpu` seconds had been used."""

    at: float
    cpu: float | None
    heartbeat: bool | None = None
    told: bool = False


class Pulse:
    """Looked after by one thread, about once a second."""

    def __init__(
        self,
        generation: int,
        pid: int,
        vitals: Callable[[], Vitals],
        lines: Callable[[], tuple[Line, Line] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lines`: control and heartbeat, opened when the first question is asked; None for a
        kernel that can't answer while it works."""
        self._generation = generation
        self._pid = pid
        self._vitals = vitals
        self._open = lines
        self._clock = clock
        self._lines: tuple[Line, Line] | None = None
        self._asked: _Question | None = None

    def look(self, *, at_work: bool, quiet: float) -> Unresponsive | Responded | None:
        """What there is to tell. `quiet`: seconds since it last said something by itself."""
        if self._asked is None:
            if at_work and quiet >= QUIET:
                self._ask()
            return None
        if self._has_answered(self._asked) or not at_work:
            return self._responded()
        return self._judge(self._asked)

    def _ask(self) -> None:
        self._lines = self._lines or self._open()
        for line in self._lines or ():
            line.ask()
        self._asked = _Question(self._clock(), self._vitals().cpu)

    def _has_answered(self, question: _Question) -> bool:
        """A kernel that can't be asked is well while the system does not say that it is stuck."""
        if self._lines is None:
            return self._vitals().state != STUCK
        control, heartbeat = self._lines
        question.heartbeat = heartbeat.answered()
        return control.answered()

    def _responded(self) -> Responded | None:
        question, self._asked = self._asked, None
        if question is None or not question.told:
            return None
        return Responded(generation=self._generation, silent=self._since(question))

    def _judge(self, question: _Question) -> Unresponsive | None:
        silent = self._since(question)
        if question.told or silent < IDLE_AFTER:
            return None
        now = self._vitals()
        unknown = now.cpu is None or question.cpu is None
        used = None if unknown else round((now.cpu or 0.0) - (question.cpu or 0.0), 2)
        if used is not None and used >= silent * BUSY and silent < BUSY_AFTER:
            return None
        question.told = True
        return Unresponsive(
            generation=self._generation,
            pid=self._pid,
            silent=silent,
            heartbeat=question.heartbeat,
            state=now.state,
            cpu=used,
        )

    def _since(self, question: _Question) -> float:
        return round(self._clock() - question.at, 1)
