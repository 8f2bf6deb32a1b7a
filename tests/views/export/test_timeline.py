"""The timeline of a run as SVG."""

import re

import pytest

from nbrun.views.export import timeline
from nbrun.views.export.account import RunAccount, Wait, account
from tests.views.export.example_run import edited_run


def test_timeline_has_bar_for_each_attempt_and_wait() -> None:
    made = account(edited_run().records)
    picture = timeline.timeline(made)
    assert len(re.findall(r'<rect class="(?!wait)', picture)) == 2
    assert picture.count('<rect class="wait"') == 2
    assert "2 attempts in 16.0 s; the run waited for its operator 2 times" in picture


@pytest.mark.parametrize("seconds", [0.0, 0.5, 59.0, 3_600.0, 1_000_000.0])
def test_timeline_axis_fits_any_duration(seconds: float) -> None:
    made = account(edited_run().records)
    made.end = seconds
    places = [float(x) for x in re.findall(r'x1="([\d.]+)"', timeline.timeline(made))]
    assert 1 <= len(places) <= 9
    assert all(0 <= x <= timeline.WIDTH for x in places)


def with_wait(seconds: float) -> RunAccount:
    """Return a run of two attempts of a second each, with a wait between them."""
    made = account(edited_run().records)
    first, second = made.attempts
    first.start, first.end = 1.0, 2.0
    second.start, second.end = 2.0 + seconds, 3.0 + seconds
    made.waits[:] = [Wait(2.0, 2.0 + seconds, "this step failed")]
    made.end = 3.0 + seconds
    return made


def widths(made: RunAccount) -> dict[str, float]:
    found = re.findall(r'<rect class="(\w+)".*? width="([\d.]+)"', timeline.timeline(made))
    return {kind: float(width) for kind, width in found}


def test_wait_that_dwarfs_attempts_breaks_axis() -> None:
    night = with_wait(9 * 3_600.0)
    assert min(widths(night)[kind] for kind in ("ok", "bad")) > timeline.WIDTH / 4
    picture = timeline.timeline(night)
    assert picture.count('<line class="break"') == 2
    assert '<text class="break" text-anchor="middle"' in picture
    assert ">9 h 00 min</text>" in picture
    assert "waited 9 h 00 min" in picture
    assert "The axis is broken 1 time." in picture


def test_short_wait_is_drawn_to_scale() -> None:
    made = with_wait(2.0)
    assert "break" not in timeline.timeline(made)
    assert widths(made)["wait"] == pytest.approx(2 * widths(made)["ok"], rel=0.01)


@pytest.mark.parametrize("seconds", [0.0, 7.0, 3_600.0, 1e6, 1e9])
def test_bars_and_ticks_stay_within_picture(seconds: float) -> None:
    picture = timeline.timeline(with_wait(seconds))
    places = [float(x) for x in re.findall(r' x[12]?="([\d.-]+)"', picture)]
    assert all(0 <= x <= timeline.WIDTH for x in places)
    assert picture.count('<line class="tick"') < 20
