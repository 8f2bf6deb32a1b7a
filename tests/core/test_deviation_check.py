"""A record tells every deviation where it belongs, and no other: whatever was done in the run."""

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
from tests.support.engine_driver import Drive, some_policy, some_steps

OWN = {"nbrun": __version__}
chances = st.integers(0, 2**32).map(random.Random)


def written(chance: random.Random) -> list[Event]:
    """A run by this version of nbrun, from its first event to its last."""
    events = Drive(some_steps(chance), some_policy(chance), chance, 25).run().events
    named = (ev.RunStarted, ev.RunResumed)
    return [
        msgspec.structs.replace(each, versions=OWN) if isinstance(each, named) else each
        for each in events
    ]


def faults(events: Iterable[Event]) -> list[str]:
    followed = DeviationChecker()
    return [wrong for event in events if (wrong := followed.add(event)) is not None]


def deviations(events: list[Event]) -> list[int]:
    return [at for at, event in enumerate(events) if isinstance(event, ev.Deviated)]


@given(chances)
def test_what_an_engine_writes_is_found_right(chance: random.Random) -> None:
    events = written(chance)
    assert faults(events) == []


@given(chances)
def test_one_that_is_left_out_changed_added_or_moved_is_found(chance: random.Random) -> None:
    events = written(chance)
    own = deviations(events)
    added = chance.randrange(1, len(events))
    assert faults([*events[:added], deviated("skipped"), *events[added:]])
    if not own:
        return
    at = chance.choice(own)
    assert faults([*events[:at], *events[at + 1 :]])
    told = events[at]
    assert isinstance(told, ev.Deviated)
    for changed in (
        msgspec.structs.replace(told, reason=told.reason + "."),
        msgspec.structs.replace(told, diff=told.diff + "."),
        msgspec.structs.replace(told, step="another"),
    ):
        assert faults([*events[:at], changed, *events[at + 1 :]])


@given(chances)
def test_of_a_record_that_is_cut_anywhere_it_is_known_what_it_lacks(chance: random.Random) -> None:
    events = written(chance)
    for at in range(1, len(events)):
        followed = DeviationChecker()
        for event in events[:at]:
            assert followed.add(event) is None
        rest = events[at:]
        count = next((n for n, each in enumerate(rest) if not isinstance(each, ev.Deviated)), None)
        assert followed.missing == rest[:count]


@pytest.mark.parametrize("versions", [{}, {"nbrun": "0.0.1"}])
def test_what_another_version_wrote_is_followed_and_not_judged(versions: dict[str, str]) -> None:
    plan, kernel = begun(2)
    lies = [
        msgspec.structs.replace(plan, versions=versions),
        kernel,
        *attempted("s1", outcome="error"),
        stopped(),
        decided("skip"),
        ev.Resumed(),
    ]
    followed = DeviationChecker()
    assert [followed.add(event) for event in lies] == [None] * len(lies)
    assert not followed.is_checked
    assert followed.missing == []
    lies[0] = msgspec.structs.replace(plan, versions=OWN)
    assert faults(lies) == [
        "the deviation skipped of s1 is missing, which an event before it implies"
    ]


def test_who_resumes_a_run_answers_for_what_comes_then() -> None:
    followed = DeviationChecker()
    plan, kernel = begun(2)
    for event in (plan, kernel, ev.RunInterrupted(why="killed")):
        followed.add(event)
    followed.add(run_resumed(versions=OWN))
    assert followed.is_checked
