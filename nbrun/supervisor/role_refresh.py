"""Refresh the credentials of a run's role before they expire."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from nbrun.core.events import RoleNotRefreshed, RoleRefreshed
from nbrun.errors import KernelError, UsageError
from nbrun.kernel.roles.roles import RunRole, TakenRole

# Seconds between two checks of the clock. The clock may be set, or the machine may sleep.
_CHECK_INTERVAL = 30.0
_RETRY_INTERVAL = 30.0  # seconds until a failed refresh is retried

RecordRefresh = Callable[[RoleRefreshed | RoleNotRefreshed], None]


class RoleRefresher:
    """A thread that takes a role again when half of its credentials' lifetime is over.

    `update_role_files` gives the role's new files to the running kernel, and returns the kernel's
    generation, or None without a kernel. `record` receives the event that tells the result. A
    failure is recorded once, until a refresh succeeds or fails for another reason.
    """

    def __init__(
        self,
        held: RunRole,
        update_role_files: Callable[[TakenRole], int | None],
        record: RecordRefresh,
    ) -> None:
        self._held = held
        self._update_role_files = update_role_files
        self._record = record
        self._closed = threading.Event()
        self._recorded_failure = ""
        self._thread = threading.Thread(target=self._run, name="nbrun-role-refresh", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread after the refresh in progress, if any."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._seconds_until_check()):
            if self._is_due():
                self._refresh()

    def _seconds_until_check(self) -> float:
        due = seconds_until_refresh(self._held)
        if due is None:
            return _CHECK_INTERVAL
        return _RETRY_INTERVAL if self._recorded_failure else min(max(due, 0.1), _CHECK_INTERVAL)

    def _is_due(self) -> bool:
        due = seconds_until_refresh(self._held)
        return bool(self._recorded_failure) or (due is not None and due <= 0)

    def _refresh(self) -> None:
        before = self._held.taken
        try:
            taken = self._held.take_again()
            # The kernel has the new credentials before the journal says so.
            generation = self._update_role_files(taken)
        except (UsageError, KernelError) as error:
            self._record_failure(before, str(error))
            return
        self._recorded_failure = ""
        if generation is not None:
            self._record(
                RoleRefreshed(
                    generation=generation, role=taken.role.name, identities=taken.identities
                )
            )

    def _record_failure(self, taken: TakenRole, why: str) -> None:
        if why != self._recorded_failure:
            self._recorded_failure = why
            until = min(each.until for each in taken.identities if each.until)
            self._record(RoleNotRefreshed(role=taken.role.name, why=why, until=until))


def seconds_until_refresh(held: RunRole) -> float | None:
    """Return the seconds until half of the credentials' lifetime is over; None if none expire.

    AWS SDKs look for new credentials some minutes before the old ones expire. Half of the lifetime
    leaves enough time for that.
    """
    ends = [datetime.fromisoformat(each.until) for each in held.taken.identities if each.until]
    if not ends:
        return None
    lifetime = (min(ends) - held.taken_at).total_seconds()
    # Credentials that expired before they were issued mean that this machine's clock is wrong.
    wait = lifetime / 2 if lifetime > 0 else _RETRY_INTERVAL
    return wait - (datetime.now(UTC) - held.taken_at).total_seconds()
