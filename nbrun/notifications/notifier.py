"""Tell hooks and chat services when a run waits for a person, and when it has ended.

Every supervisor loads this module. What only a run with receivers needs is imported at use.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.events import Event, Record
from nbrun.core.model import Occasion
from nbrun.core.state import Phase, RunState
from nbrun.journal.run_directory import RunDirectory
from nbrun.notifications.receivers import Receivers

if TYPE_CHECKING:
    from nbrun.notifications.message import Message
    from nbrun.notifications.outbox import Outbox
    from nbrun.notifications.senders import Sender


class Notifier:
    """Receives a run's records on the engine's thread, and never delays it."""

    def __init__(
        self,
        receivers: Receivers,
        directory: RunDirectory,
        state: RunState,
        *,
        redact: Callable[[str], str],
        report: Callable[[Event], None],
    ) -> None:
        """`state` is the run's, which the engine changes before each `receive`.

        `redact` removes the run's secrets from a text. `report` records an event.
        """
        self._receivers = receivers
        self._directory = directory
        self._state = state
        self._redact = redact
        self._report = report
        self._outboxes = _outboxes(receivers, redact, report)
        self._last: ev.AttemptFinished | None = None
        self._head: Record | None = None

    def receive(self, records: Sequence[Record]) -> None:
        """Receive records that were appended. The last one led to the state."""
        for record in records:
            match record.event:
                case ev.RunStarted() | ev.RunResumed():
                    self._report_missing()
                case ev.AttemptFinished() as event:
                    self._last = event
                case _:
                    self._tell(record)
            self._head = record
        self._withdraw_answered()

    def tell_broken(self, error: BaseException) -> None:
        """Tell that nbrun itself can't go on, for instance because the disk is full."""
        head = self._head
        if head is None or not self._outboxes or self._state.phase is Phase.FINISHED:
            return
        from nbrun.notifications.message import compose_broken

        why = self._redact(str(error) or type(error).__name__)
        message = compose_broken(self._state, self._directory, head.seq, head.at, why)
        for outbox in self._outboxes:
            if message.on in outbox.sender.on:
                outbox.put(message, 0.0)

    def close(self) -> None:
        """Give what has to be told now the time of one message, and then end all senders."""
        for outbox in self._outboxes:
            outbox.start_closing()
        longest = max((outbox.sender.timeout for outbox in self._outboxes), default=0.0)
        deadline = time.monotonic() + longest
        for outbox in self._outboxes:
            outbox.close(deadline)

    def _tell(self, record: Record) -> None:
        if not self._outboxes:
            return
        from nbrun.notifications.message import compose, occasion

        on = occasion(self._state, record)
        outboxes = [outbox for outbox in self._outboxes if on in outbox.sender.on]
        if on is None or not outboxes:
            return
        message = compose(on, self._state, record, self._directory, _error(self._last))
        for outbox in outboxes:
            if not self._knows(outbox.sender, message):
                outbox.put(message, self._delay(outbox.sender, message))

    def _knows(self, sender: "Sender", message: "Message") -> bool:
        """Return True if the receiver was told of this stop already, or will be of the end."""
        if message.event["event"] != "stopped":
            return False
        if not message.waits_for:
            return "finished" in sender.on
        return sender.name in self._state.notified

    def _delay(self, sender: "Sender", message: "Message") -> float:
        """Return how long an operator has to answer before others are told."""
        may_answer = self._state.plan.policy.attended or self._state.operators
        waits_for_operator = message.on == "stopped" and message.waits_for and may_answer
        return sender.after if waits_for_operator else 0.0

    def _withdraw_answered(self) -> None:
        """Withdraw what needs no answer any more. How a run ended that nobody answered is told."""
        state = self._state
        if state.phase is Phase.FINISHED and not state.cancelled:
            return
        answered: list[Occasion] = []
        if pending_approval(state) is None:
            answered.append("proposed")
        if state.cancelled or (state.stop is None and state.input_wanted is None):
            answered.append("stopped")
        for outbox in self._outboxes:
            outbox.withdraw(*answered)

    def _report_missing(self) -> None:
        for setting, why in self._receivers.missing:
            for on in setting.on:
                self._report(ev.NotificationFailed(on=on, about=-1, target=setting.url, why=why))


def _outboxes(
    receivers: Receivers, redact: Callable[[str], str], report: Callable[[Event], None]
) -> "list[Outbox]":
    if not receivers.hooks and not receivers.services:
        return []
    from nbrun.notifications.outbox import Outbox
    from nbrun.notifications.senders import HookSender, Sender, ServiceSender

    senders: list[Sender] = [HookSender(hook, redact) for hook in receivers.hooks]
    pairs = zip(receivers.services, receivers.urls, strict=True)
    senders += [ServiceSender(service, url, redact) for service, url in pairs]
    return [Outbox(sender, report) for sender in senders]


def _error(last: ev.AttemptFinished | None) -> str:
    """Return why the last attempt did not succeed; "" if it did."""
    from nbrun.views.text import phrases

    if last is None or last.outcome == "ok":
        return ""
    if last.ename is None:
        return phrases.OUTCOMES[last.outcome]
    return phrases.error_line(last.ename, last.evalue or "")
