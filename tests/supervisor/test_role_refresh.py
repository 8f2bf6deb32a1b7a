"""A role is taken again at half of its credentials' time, and what fails is said once."""

import queue
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nbrun.core.events import RoleNotRefreshed, RoleRefreshed
from nbrun.errors import KernelError, UsageError
from nbrun.kernel.roles.environment import Part, together
from nbrun.kernel.roles.roles import Role, Taken
from nbrun.supervisor import role_refresh
from nbrun.supervisor.role_refresh import RoleRefresher, seconds_until_refresh
from tests.support.build_events import identity

PATIENCE = 30.0  # seconds


def taken(seconds: float | None) -> Taken:
    """A role whose credentials last so long from now."""
    until = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    who = identity(until="" if seconds is None else until.isoformat())
    return Taken(Role("dba"), together({}, [Part(identity=who)]))


@dataclass
class Holding:
    """A held role of which each next is as `next` says, or raises it."""

    taken: Taken
    next: list[Taken | Exception] = field(default_factory=list)
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def renewed(self) -> Taken:
        following = self.next.pop(0)
        if isinstance(following, Exception):
            raise following
        self.taken, self.taken_at = following, datetime.now(UTC)
        return following


class Watched:
    def __init__(self, held: Any, furnish: Any = lambda _taken: 1) -> None:
        self.said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.furnished: list[Taken] = []

        def noted(given: Taken) -> int | None:
            generation: int | None = furnish(given)
            self.furnished.append(given)
            return generation

        self.refresher = RoleRefresher(held, noted, self.said.put)

    def next(self) -> Any:
        return self.said.get(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 0.01)


def test_it_is_taken_again_at_half_its_time_and_not_before() -> None:
    held: Any = Holding(taken(3600))
    assert 1790 < (seconds_until_refresh(held) or 0) <= 1800
    held.taken_at -= timedelta(seconds=3600)  # of 7200 seconds a half is over
    assert -5 < (seconds_until_refresh(held) or 9) <= 0
    assert seconds_until_refresh(Holding(taken(None))) is None  # type: ignore[arg-type]


def test_where_the_clock_is_wrong_sts_is_not_asked_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 30.0)
    assert 25 < (seconds_until_refresh(Holding(taken(-3600))) or 0) <= 30  # type: ignore[arg-type]


def test_the_kernel_gets_the_new_ones_before_the_record_says_so() -> None:
    new = taken(3600)
    seen = Watched(Holding(taken(0.2), [new]))
    said = seen.next()
    assert said == RoleRefreshed(generation=1, role="dba", identities=new.identities)
    assert seen.furnished == [new]
    seen.refresher.close()


def test_what_fails_is_said_once_and_tried_again() -> None:
    denied, late = UsageError("AccessDenied"), KernelError("no sudo")
    held = Holding(ending := taken(0.2), [denied, denied, taken(3600), taken(3600)])
    failing = iter([late])

    def furnish(_taken: Taken) -> int:
        for error in failing:
            raise error
        return 2

    seen = Watched(held, furnish)
    first, second, third = seen.next(), seen.next(), seen.next()
    assert isinstance(first, RoleNotRefreshed)
    assert (first.role, first.why) == ("dba", "AccessDenied")
    assert first.until == ending.identities[0].until
    assert second.why == "no sudo"
    assert isinstance(third, RoleRefreshed)
    assert third.generation == 2
    assert held.next == []
    seen.refresher.close()


def test_without_a_kernel_nothing_is_said() -> None:
    held = Holding(taken(0.2), [taken(0.2), taken(3600)])
    seen = Watched(held, lambda _taken: None if held.next else 3)
    assert seen.next().generation == 3
    assert len(seen.furnished) == 2
    seen.refresher.close()
