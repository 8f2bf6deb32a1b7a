"""Sends a growing journal on, line by line, without ever keeping the run waiting.

What has been sent is known by a file beside the journal, `unforwarded`, which holds how far that
is: bytes and lines, two numbers. It is there for as long as something is left to send, so that the
next run that sends its record on can send what this one could not.
"""

import fcntl
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence

import msgspec

from nbrun.audit.sinks import Line, Target
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import ForwardingError
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import open_regular

BATCH = 2**20  # bytes sent at once
GATHER = 0.2  # seconds in which lines come together
PATIENCE = 5.0  # seconds that the end of a run waits for what is left
FIRST_PAUSE = 1.0  # seconds between two tries, twice as many each time
LONGEST_PAUSE = 60.0


class _Head(msgspec.Struct, frozen=True):
    at: str
    event: str


_NUMBERS = re.compile(rb"(\d{20}) (\d{20})\n")
_heads = msgspec.json.Decoder(_Head)


class Forwarder:
    """Reads the journal's file on a thread of its own: nothing waits in memory."""

    def __init__(
        self, target: Target, directory: RunDirectory, report: Callable[[Event], None]
    ) -> None:
        self._target = target
        self._directory = directory
        self._report = report
        self._grown = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        self._tidied = False
        self._thread = threading.Thread(target=self._run, name="nbrun-forwarding", daemon=True)
        self._thread.start()

    def take(self, _records: Sequence[Record]) -> None:
        self._grown.set()

    def close(self) -> None:
        """Send what is left if that is possible within a few seconds."""
        self._closing.set()
        self._grown.set()
        self._thread.join(PATIENCE)

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            with _Unsent(self._directory, create=True) as own:
                closing = False
                while not closing:
                    self._grown.wait()
                    closing = self._closing.wait(GATHER)
                    self._grown.clear()
                    self._send_until_done(own)
        except OSError as error:  # its own file can't be kept: then nothing would be sent on later
            self._failed(0, ForwardingError(f"{self._directory.unforwarded}: {error}"))

    def _send_until_done(self, unsent: "_Unsent") -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                unsent.send(self._target)
            except ForwardingError as error:
                self._failed(unsent.seq, error)
            else:
                self._succeeded(unsent.seq)
                self._send_left_behind()
                return
            if self._closing.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _send_left_behind(self) -> None:
        """What earlier runs could not send, oldest first, once. What fails waits on."""
        if self._tidied:
            return
        self._tidied = True
        for path in sorted(self._directory.path.parent.glob("*/unforwarded")):
            if path.parent == self._directory.path:
                continue
            try:
                with _Unsent(RunDirectory(path.parent), create=False) as unsent:
                    unsent.send(self._target)
            except BlockingIOError:  # that run goes on, and sends it itself
                continue
            except (ForwardingError, OSError) as error:
                logging.getLogger(__name__).warning("%s: can't be sent on: %s", path.parent, error)

    def _failed(self, since: int, error: ForwardingError) -> None:
        if not self._failing:
            self._failing = True
            logging.getLogger(__name__).warning("the record can't be sent on: %s", error)
            self._report(ev.ForwardingFailed(target=self._target.name, since=since, why=str(error)))

    def _succeeded(self, sent: int) -> None:
        if self._failing:
            self._failing = False
            self._report(ev.ForwardingResumed(target=self._target.name, upto=sent - 1))


class _Unsent:
    """How far a journal has been sent. Held, and so locked, by one process at a time."""

    def __init__(self, directory: RunDirectory, *, create: bool) -> None:
        self._directory = directory
        self._flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = -1
        self.offset, self.seq = 0, 0

    def __enter__(self) -> "_Unsent":
        """Raises OSError: there is no such file, or another process holds it."""
        self._fd = os.open(self._directory.unforwarded, self._flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._fd, 0o600)
            if os.fstat(self._fd).st_nlink == 0:  # all was sent while this waited
                raise BlockingIOError
        except OSError:
            os.close(self._fd)
            raise
        kept = _NUMBERS.fullmatch(os.pread(self._fd, 100, 0))
        if kept is not None:
            self.offset, self.seq = int(kept[1]), int(kept[2])
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def send(self, target: Target) -> None:
        """Send all there is; the file is gone when that was the end of the run.

        Raises:
            ForwardingError: some are left; the next call goes on with them.
        """
        ended = False
        while lines := self._next():
            target.send(lines)
            self.offset += sum(len(line.content) + 1 for line in lines)
            self.seq += len(lines)
            os.pwrite(self._fd, b"%020d %020d\n" % (self.offset, self.seq), 0)
            ended = lines[-1].event == "run.finished"
        if ended:
            self._directory.unforwarded.unlink()

    def _next(self) -> list[Line]:
        """The next whole lines, about `BATCH` bytes of them."""
        lines: list[Line] = []
        size = 0
        with open_regular(self._directory.journal) as journal:
            journal.seek(self.offset)
            for line in journal:
                if not line.endswith(b"\n") or size > BATCH:
                    break
                size += len(line)
                lines.append(self._line(line[:-1], self.seq + len(lines)))
        return lines

    def _line(self, content: bytes, seq: int) -> Line:
        try:
            head = _heads.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ForwardingError(f"line {seq + 1} is no event of a record: {error}") from error
        return Line(
            run=self._directory.id,
            seq=seq,
            at=head.at,
            event=head.event,
            content=content,
            hash=hashlib.sha256(content).hexdigest(),
        )
