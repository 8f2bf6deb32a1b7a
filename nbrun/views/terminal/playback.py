"""A recorded run played back: when each record is due, and the keys that change that."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nbrun.core import events as ev
from nbrun.core.events import Record

SLOWEST, FASTEST = 1 / 64, 1024.0
_TURN = 0.1  # seconds between two looks at keys and clock
HELP = (
    "space: pause, <: slower, >: faster, .: next event, n: next step, b: step before, 7g: step 7, "
    "q: end"
)

Keys = Callable[[float], str]


@dataclass
class Tempo:
    """How it is played: changed by keys."""

    speed: float = 1.0
    max_wait: float | None = None
    paused: bool = False


class Player:
    """Yields records in the time they took, as `keys` change it.

    `keys(seconds)` waits so long for a key and returns it, or "". `on_turn` is called
    between two looks. `say` is told, in a few words, what a key has changed.

    What is sought is an attempt's beginning; it is waited there. One that is past ends the
    iteration with `goes_back` true: iterate again, over the same records from the first on, and
    show none of them while `is_seeking`.
    """

    def __init__(
        self,
        records: Iterable[Record],
        tempo: Tempo,
        *,
        keys: Keys,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._numbers, self._begins = _index(records)
        self._seq = -1
        self.now = 0.0  # how far the run has come, in its own seconds
        self._tempo = tempo
        self._keys = keys
        self.on_turn: Callable[[], None] = lambda: None
        self._say = say
        self._clock = clock
        self._typed = ""
        self._sought: int | None = None  # the seq of the attempt's beginning
        self.goes_back = False
        self._next = False
        self._ended = False

    def __iter__(self) -> Iterator[Record]:
        before = 0.0
        self.goes_back = False
        for record in self._records:
            self._wait(record.mono - before)
            if self._ended or self.goes_back:
                return
            self.now = before = record.mono
            self._seq = record.seq
            self._arrive(record)
            yield record

    @property
    def is_seeking(self) -> bool:
        """Whether what comes is only on the way to what was sought."""
        return self._sought is not None

    def _wait(self, seconds: float) -> None:
        """Let `seconds` of the run go by, as fast as it is played just then."""
        left = max(0.0, seconds)
        if self._tempo.max_wait is not None:
            left = min(left, self._tempo.max_wait * self._tempo.speed)
        self._next = False
        while not (self.is_seeking or self._next or self._ended):
            if left <= 1e-9 and not self._tempo.paused:
                return
            began = self._clock()
            turn = _TURN if self._tempo.paused else min(_TURN, left / self._tempo.speed)
            key = self._keys(turn)
            if not self._tempo.paused:
                gone = (self._clock() - began) * self._tempo.speed
                left, self.now = left - gone, self.now + gone
            self._press(key)
            self.on_turn()

    def _arrive(self, record: Record) -> None:
        """A step that is sought ends the seeking, and is waited at."""
        if self._sought == record.seq:
            self._sought = None
            self._tempo.paused = True
            self._say("paused at this step: space goes on")

    # ── keys ─────────────────────────────────────────────────────────────────────────────────

    def _press(self, key: str) -> None:
        match key:
            case " ":
                self._tempo.paused = not self._tempo.paused
                self._say("paused" if self._tempo.paused else "playing")
            case "<" | ">":
                factor = 2.0 if key == ">" else 0.5
                self._tempo.speed = min(FASTEST, max(SLOWEST, self._tempo.speed * factor))
                self._say(f"{self._tempo.speed:g} times as fast")
            case ".":
                self._next = True
            case "n":
                self._seek(self._after([*self._begins]), "no attempt follows")
            case "b":
                before = [seq for seq in self._begins if seq <= self._seq]
                self._seek(before[-2] if len(before) > 1 else None, "no attempt comes before")
            case "g":
                self._go_to(self._typed)
            case "q":
                self._ended = True
            case "?":
                self._say(HELP)
        self._typed = self._typed + key if key.isdigit() else ""

    def _go_to(self, number: str) -> None:
        """The next attempt of that step, else its last one."""
        step = self._numbers.get(number)
        begins = [seq for seq, begun in self._begins.items() if begun == step]
        last = begins[-1] if begins else None
        self._seek(self._after(begins) or last, f"no attempt of step {number or '?'} is recorded")

    def _after(self, begins: list[int]) -> int | None:
        return next((seq for seq in begins if seq > self._seq), None)

    def _seek(self, seq: int | None, why_not: str) -> None:
        if seq is None:
            self._say(why_not)
            return
        self._sought, self._tempo.paused = seq, False
        self.goes_back = seq <= self._seq


def _index(records: Iterable[Record]) -> tuple[dict[str, str], dict[int, str]]:
    """The ids of the steps by their numbers, and those of what is attempted by where it begins."""
    numbers: dict[str, str] = {}
    begins = {}
    for record in records:
        if isinstance(record.event, ev.RunStarted | ev.RunbookReplaced):
            numbers = {str(step.number): step.id for step in record.event.steps}
        elif isinstance(record.event, ev.AttemptStarted):
            begins[record.seq] = record.event.step
    return numbers, begins


@contextmanager
def terminal_keys() -> Iterator[Keys | None]:
    """Single keys of the terminal on stdin, without their echo; None where it is none."""
    if not sys.stdin.isatty():
        yield None
        return
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield lambda seconds: _key(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key(fd: int, seconds: float) -> str:
    if not select.select([fd], [], [], max(0.0, seconds))[0]:
        return ""
    typed = os.read(fd, 1)
    if not typed:  # the end of the file: nobody types any more, and the film goes on
        time.sleep(max(0.0, seconds))
    return typed.decode("ascii", "ignore")
