"""Playback of a run at its own speed, and the keys that control it."""

from typing import Any

import pytest

from nbrun.core.events import Record
from nbrun.views.terminal.playback import PlaybackSettings, Player
from tests.support.run_builder import Run, step


def records() -> list[Record]:
    """A record a second: the plan, the kernel, then an attempt of each step at 2, 4 and 6."""
    return Run(step("a"), step("b"), step("c")).attempt("a").attempt("b").attempt("c").records


class Watched:
    """A player whose seconds pass when they are waited for, and what came of it."""

    def __init__(self, keys: dict[float, str] | None = None, **tempo: Any) -> None:
        self.time = 0.0
        self.slept: list[float] = []
        self.said: list[str] = []
        self.turns = 0
        self._keys = sorted((keys or {}).items())
        self.player = Player(
            records(),
            PlaybackSettings(**tempo),
            keys=self.wait,
            say=self.said.append,
            clock=lambda: self.time,
        )
        self.player.on_turn = self.turn

    def turn(self) -> None:
        self.turns += 1

    def wait(self, seconds: float) -> str:
        """The next key that is due while it waits."""
        end = self.time + seconds
        if self._keys and self._keys[0][0] <= end:
            at, key = self._keys.pop(0)
            seconds = max(0.0, at - self.time)
            end, pressed = self.time + seconds, key
        else:
            pressed = ""
        self.time = end
        self.slept.append(seconds)
        return pressed

    def play(self) -> list[tuple[int, float]]:
        """Which records came, and when."""
        return [(record.seq, round(self.time, 3)) for record in self.player]


def test_playback_takes_recorded_time() -> None:
    watched = Watched()
    assert watched.play() == [(seq, float(seq)) for seq in range(8)]
    assert max(watched.slept) <= 0.1
    assert watched.turns >= 70


@pytest.mark.parametrize(("tempo", "took"), [({"speed": 4.0}, 1.75), ({"max_wait": 0.25}, 1.75)])
def test_speed_and_max_wait_shorten_playback(tempo: dict[str, float], took: float) -> None:
    assert Watched(**tempo).play()[-1] == (7, took)


def test_max_wait_may_be_zero() -> None:
    watched = Watched(max_wait=0.0)
    assert watched.play()[-1] == (7, 0.0)
    assert watched.slept == []


def test_space_pauses_and_continues() -> None:
    watched = Watched({1.5: " ", 5.5: " "})
    assert watched.play()[2] == (2, 6.0)
    assert watched.said == ["paused", "playing"]


def test_less_and_greater_keys_change_speed() -> None:
    watched = Watched({1.0: ">", 3.5: "<"})
    told = watched.play()
    assert watched.said == ["2 times as fast", "1 times as fast"]
    assert told[-1][1] == pytest.approx(4.5, abs=0.21)


def test_dot_shows_next_event_even_when_paused() -> None:
    watched = Watched({0.2: ".", 0.5: " ", 2.0: ".", 3.0: ".", 9.0: "q"})
    assert watched.play() == [(0, 0.0), (1, 0.2), (2, 2.0), (3, 3.0)]


def test_n_seeks_next_attempt_and_pauses() -> None:
    watched = Watched({0.5: "n", 4.0: " "})
    told = watched.play()
    assert told[2] == (2, 0.5)
    assert told[3][1] == pytest.approx(5.0, abs=0.2)
    assert watched.said[0].startswith("paused at this step")


def test_number_and_g_seek_step() -> None:
    watched = Watched({0.5: "3", 0.6: "g", 3.0: "q"})
    assert watched.play()[-1] == (6, 0.6)


def test_unknown_step_is_reported_and_nothing_skipped() -> None:
    watched = Watched({3.5: "9", 3.6: "g"})
    assert watched.play()[-1] == (7, 7.0)
    assert watched.said == ["no attempt of step 9 is recorded"]


@pytest.mark.parametrize(("keys", "begin"), [
    ({4.5: "b"}, 2),  # in the second attempt: the first
    ({6.5: "b"}, 4),
    ({6.5: "1", 6.6: "g"}, 2),
    ({6.5: "3", 6.6: "g"}, 6),  # the one that is shown, from its beginning
])  # fmt: skip
def test_past_attempt_is_sought_from_first_record(keys: dict[float, str], begin: int) -> None:
    watched = Watched(keys)
    before = watched.play()
    assert watched.player.goes_back
    pressed = watched.time
    watched._keys = [(pressed + 2, " ")]
    seeking, again = [], []
    for record in watched.player:
        seeking.append(watched.player.is_seeking)
        again.append((record.seq, round(watched.time - pressed, 3)))
    assert before[-1][0] >= begin
    assert again[: begin + 1] == [(seq, 0.0) for seq in range(begin + 1)]
    assert seeking == [seq < begin for seq in range(8)]
    assert again[begin + 1][1] == pytest.approx(3.0, abs=0.2)
    assert not watched.player.goes_back


def test_b_before_first_attempt_is_reported() -> None:
    watched = Watched({2.5: "b"})
    assert watched.play()[-1] == (7, 7.0)
    assert watched.said == ["no attempt precedes"]


def test_q_quits() -> None:
    assert Watched({1.5: "q"}).play() == [(0, 0.0), (1, 1.0)]


def test_position_follows_time() -> None:
    watched = Watched(speed=2.0)
    seen = []
    watched.player.on_turn = lambda: seen.append(watched.player.now)
    watched.play()
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(7.0)
