"""Send one decision of a program to a run, and follow the run until it has answered."""

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from nbrun.core import events as ev
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.events import Event, Record
from nbrun.core.state import Phase, RunState
from nbrun.errors import NoSupervisorError
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
from nbrun.views.export.run_status import StatusFold

Result = Literal[
    "decided",  # recorded, and carried out
    "proposed",  # recorded, and waits for a person's approval
    "approved",  # as `proposed`, and a person approved it
    "rejected",  # as `proposed`, and a person rejected it, decided otherwise or ended the run
    "refused",  # not carried out, and nothing will come of it
]


@dataclass(frozen=True)
class Answer:
    """The result of a decision. `seq` is the number of the record that says so; -1 if none does.

    `fold` is the run as it stands after it.
    """

    result: Result
    seq: int
    why: str
    fold: StatusFold


def send_decision(
    directory: RunDirectory,
    make: Callable[[RunState], Decision],
    *,
    expect_seq: int | None = None,
    wait: bool = False,
) -> Answer:
    """Send the decision that `make` returns for the run as it stands, and return the answer.

    The run refuses the decision if it does not stand at `expect_seq` when it takes the decision up;
    without `expect_seq`, where it stood when `make` was called. With `wait`, return at the run's
    next stop, or its end.

    Raises:
        RefusedAttachError: the run does not let this user in.
        NoSupervisorError: there is no supervisor, or it ended before it answered.
    """
    exchange = _Exchange(directory)
    try:
        exchange.catch_up()
        decision = make(exchange.fold.state)
        expected = exchange.fold.state.seq if expect_seq is None else expect_seq
        exchange.send(msgspec.structs.replace(decision, expect_seq=expected))
        exchange.follow(until=exchange.is_answered)
        if wait:
            exchange.follow(until=exchange.is_over)
    finally:
        exchange.leave()
    return exchange.answer()


class _Exchange:
    """One connection, from its first record to the answer to its one decision."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._client = SocketClient(directory, "decide")
        self._decision = ""
        self._answer: tuple[Result, Record] | None = None
        self._has_moved = False  # the run goes on since the answer
        self._stands = False  # and has stopped again, or ended
        self.fold = StatusFold()

    def catch_up(self) -> None:
        """Receive the records up to where the run stands."""
        while not self._client.is_current and not self._client.closed:
            self._receive()

    def send(self, decision: Decision) -> None:
        self._decision = decision_name(decision)
        self._client.send(decision)

    def follow(self, *, until: Callable[[], bool]) -> None:
        while not until() and not self._client.closed:
            self._receive()

    def leave(self) -> None:
        self._client.detach()

    def is_answered(self) -> bool:
        return self._answer is not None

    def is_over(self) -> bool:
        """Return True if nothing more will come of the decision before another one."""
        if self._answer is None:
            return False
        result = self._answer[0]
        if result in ("refused", "rejected") or self._decision in _LEAVE_IT_WHERE_IT_IS:
            return True
        return self._stands and result != "proposed"

    def answer(self) -> Answer:
        """Return the answer. Raises NoSupervisorError without one."""
        if self._answer is None and self._client.refused:
            return Answer("refused", -1, self._client.refused, self.fold)
        if self._answer is None:
            raise NoSupervisorError(
                f"{self._directory.id}: {self._loss()}; nothing is recorded of {self._decision}"
            )
        result, record = self._answer
        return Answer(result, record.seq, _why(record.event), self.fold)

    def _loss(self) -> str:
        if self._client.failure is not None:
            return self._client.failure.why
        return "the run has ended" if self._client.ended else self._client.describe_loss()

    def _receive(self) -> None:
        select.select([self._client], [], [], 1.0)
        for record in self._client.receive():
            before = self.fold.state.proposal
            self.fold.add(record)
            if self._decision:
                self._note(record, before)

    def _note(self, record: Record, before: ev.DecisionProposed | None) -> None:
        """Note what `record` says of the decision. `before` is the proposal before it."""
        if self._answer is None:
            result = _result(record.event, self._decision)
            is_own = getattr(record.event, "operator", None) == self._client.operator
            if result is None or not is_own:
                return
            self._answer = result, record
        elif self._answer[0] == "proposed" and before == self._answer[1].event:
            self._note_end(record)
        state = self.fold.state
        waits = state.phase is Phase.STOPPED or state.input_wanted is not None
        self._has_moved = self._has_moved or not waits
        self._stands = (self._has_moved and waits) or state.finished is not None

    def _note_end(self, record: Record) -> None:
        """Note what has become of the proposal, if `record` says so."""
        if isinstance(record.event, ev.ApprovalGranted):
            self._answer = "approved", record
        elif self.fold.state.proposal is None:
            self._answer = "rejected", record


# Decisions after which the run stands where it stood.
_LEAVE_IT_WHERE_IT_IS = ("note", "withdraw", "reject")

_DECIDED = (
    ev.NoteAdded,
    ev.InputAnswered,
    ev.AttemptSettled,
    ev.ApprovalGranted,
    ev.ApprovalRejected,
)


def _result(event: Event, decision: str) -> Result | None:
    """Return what `event` says of the decision called `decision`; None for other events."""
    match event:
        case ev.DecisionRefused(decision=name) if name == decision:
            return "refused"
        case ev.DecisionProposed(decision=name) if name == decision:
            return "proposed"
        case ev.Decided(decision=name) if name == decision:
            return "decided"
    return "decided" if isinstance(event, _DECIDED) else None


def _why(event: Event) -> str:
    match event:
        case ev.DecisionRefused(why=why):
            return why
        case ev.ApprovalRejected(reason=reason, operator=operator):
            return f"{operator.label}: {reason}" if reason else operator.label
        case ev.Decided(decision=decision, operator=operator):
            return f"{operator.label}: {decision}"
    return ""
