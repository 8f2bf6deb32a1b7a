"""Playback of a recorded run at the speed at which it happened, and the keys that control it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.views.terminal.typed_lines.single_keys import ReadKey

SLOWEST, FASTEST = 1 / 64, 1024.0
_TURN = 0.1  # seconds between two checks of the keys and the clock
HELP = (
    "space: pause, <: slower, >: faster, .: next event, n: next attempt, b: previous attempt, "
    "7g: step 7, q: quit"
)


@dataclass
class PlaybackSettings:
    """The speed of a replay. Keys change it. `max_wait`: the longest pause, in seconds."""

    speed: float = 1.0
    max_wait: float | None = None
    paused: bool = False


class Player:
    """Yield records at the times at which they were written, as the keys change it.

    `keys(seconds)` waits at most that long for a key and returns it, or "". `on_turn` is called
    between two waits. `say` gets a message about what a key has changed.

    Keys can seek the start of an attempt, where the player pauses. To seek backwards, the player
    ends the iteration with `goes_back` set: iterate again, from the first record on, and show
    no record while `is_seeking`.
    """

    def __init__(
        self,
        records: Iterable[Record],
        settings: PlaybackSettings,
        *,
        keys: ReadKey,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._numbers, self._begins = _index(records)
        self._seq = -1
        self.now = 0.0  # position in the run, in seconds since it began
        self._settings = settings
        self._keys = keys
        self.on_turn: Callable[[], None] = lambda: None
        self._say = say
        self._clock = clock
        self._typed = ""
        self._sought: int | None = None  # the seq of the record that starts the sought attempt
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
        """Return True while records are only skipped on the way to the sought attempt."""
        return self._sought is not None

    def _wait(self, seconds: float) -> None:
        """Wait for `seconds` of the run, at the current speed."""
        left = max(0.0, seconds)
        if self._settings.max_wait is not None:
            left = min(left, self._settings.max_wait * self._settings.speed)
        self._next = False
        while not (self.is_seeking or self._next or self._ended):
            if left <= 1e-9 and not self._settings.paused:
                return
            began = self._clock()
            turn = _TURN if self._settings.paused else min(_TURN, left / self._settings.speed)
            key = self._keys(turn)
            if not self._settings.paused:
                gone = (self._clock() - began) * self._settings.speed
                left, self.now = left - gone, self.now + gone
            self._press(key)
            self.on_turn()

    def _arrive(self, record: Record) -> None:
        """End the seeking and pause if `record` starts the sought attempt."""
        if self._sought == record.seq:
            self._sought = None
            self._settings.paused = True
            self._say("paused at this step: press space to continue")

    # ── keys ─────────────────────────────────────────────────────────────────────────────────

    def _press(self, key: str) -> None:
        match key:
            case " ":
                self._settings.paused = not self._settings.paused
                self._say("paused" if self._settings.paused else "playing")
            case "<" | ">":
                factor = 2.0 if key == ">" else 0.5
                self._settings.speed = min(FASTEST, max(SLOWEST, self._settings.speed * factor))
                self._say(f"{self._settings.speed:g} times as fast")
            case ".":
                self._next = True
            case "n":
                self._seek(self._after([*self._begins]), "no attempt follows")
            case "b":
                before = [seq for seq in self._begins if seq <= self._seq]
                self._seek(before[-2] if len(before) > 1 else None, "no attempt precedes")
            case "g":
                self._go_to(self._typed)
            case "q":
                self._ended = True
            case "?":
                self._say(HELP)
        self._typed = self._typed + key if key.isdigit() else ""

    def _go_to(self, number: str) -> None:
        """Seek the next attempt of that step, or else its last one."""
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
        self._sought, self._settings.paused = seq, False
        self.goes_back = seq <= self._seq


def _index(records: Iterable[Record]) -> tuple[dict[str, str], dict[int, str]]:
    """Return step ids by number, and the step ids of attempts by the seq of their start."""
    numbers: dict[str, str] = {}
    begins = {}
    for record in records:
        if isinstance(record.event, ev.RunStarted | ev.RunbookReplaced):
            numbers = {str(step.number): step.id for step in record.event.steps}
        elif isinstance(record.event, ev.AttemptStarted):
            begins[record.seq] = record.event.step
    return numbers, begins
