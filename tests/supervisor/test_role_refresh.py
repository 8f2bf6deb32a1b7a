"""Refreshing a role at half of its credentials' lifetime, and recording failures once."""

import queue
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nbrun.core.events import RoleNotRefreshed, RoleRefreshed
from nbrun.errors import KernelError, UsageError
from nbrun.kernel.roles.environment import RolePart, combine
from nbrun.kernel.roles.roles import Role, TakenRole
from nbrun.supervisor import role_refresh
from nbrun.supervisor.role_refresh import RoleRefresher, seconds_until_refresh
from tests.support.build_events import identity

TIMEOUT = 30.0  # seconds


def taken(seconds: float | None) -> TakenRole:
    """Return a role whose credentials expire in `seconds`, or never."""
    until = datetime.now(UTC) + timedelta(seconds=seconds or 0)
    who = identity(until="" if seconds is None else until.isoformat())
    return TakenRole(Role("dba"), combine({}, [RolePart(identity=who)]))


@dataclass
class FakeRunRole:
    """A held role that `take_again` replaces by the next of `next`, or raises it."""

    taken: TakenRole
    next: list[TakenRole | Exception] = field(default_factory=list)
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take_again(self) -> TakenRole:
        following = self.next.pop(0)
        if isinstance(following, Exception):
            raise following
        self.taken, self.taken_at = following, datetime.now(UTC)
        return following


class RecordedRefresher:
    """A `RoleRefresher` whose events and updates of the kernel are recorded."""

    def __init__(self, held: Any, update_role_files: Any = lambda _taken: 1) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.updates: list[TakenRole] = []

        def record_update(given: TakenRole) -> int | None:
            generation: int | None = update_role_files(given)
            self.updates.append(given)
            return generation

        self.refresher = RoleRefresher(held, record_update, self.events.put)

    def next(self) -> Any:
        return self.events.get(timeout=TIMEOUT)


@pytest.fixture(autouse=True)
def short_retry_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 0.01)


def test_refresh_is_due_at_half_of_the_lifetime() -> None:
    held: Any = FakeRunRole(taken(3600))
    assert 1790 < (seconds_until_refresh(held) or 0) <= 1800
    held.taken_at -= timedelta(seconds=3600)  # half of 7200 seconds is over
    assert -5 < (seconds_until_refresh(held) or 9) <= 0
    assert seconds_until_refresh(FakeRunRole(taken(None))) is None  # type: ignore[arg-type]


def test_wrong_clock_does_not_cause_constant_refreshes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(role_refresh, "_RETRY_INTERVAL", 30.0)
    assert 25 < (seconds_until_refresh(FakeRunRole(taken(-3600))) or 0) <= 30  # type: ignore[arg-type]


def test_kernel_is_updated_before_the_refresh_is_recorded() -> None:
    new = taken(3600)
    refresh = RecordedRefresher(FakeRunRole(taken(0.2), [new]))
    recorded = refresh.next()
    assert recorded == RoleRefreshed(generation=1, role="dba", identities=new.identities)
    assert refresh.updates == [new]
    refresh.refresher.close()


def test_failure_is_recorded_once_and_retried() -> None:
    denied, late = UsageError("AccessDenied"), KernelError("no sudo")
    held = FakeRunRole(ending := taken(0.2), [denied, denied, taken(3600), taken(3600)])
    failing = iter([late])

    def update_role_files(_taken: TakenRole) -> int:
        for error in failing:
            raise error
        return 2

    refresh = RecordedRefresher(held, update_role_files)
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
    held = FakeRunRole(taken(0.2), [taken(0.2), taken(3600)])
    refresh = RecordedRefresher(held, lambda _taken: None if held.next else 3)
    assert refresh.next().generation == 3
    assert len(refresh.updates) == 2
    refresh.refresher.close()
