"""Admission to a run's socket: who may connect, who may decide what, and how often.

Nobody at the other end is trusted. Users of the group may be hostile, and so may the cells of the
run itself, whose processes have the operator's own uid.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.events import Record
from nbrun.core.model import Operator
from nbrun.system import peer_credentials, provenance
from nbrun.system.peer_credentials import Peer
from nbrun.system.process_origin import KernelFamily

_MAX_OPEN_OF_OWNER = 64  # connections at the same time; also of root
_MAX_OPEN_OF_GUEST = 8
_CONNECTION_BURST, _CONNECTIONS_PER_SECOND = 20, 2.0  # of each user
_APPROVAL_BURST, _APPROVALS_PER_SECOND = 5, 0.5  # of each user
_PROGRAM_BURST, _PROGRAM_PER_SECOND = 20, 2.0  # decisions of each user's programs
_FREE_REFUSALS = 5  # approvals of a user that may be refused without a pause after them
_LONGEST_PAUSE = 3600.0  # seconds

_ABOUT_APPROVAL = decisions.Approve | decisions.Reject
_FROM_ANYBODY = _ABOUT_APPROVAL | decisions.Detach | decisions.AcceptHandover
_FROM_OWNER = _FROM_ANYBODY | decisions.Cancel
_FROM_OPERATOR = _FROM_OWNER | decisions.Handover

OF_KERNEL = "a cell can't decide about its own run: this process belongs to the run's kernel"
ENDED = "the process that connected has ended: nobody can tell what it was"


@dataclass
class _Bucket:
    """A rate limit: `tokens` at the time `filled_at`, refilled up to `burst`."""

    burst: int
    per_second: float
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        """Take a token. Return False if there is none."""
        refill = (now - self.filled_at) * self.per_second
        self.tokens, self.filled_at = min(float(self.burst), self.tokens + refill), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Admission:
    """The rules for one run, which belongs to this process's user.

    `is_shared`: users of a group can reach the socket, as guests. The serving thread calls all
    methods except `note`.
    """

    def __init__(
        self,
        kernels: Iterable[ev.KernelProcess] = (),
        *,
        is_shared: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._family = KernelFamily(kernels)
        self._is_shared = is_shared
        self._operator_uid = os.getuid()  # of whoever operates: the owner, before a handover
        self._clock = clock
        self._connections: dict[int, _Bucket] = {}
        self._approvals: dict[int, _Bucket] = {}
        self._of_programs: dict[int, _Bucket] = {}
        self._refused_approvals: Counter[int] = Counter()
        self._paused_until: defaultdict[int, float] = defaultdict(float)
        self._refusals: Counter[tuple[int, str, str]] = Counter()

    # ── connections ──────────────────────────────────────────────────────────────────────────

    def stranger_refusal(self, peer: Peer, open_connections: int) -> str | None:
        """Return why a peer of this uid is turned away unexamined; None if it is not.

        `open_connections` counts those that the uid has.
        """
        # The modes of the socket keep other users out. The uid is checked in case they do not.
        if self.is_guest(peer.uid) and not self._is_shared:
            owner, guest = map(provenance.account, (os.getuid(), peer.uid))
            return f"this run belongs to {owner}, and you are {guest}"
        most = _MAX_OPEN_OF_GUEST if self.is_guest(peer.uid) else _MAX_OPEN_OF_OWNER
        if open_connections >= most:
            return f"you have {open_connections} connections to this run: close some"
        return None

    def process_refusal(self, peer: Peer) -> str | None:
        """Return why a process is refused, by where it comes from; None if it is not."""
        if self.is_guest(peer.uid):  # not examined at all if they connect too often
            return self._rate_refusal(peer.uid) or self._origin_refusal(peer.pid)
        # A cell has the operator's uid: it must not use up the operator's connections.
        return self._origin_refusal(peer.pid) or self._rate_refusal(peer.uid)

    def _origin_refusal(self, pid: int) -> str | None:
        try:
            return OF_KERNEL if self._family.includes(pid) else None
        except ProcessLookupError:
            return ENDED

    def _rate_refusal(self, uid: int) -> str | None:
        is_allowed = self._take(self._connections, uid, _CONNECTION_BURST, _CONNECTIONS_PER_SECOND)
        return None if is_allowed else "you connect too often: wait a moment"

    def is_guest(self, uid: int) -> bool:
        """Return True for another user, of the group that the run is shared with."""
        return uid not in (os.getuid(), 0)

    def may_operate(self, uid: int) -> bool:
        """Return True for root, and for whoever operates the run: its owner before a handover."""
        return uid in (self._operator_uid, 0)

    # ── decisions ────────────────────────────────────────────────────────────────────────────

    def decision_refusal(self, decision: Decision, operator: Operator) -> str | None:
        """Return why `decision` can't come from a console that does not operate the run.

        Return None if it can. The engine may still refuse it, and decides what programs may do.
        """
        if not self.may_operate(operator.uid):
            is_owner = not self.is_guest(operator.uid)
            if not isinstance(decision, _FROM_OWNER if is_owner else _FROM_ANYBODY):
                return "you may only follow this run, and approve or reject steps"
        elif not operator.is_program and not isinstance(decision, _FROM_OPERATOR):
            return f"only the console that operates the run may {decision_name(decision)}"
        return None

    def haste_refusal(self, decision: Decision, operator: Operator) -> str | None:
        """Return why this user has to wait before the next decision of its kind; None for no wait.

        A run can be cancelled at any time, and only once.
        """
        if isinstance(decision, _ABOUT_APPROVAL) and self._must_wait(operator.uid):
            return "you approve too often, or too many of your approvals were refused: wait a while"
        if operator.is_program and not self._take(
            self._of_programs, operator.uid, _PROGRAM_BURST, _PROGRAM_PER_SECOND
        ):
            return "your programs decide too often: wait a moment"
        return None

    def _must_wait(self, uid: int) -> bool:
        return self._clock() < self._paused_until[uid] or not self._take(
            self._approvals, uid, _APPROVAL_BURST, _APPROVALS_PER_SECOND
        )

    def note(self, record: Record) -> None:
        """Learn from a new record: a kernel that has started, an approval that was refused.

        The engine's thread calls this.
        """
        match record.event:
            case ev.KernelStarted(process=process) | ev.KernelRestarted(process=process):
                if process is not None:
                    self._family.add(process)
            case ev.HandoverAccepted(operator=operator):
                self._operator_uid = operator.uid
            case ev.DecisionRefused(operator=operator, decision="approve" | "reject" | "accept"):
                self._lengthen_pause(operator.uid)

    def _lengthen_pause(self, uid: int) -> None:
        """Pause a user's approvals, twice as long after each that the engine refused.

        Each of those refusals is in the journal, which must not grow without end.
        """
        self._refused_approvals[uid] += 1
        excess = self._refused_approvals[uid] - _FREE_REFUSALS
        if excess > 0:
            pause = min(2.0 ** min(excess, 30), _LONGEST_PAUSE)
            self._paused_until[uid] = self._clock() + pause

    # ── the record ───────────────────────────────────────────────────────────────────────────

    def connection_refused(self, peer: Peer, why: str) -> ev.ConnectionRefused | None:
        """Return the event that records a refused connection; None if it need not be recorded."""
        times = self._count(peer.uid, "", why)
        if why not in (OF_KERNEL, ENDED) or not _is_recorded(times):
            return None
        return ev.ConnectionRefused(operator=peer_credentials.operator(peer), why=why, times=times)

    def decision_refused(
        self, operator: Operator, decision: Decision, why: str
    ) -> ev.DecisionRefused | None:
        """Return the event that records a refused decision; None if it need not be recorded."""
        name = decision_name(decision)
        times = self._count(operator.uid, name, why)
        event = ev.DecisionRefused(operator=operator, decision=name, why=why, times=times)
        return event if _is_recorded(times) else None

    def _count(self, uid: int, what: str, why: str) -> int:
        self._refusals[uid, what, why] += 1
        return self._refusals[uid, what, why]

    def _take(self, buckets: dict[int, _Bucket], uid: int, burst: int, per_second: float) -> bool:
        now = self._clock()
        if uid not in buckets:
            buckets[uid] = _Bucket(burst, per_second, float(burst), now)
        return buckets[uid].take(now)


def _is_recorded(times: int) -> bool:
    """Return True for 1, 2, 4, 8, …: so a journal grows by the logarithm of the refusals."""
    return times & (times - 1) == 0
