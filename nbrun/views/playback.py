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

from nbrun import events as ev
from nbrun.events import Record

SLOWEST, FASTEST = 1 / 64, 1024.0
_TURN = 0.1  # seconds between two looks at keys and clock
HELP = "space: pause, <: slower, >: faster, .: next event, n: next step, 7g: step 7, q: end"

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
        self._numbers, self._begin = _index(records)
        self._seq = -1
        self.now = 0.0  # how far the run has come, in its own seconds
        self._tempo = tempo
        self._keys = keys
        self.on_turn: Callable[[], None] = lambda: None
        self._say = say
        self._clock = clock
        self._typed = ""
        self._until: str | None = None  # the step that is sought; "" the next one, whichever
        self._next = False
        self._ended = False

    def __iter__(self) -> Iterator[Record]:
        before = 0.0
        for record in self._records:
            self._wait(record.mono - before)
            if self._ended:
                return
            self.now = before = record.mono
            self._seq = record.seq
            self._arrive(record)
            yield record

    def _wait(self, seconds: float) -> None:
        """Let `seconds` of the run go by, as fast as it is played just then."""
        left = max(0.0, seconds)
        if self._tempo.max_wait is not None:
            left = min(left, self._tempo.max_wait * self._tempo.speed)
        self._next = False
        while self._until is None and not (self._next or self._ended):
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
        if self._until is None or not isinstance(record.event, ev.AttemptStarted):
            return
        if self._until in ("", record.event.step):
            self._until = None
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
                self._seek("", self._begin)
            case "g":
                step = self._numbers.get(self._typed)
                self._seek(step or "", [each for each in self._begin if each[1] == step])
            case "q":
                self._ended = True
            case "?":
                self._say(HELP)
        self._typed = self._typed + key if key.isdigit() else ""

    def _seek(self, step: str, begins: list[tuple[int, str]]) -> None:
        """Go on at once to the next of these attempts."""
        if any(seq > self._seq for seq, _ in begins):
            self._until, self._tempo.paused = step, False
        else:
            self._say(f"no attempt of {f'step {self._typed}' if self._typed else 'a step'} follows")


def _index(records: Iterable[Record]) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The ids of the steps by their numbers, and where each attempt begins: seq and step."""
    numbers: dict[str, str] = {}
    begins = []
    for record in records:
        if isinstance(record.event, ev.RunStarted | ev.RunbookReplaced):
            numbers = {str(step.number): step.id for step in record.event.steps}
        elif isinstance(record.event, ev.AttemptStarted):
            begins.append((record.seq, record.event.step))
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
