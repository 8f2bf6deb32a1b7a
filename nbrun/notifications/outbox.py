"""The messages for one receiver, sent one at a time on a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.model import Occasion
from nbrun.errors import NotificationError
from nbrun.notifications.message import Message
from nbrun.notifications.senders import Sender

PAUSE = 5.0  # seconds before a message is tried again
LAST_PATIENCE = 2.0  # seconds that a sender has to end what it was doing


class Outbox:
    """Holds the latest message of each occasion until it is due, and sends it.

    So it never holds more than three, whatever the receiver does.
    """

    def __init__(self, sender: Sender, report: Callable[[Event], None]) -> None:
        """`report` records an event."""
        self.sender = sender
        self._report = report
        self._changed = threading.Condition()
        self._waiting: dict[Occasion, tuple[float, Message]] = {}  # with the time when it is due
        self._sending: Message | None = None  # None also once it needs no answer any more
        self._closing = self._ended = False
        self._thread: threading.Thread | None = None

    def put(self, message: Message, delay: float) -> None:
        """Send `message` in `delay` seconds, unless it is withdrawn before."""
        with self._changed:
            self._waiting[message.on] = (time.monotonic() + delay, message)
            self._changed.notify()
        if self._thread is None:  # most runs have nothing to tell
            name = f"nbrun-outbox-{self.sender.name}"
            self._thread = threading.Thread(target=self._run_thread, name=name, daemon=True)
            self._thread.start()

    def withdraw(self, *occasions: Occasion) -> None:
        """Do not send messages that nobody has to answer any more."""
        with self._changed:
            for occasion in occasions:
                self._waiting.pop(occasion, None)
            if self._sending is not None and self._sending.on in occasions:
                self._sending = None
                self._changed.notify()

    def start_closing(self) -> None:
        """Send what is due now, and nothing else."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def close(self, deadline: float) -> None:
        """Wait until everything is sent, up to `deadline` by the monotonic clock."""
        if self._thread is None:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            self._ended = True
            self._changed.notify()
        self.sender.close()
        self._thread.join(LAST_PATIENCE)

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run_thread(self) -> None:
        while (message := self._next()) is not None:
            self._send(message)

    def _next(self) -> Message | None:
        """Wait for a message to be due, and return the oldest that is; None at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                due = [message for at, message in self._waiting.values() if at <= now]
                if due:
                    first = min(due, key=lambda message: message.seq)
                    del self._waiting[first.on]
                    self._sending = first
                    return first
                if self._closing:
                    return None
                moments = [at for at, _ in self._waiting.values()]
                self._changed.wait(min(moments) - now if moments else None)

    def _send(self, message: Message) -> None:
        for left in reversed(range(self.sender.tries)):
            try:
                self.sender.send(message)
            except NotificationError as error:
                if left == 0 or not self._is_wanted_after(PAUSE):
                    self._on_failure(message, str(error))
                    return
            else:
                self._report(self._sent(message))
                return

    def _is_wanted_after(self, seconds: float) -> bool:
        """Wait, and return True if the message still has to be sent."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._ended or self._sending is None, seconds)

    def _sent(self, message: Message) -> Event:
        return ev.NotificationSent(on=message.on, about=message.seq, target=self.sender.name)

    def _on_failure(self, message: Message, why: str) -> None:
        """Log the failure too: after the end of the run, nothing can be recorded."""
        log = logging.getLogger(__name__)
        log.warning("%s could not be told (%s): %s", self.sender.name, message.on, why)
        self._report(
            ev.NotificationFailed(
                on=message.on, about=message.seq, target=self.sender.name, why=why
            )
        )
