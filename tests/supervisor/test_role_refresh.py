"""Refreshing a role at half of its credentials' lifetime, and recording failures once."""

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

TIMEOUT = 30.0  # seconds


def taken(seconds: float | None) -> Taken:
    """Return a role whose credentials expire in `seconds`, or never."""
    until = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    who = identity(until="" if seconds is None else until.isoformat())
    return Taken(Role("dba"), together({}, [Part(identity=who)]))


@dataclass
class FakeHeldRole:
    """A held role that `renewed` replaces by the next of `next`, or raises it."""

    taken: Taken
    next: list[Taken | Exception] = field(default_factory=list)
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def renewed(self) -> Taken:
        following = self.next.pop(0)
        if isinstance(following, Exception):
            raise following
        self.taken, self.taken_at = following, datetime.now(UTC)
        return following


class RecordedRefresher:
    """A `RoleRefresher` whose events and updates of the kernel are recorded."""

    def __init__(self, held: Any, furnish: Any = lambda _taken: 1) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.furnished: list[Taken] = []

        def record_update(given: Taken) -> int | None:
            generation: int | None = furnish(given)
            self.furnished.append(given)
            return generation

        self.refresher = RoleRefresher(held, record_update, self.events.put)

    def next(self) -> Any:
        return self.events.get(timeout=TIMEOUT)


@pytest.fixture(autouse=True)
def short_retry_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 0.01)


def test_refresh_is_due_at_half_of_the_lifetime() -> None:
    held: Any = FakeHeldRole(taken(3600))
    assert 1790 < (seconds_until_refresh(held) or 0) <= 1800
    held.taken_at -= timedelta(seconds=3600)  # half of 7200 seconds is over
    assert -5 < (seconds_until_refresh(held) or 9) <= 0
    assert seconds_until_refresh(FakeHeldRole(taken(None))) is None  # type: ignore[arg-type]


def test_wrong_clock_does_not_cause_constant_refreshes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 30.0)
    assert 25 < (seconds_until_refresh(FakeHeldRole(taken(-3600))) or 0) <= 30  # type: ignore[arg-type]


def test_kernel_is_updated_before_the_refresh_is_recorded() -> None:
    new = taken(3600)
    refresh = RecordedRefresher(FakeHeldRole(taken(0.2), [new]))
    recorded = refresh.next()
    assert recorded == RoleRefreshed(generation=1, role="dba", identities=new.identities)
    assert refresh.furnished == [new]
    refresh.refresher.close()


def test_failure_is_recorded_once_and_retried() -> None:
    denied, late = UsageError("AccessDenied"), KernelError("no sudo")
    held = FakeHeldRole(ending := taken(0.2), [denied, denied, taken(3600), taken(3600)])
    failing = iter([late])

    def furnish(_taken: Taken) -> int:
        for error in failing:
            raise error
        return 2

    refresh = RecordedRefresher(held, furnish)
    first, second, third = refresh.next(), refresh.next(), refresh.next()
    assert isinstance(first, RoleNotRefreshed)
    assert (first.role, first.why) == ("dba", "AccessDenied")
    assert first.until == ending.identities[0].until
    assert second.why == "no sudo"
    assert isinstance(third, RoleRefreshed)
    assert third.generation == 2
    assert held.next == []
    refresh.refresher.close()


def test_refresh_without_a_kernel_is_not_recorded() -> None:
    held = FakeHeldRole(taken(0.2), [taken(0.2), taken(3600)])
    refresh = RecordedRefresher(held, lambda _taken: None if held.next else 3)
    assert refresh.next().generation == 3
    assert len(refresh.furnished) == 2
    refresh.refresher.close()
