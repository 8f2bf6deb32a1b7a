"""The timeline of a run as SVG."""

import re

import pytest

from nbrun.views.export import timeline
from nbrun.views.export.account import account
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
