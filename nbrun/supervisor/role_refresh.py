"""A role kept fresh while a run goes on: taken again before its credentials end."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from nbrun.core.events import RoleNotRefreshed, RoleRefreshed
from nbrun.errors import KernelError, UsageError
from nbrun.kernel.roles.roles import Held, Taken

_LOOK = 30.0  # seconds between two looks at the clock, which may be set, or sleep
_AGAIN = 30.0  # seconds after which what failed is tried again

Report = Callable[[RoleRefreshed | RoleNotRefreshed], None]


class Renewal:
    """On a thread of its own. `furnish` gives the kernel that runs what the role has now, and
    returns its generation, None without a kernel; `report` puts what came of it into the record."""

    def __init__(self, held: Held, furnish: Callable[[Taken], int | None], report: Report) -> None:
        self._held = held
        self._furnish = furnish
        self._report = report
        self._closed = threading.Event()
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="nbrun-renewal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(self._patience()):
            if self._is_due():
                self._renew()

    def _patience(self) -> float:
        due = due_in(self._held)
        if due is None:
            return _LOOK
        return _AGAIN if self._failed else min(max(due, 0.1), _LOOK)

    def _is_due(self) -> bool:
        due = due_in(self._held)
        return bool(self._failed) or (due is not None and due <= 0)

    def _renew(self) -> None:
        before = self._held.taken
        try:
            taken = self._held.renewed()
            generation = self._furnish(taken)
        except (UsageError, KernelError) as error:
            self._tell_failure(before, str(error))
            return
        self._failed = ""
        if generation is not None:
            self._report(
                RoleRefreshed(
                    generation=generation, role=taken.role.name, identities=taken.identities
                )
            )

    def _tell_failure(self, taken: Taken, why: str) -> None:
        """Once, until it succeeds or fails in another way."""
        if why != self._failed:
            self._failed = why
            until = min(each.until for each in taken.identities if each.until)
            self._report(RoleNotRefreshed(role=taken.role.name, why=why, until=until))


def due_in(held: Held) -> float | None:
    """Seconds until half of the time is over that the role's credentials had when it was taken, so
    that an SDK that looks some minutes before their end finds new ones; None without an end."""
    ends = [datetime.fromisoformat(each.until) for each in held.taken.identities if each.until]
    if not ends:
        return None
    had = (min(ends) - held.taken_at).total_seconds()
    wait = had / 2 if had > 0 else _AGAIN  # then this machine's clock is wrong
    return wait - (datetime.now(UTC) - held.taken_at).total_seconds()
