"""Tests of the check that a record has every implied deviation in its place, and no other."""

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.core.deviation_check import DeviationChecker
from nbrun.core.events import Event
from tests.support.build_events import attempted, begun, decided, deviated, run_resumed, stopped
from tests.support.engine_driver import RandomRun, random_policy, random_steps

OWN = {"nbrun": __version__}
chances = st.integers(0, 2**32).map(random.Random)


def random_events(chance: random.Random) -> list[Event]:
    """Return a random run by this version of nbrun, from its first event to its last."""
    events = RandomRun(random_steps(chance), random_policy(chance), chance, 25).run().events
    with_versions = (ev.RunStarted, ev.RunResumed)
    return [
        msgspec.structs.replace(each, versions=OWN) if isinstance(each, with_versions) else each
        for each in events
    ]


def faults(events: Iterable[Event]) -> list[str]:
    checker = DeviationChecker()
    return [fault for event in events if (fault := checker.add(event)) is not None]


def deviations(events: list[Event]) -> list[int]:
    return [at for at, event in enumerate(events) if isinstance(event, ev.Deviated)]


@given(chances)
def test_complete_record_has_no_fault(chance: random.Random) -> None:
    events = random_events(chance)
    assert faults(events) == []


@given(chances)
def test_missing_changed_added_or_moved_deviation_is_detected(chance: random.Random) -> None:
    events = random_events(chance)
    positions = deviations(events)
    added = chance.randrange(1, len(events))
    assert faults([*events[:added], deviated("skipped"), *events[added:]])
    if not positions:
        return
    at = chance.choice(positions)
    assert faults([*events[:at], *events[at + 1 :]])
    deviation = events[at]
    assert isinstance(deviation, ev.Deviated)
    for changed in (
        msgspec.structs.replace(deviation, reason=deviation.reason + "."),
        msgspec.structs.replace(deviation, diff=deviation.diff + "."),
        msgspec.structs.replace(deviation, step="another"),
    ):
        assert faults([*events[:at], changed, *events[at + 1 :]])


@given(chances)
def test_truncated_record_lists_missing_deviations(chance: random.Random) -> None:
    events = random_events(chance)
    for at in range(1, len(events)):
        checker = DeviationChecker()
        for event in events[:at]:
            assert checker.add(event) is None
        rest = events[at:]
        count = next((n for n, each in enumerate(rest) if not isinstance(each, ev.Deviated)), None)
        assert checker.missing == rest[:count]


@pytest.mark.parametrize("versions", [{}, {"nbrun": "0.0.1"}])
def test_record_of_another_version_is_not_checked(versions: dict[str, str]) -> None:
    plan, kernel = begun(2)
    events = [
        msgspec.structs.replace(plan, versions=versions),
        kernel,
        *attempted("s1", outcome="error"),
        stopped(),
        decided("skip"),
        ev.Resumed(),
    ]
    checker = DeviationChecker()
    assert [checker.add(event) for event in events] == [None] * len(events)
    assert not checker.is_checked
    assert checker.missing == []
    events[0] = msgspec.structs.replace(plan, versions=OWN)
    assert faults(events) == [
        "the deviation skipped of s1 is missing, which an event before it implies"
    ]


def test_resume_by_this_version_is_checked() -> None:
    checker = DeviationChecker()
    plan, kernel = begun(2)
    for event in (plan, kernel, ev.RunInterrupted(why="killed")):
        checker.add(event)
    checker.add(run_resumed(versions=OWN))
    assert checker.is_checked
