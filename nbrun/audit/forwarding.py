"""Forward a growing journal to a sink, line by line, without delaying the run.

The file `unforwarded` beside the journal holds how much of it was sent: two numbers, bytes and
lines. The file exists while something is left to send, so that a later run can send what this run
could not. A clone can bring such a file, too: only what this account forwards itself is sent.
"""

import fcntl
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence

import msgspec

from nbrun.audit.sinks import JournalLine, Sink
from nbrun.core import events as ev
from nbrun.core.events import Event, Record
from nbrun.errors import ForwardingError, JournalError, NbrunError
from nbrun.journal import start_marker
from nbrun.journal.reader import last_record
from nbrun.journal.run_directory import RunDirectory
from nbrun.system.files import open_regular
from nbrun.system.ownership import owner_fault

BATCH = 2**20  # bytes sent at once
GATHER = 0.2  # seconds to collect lines before they are sent
PATIENCE = 5.0  # seconds that the end of a run waits for the remaining lines
LAST_PATIENCE = 2.0  # seconds that a sink has to end what it was doing
FIRST_PAUSE = 1.0  # seconds before the first retry; each pause is twice as long as the one before
LONGEST_PAUSE = 60.0


class _LineHead(msgspec.Struct, frozen=True):
    at: str
    event: str


_POSITION = re.compile(rb"(\d{20}) (\d{20})\n")
_line_heads = msgspec.json.Decoder(_LineHead)


class Forwarder:
    """Sends lines on a thread of its own. It reads them from the file: no queue fills memory."""

    def __init__(
        self, sink: Sink, directory: RunDirectory, report: Callable[[Event], None]
    ) -> None:
        """`report` appends an event to the journal."""
        self._sink = sink
        self._directory = directory
        self._report = report
        self._grown = threading.Event()
        self._closing = threading.Event()
        self._failing = False
        self._is_marked = False
        self._tried_earlier_runs = False
        self._thread = threading.Thread(
            target=self._run_thread, name="nbrun-forwarding", daemon=True
        )
        self._thread.start()

    def receive(self, _records: Sequence[Record]) -> None:
        """Wake the thread, which reads the lines from the journal. Mark the run, once."""
        if not self._is_marked:
            self._is_marked = True
            try:
                start_marker.mark_to_forward(self._directory)
            except (JournalError, OSError) as error:
                logging.getLogger(__name__).warning("the run is not marked: %s", error)
        self._grown.set()

    def close(self) -> None:
        """Send the remaining lines, if that is possible within a few seconds."""
        self._closing.set()
        self._grown.set()
        self._thread.join(PATIENCE)
        self._sink.close()
        self._thread.join(LAST_PATIENCE)

    # ── on the thread ────────────────────────────────────────────────────────────────────────

    def _run_thread(self) -> None:
        try:
            with _UnsentLines(self._directory, create=True) as own:
                closing = False
                while not closing:
                    self._grown.wait()
                    closing = self._closing.wait(GATHER)
                    self._grown.clear()
                    self._send_until_done(own)
        except OSError as error:  # without `unforwarded`, no later run would send the rest
            self._on_failure(0, ForwardingError(f"{self._directory.unforwarded}: {error}"))

    def _send_until_done(self, unsent: "_UnsentLines") -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                unsent.send(self._sink)
            except ForwardingError as error:
                self._on_failure(unsent.seq, error)
            else:
                self._on_success(unsent.seq)
                self._send_earlier_runs()
                return
            if self._closing.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _send_earlier_runs(self) -> None:
        """Send once what earlier runs could not, oldest first. A failure leaves it for later."""
        if self._tried_earlier_runs:
            return
        self._tried_earlier_runs = True
        for path in sorted(self._directory.path.parent.glob("*/unforwarded")):
            earlier = RunDirectory(path.parent)
            if earlier == self._directory or not _is_own(earlier):
                continue
            try:
                with _UnsentLines(earlier, create=False) as unsent:
                    unsent.send(self._sink)
            except BlockingIOError:  # that run is still running, and sends its lines itself
                continue
            except (ForwardingError, OSError) as error:
                logging.getLogger(__name__).warning(
                    "%s: can't be forwarded: %s", path.parent, error
                )

    def _on_failure(self, since: int, error: ForwardingError) -> None:
        """Report the first of several failures."""
        if not self._failing:
            self._failing = True
            logging.getLogger(__name__).warning("the journal can't be forwarded: %s", error)
            self._report(ev.ForwardingFailed(target=self._sink.name, since=since, why=str(error)))

    def _on_success(self, sent: int) -> None:
        if self._failing:
            self._failing = False
            self._report(ev.ForwardingResumed(target=self._sink.name, upto=sent - 1))


def _is_own(directory: RunDirectory) -> bool:
    """Return True if no other user can have written the run, and this account forwards it."""
    if directory.owner_fault() or owner_fault(directory.unforwarded):
        return False
    try:
        return start_marker.is_forwarded_here(directory)
    except (NbrunError, OSError) as error:
        logging.getLogger(__name__).warning("%s: is not forwarded: %s", directory.path, error)
        return False


def unsent_lines(directory: RunDirectory) -> int | None:
    """Return how many lines of an ended run were not sent; None if all were, or nobody can tell."""
    try:
        with open_regular(directory.unforwarded) as file:
            position = _POSITION.fullmatch(file.read(100))
        last = last_record(directory.journal)
    except (OSError, NbrunError):
        return None
    return None if last is None else last.seq + 1 - (int(position[2]) if position else 0)


class _UnsentLines:
    """The lines of a journal that were not sent yet. One process at a time holds their lock.

    `offset` and `seq`: how many bytes and lines were sent.
    """

    def __init__(self, directory: RunDirectory, *, create: bool) -> None:
        self._directory = directory
        self._flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = -1
        self.offset, self.seq = 0, 0

    def __enter__(self) -> "_UnsentLines":
        """Open and lock `unforwarded`.

        Raises:
            BlockingIOError: another process holds it, or has just sent everything.
            OSError: the file does not exist, or can't be opened.
        """
        self._fd = os.open(self._directory.unforwarded, self._flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._fd, 0o600)
            if os.fstat(self._fd).st_nlink == 0:  # removed between opening and locking
                raise BlockingIOError
        except OSError:
            os.close(self._fd)
            raise
        position = _POSITION.fullmatch(os.pread(self._fd, 100, 0))
        if position is not None:
            self.offset, self.seq = int(position[1]), int(position[2])
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def send(self, sink: Sink) -> None:
        """Send all remaining lines. After the end of the run, remove `unforwarded`.

        Raises:
            ForwardingError: some lines are left; the next call continues with them.
        """
        ended = False
        while lines := self._next_batch():
            sink.send(lines)
            # The position is written after the lines were sent: a crash between the two sends
            # lines twice, and loses none.
            self.offset += sum(len(line.content) + 1 for line in lines)
            self.seq += len(lines)
            os.pwrite(self._fd, b"%020d %020d\n" % (self.offset, self.seq), 0)
            ended = lines[-1].event == "run.finished"
        if ended:
            self._directory.unforwarded.unlink()
            start_marker.unmark_forwarded(self._directory)

    def _next_batch(self) -> list[JournalLine]:
        """Return the next complete lines, about `BATCH` bytes."""
        lines: list[JournalLine] = []
        size = 0
        with open_regular(self._directory.journal) as journal:
            journal.seek(self.offset)
            for line in journal:
                if not line.endswith(b"\n") or size > BATCH:
                    break
                size += len(line)
                lines.append(self._line(line[:-1], self.seq + len(lines)))
        return lines

    def _line(self, content: bytes, seq: int) -> JournalLine:
        try:
            head = _line_heads.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # This message is recorded: it must not change.
            raise ForwardingError(f"line {seq + 1} is no event of a record: {error}") from error
        return JournalLine(
            run=self._directory.id,
            seq=seq,
            at=head.at,
            event=head.event,
            content=content,
            hash=hashlib.sha256(content).hexdigest(),
        )
