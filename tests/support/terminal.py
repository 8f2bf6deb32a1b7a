"""An operator's desk for whole-program tests: the real command on a real terminal, read back."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import nbformat
import pexpect
import pyte

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.errors import DamagedJournalError
from nbrun.journal.reader import Reading
from nbrun.system import processes
from nbrun.system.peer_credentials import peer_of
from tests.support.build_notebooks import notebook, write

TIMEOUT = 60.0  # seconds; machines are slow, and every wait is for an event

_EDITOR = """#!/bin/sh
here=$(dirname "$0")
echo "$1" >>"$here/edited"
exec sed -i -f "$here/edit.sed" "$1"
"""
_KEYS = {"ctrl-backslash": b"\x1c", "ctrl-c": b"\x03", "ctrl-d": b"\x04", "enter": b"\n"}

TELL_PID = "import os; print('kernel', os.getpid(), flush=True)\n"  # a cell's first line
_TOLD_PID = re.compile(r"^kernel (\d+)$", re.MULTILINE)

E = TypeVar("E")


class Desk:
    """A folder with a runbook, a home, an editor and the runs that were made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._tools = folder / "tools"
        self._home = folder / "home"
        self._tools.mkdir()
        self._home.mkdir()
        editor = self._tools / "editor"
        editor.write_text(_EDITOR)
        editor.chmod(0o755)
        self.terminals: list[Terminal] = []
        self.variables: dict[str, str] = {}  # what its environment has besides
        self.nbrun = [sys.executable, "-m", "nbrun"]  # how the command is started

    def close(self) -> None:
        """Leave nothing running, whatever the test came to."""
        for terminal in self.terminals:
            terminal.close()
        for run in self.runs.iterdir() if self.runs.exists() else ():
            end_supervisor(run)
            for process in kernels(run):
                if processes.is_kernel(process):
                    processes.kill_group(process.pid)

    def book(self, *cells: dict[str, Any], **keys: Any) -> Path:
        """The runbook of these cells, at runbook.ipynb."""
        return write(self.folder, notebook(*cells, **keys))

    def editor_does(self, sed: str) -> None:
        """What the operator's editor will do to the file: a sed script."""
        (self._tools / "edit.sed").write_text(sed + "\n")

    def edited_files(self) -> list[str]:
        """The files that the editor was opened on."""
        path = self._tools / "edited"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NBRUN_", "JUPYTER", "IPYTHON"))
            and name not in ("VISUAL", "COLUMNS", "LINES")
        }
        return kept | {
            "HOME": str(self._home),
            "NBRUN_RUNS_DIR": str(self.runs),
            "EDITOR": str(self._tools / "editor"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            **self.variables,
        }

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    def open(self, *arguments: str, rows: int = 40, columns: int = 100) -> "Terminal":
        """`nbrun` with these arguments on a new terminal."""
        terminal = Terminal(self, arguments, rows, columns)
        self.terminals.append(terminal)
        return terminal

    def start(self, *options: str, **size: int) -> "Terminal":
        """`nbrun start` of the runbook on a new terminal."""
        return self.open("start", "runbook.ipynb", *options, **size)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`nbrun` with these arguments and no terminal, to its end."""
        return subprocess.run(
            [*self.nbrun, *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def unattended(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`nbrun start` of the runbook without a terminal, to its end."""
        return self.command("start", "runbook.ipynb", *options)

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """`nbrun start` of the runbook without a terminal, at work."""
        return subprocess.Popen(
            [*self.nbrun, "start", "runbook.ipynb", *options],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    # ── the run's processes ──────────────────────────────────────────────────────────────────

    def supervisor(self) -> int:
        """The process id of the run's supervisor, once there is one to speak to."""
        wait_until(lambda: self.runs.exists() and any(self.runs.iterdir()))
        wait_until(lambda: supervisor_of(self.run) is not None)
        return int(supervisor_of(self.run) or 0)

    def kill_supervisor(self) -> None:
        """As the machine would, when its memory runs out."""
        pid = self.supervisor()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))

    def kernel(self) -> int:
        """The process id of the newest kernel of the run."""
        return kernels(self.run)[-1].pid

    # ── the record ───────────────────────────────────────────────────────────────────────────

    @property
    def run(self) -> Path:
        """The folder of the one run that was made."""
        (found,) = self.runs.iterdir()
        return found

    def journal(self) -> list[Record]:
        """The run's records, each checked against the one before it."""
        return list(Reading(self.run / "journal.jsonl"))

    def events(self, kind: type[E]) -> list[E]:
        """The run's events of one kind, in order."""
        return [record.event for record in self.journal() if isinstance(record.event, kind)]

    def attempts(self) -> list[tuple[str, int, str]]:
        """Every attempt that ended: its step, its number and its outcome, in order."""
        finished = self.events(ev.AttemptFinished)
        return [(event.step, event.attempt, event.outcome) for event in finished]

    def decisions(self) -> list[tuple[str, str]]:
        """Every decision and the reason given for it, in order."""
        return [(event.decision, event.reason) for event in self.events(ev.Decided)]

    def deviations(self) -> list[tuple[str, str | None]]:
        """Every deviation and its step, in order."""
        return [(event.kind, event.step) for event in self.events(ev.Deviated)]

    def printed(self, step: str) -> str:
        """All that the attempts of a step printed to stdout."""
        return "".join(
            event.output["text"]
            for event in self.events(ev.Output)
            if event.step == step and event.output.get("name") == "stdout"
        )

    def finish(self) -> ev.RunFinished:
        """The last event, which is the end of the run."""
        last = self.journal()[-1].event
        assert isinstance(last, ev.RunFinished), last
        return last

    def notebook(self) -> Any:
        """The output notebook, which has to be a valid one."""
        (path,) = self.run.glob("*.ipynb")
        node = nbformat.read(path, as_version=4)
        nbformat.validate(node)
        return node

    def code_cells(self) -> list[Any]:
        """The code cells of the output notebook."""
        return [cell for cell in self.notebook().cells if cell.cell_type == "code"]


class Screen(pyte.Screen):
    """A terminal's screen that keeps the lines that scroll off it."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.scrolled: list[str] = []

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.scrolled.append(self.row(0))
        super().index()

    def row(self, number: int) -> str:
        row = self.buffer[number]
        text = "".join(row[column].data for column in range(self.columns))
        return text.replace("\N{NO-BREAK SPACE}", " ").rstrip()

    @property
    def cursor_line(self) -> int:
        """Where the cursor is, counted from the first line that was ever on the screen."""
        return len(self.scrolled) + self.cursor.y

    def text(self, since: int = 0) -> str:
        """What is to be read from line `since` on, what scrolled off included."""
        rows = [self.row(number) for number in range(self.lines)]
        return "\n".join((self.scrolled + rows)[since:]).rstrip()


class Terminal:
    """One command on a terminal of its own. Nothing is read while nobody waits."""

    def __init__(self, desk: Desk, arguments: tuple[str, ...], rows: int, columns: int) -> None:
        self.desk = desk
        self.screen = Screen(columns, rows)
        self.raw = bytearray()
        self.ended = False
        self._stream = pyte.ByteStream(self.screen)
        self._since = 0
        self._status: int | None = None
        self._child = pexpect.spawn(
            desk.nbrun[0],
            [*desk.nbrun[1:], *arguments],
            cwd=str(desk.folder),
            env=desk.environment(),
            dimensions=(rows, columns),
            timeout=TIMEOUT,
        )
        self._child.delaybeforesend = None

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def fd(self) -> int:
        """The test's end of the terminal."""
        return int(self._child.child_fd)

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def text(self) -> str:
        """Everything that was ever to be read on this terminal."""
        return self.screen.text()

    def words(self) -> str:
        """The same, on one line, with single spaces."""
        return " ".join(self.text().split())

    def since_typed(self) -> str:
        """What is to be read below the line that was typed last."""
        return self.screen.text(self._since)

    def until(self, wanted: str | Callable[[], object], timeout: float = TIMEOUT) -> None:
        """Read on until a text stands below the last line typed, or a condition holds."""
        deadline = time.monotonic() + timeout
        while not self._holds(wanted):
            assert not self.ended, f"it ended before {wanted!r}:\n{self.text()}"
            assert time.monotonic() < deadline, f"no {wanted!r} on this screen:\n{self.text()}"
            self.read(0.1)

    def prompted(self, question: str, timeout: float = TIMEOUT) -> None:
        """Read on until the cursor stands after this question, waiting for a line."""

        def asked() -> bool:
            row = self.screen.row(self.screen.cursor.y)
            waiting = self.screen.cursor.x >= len(row)
            return waiting and row.rstrip().endswith(question.rstrip())

        try:
            self.until(asked, timeout)
        except AssertionError as error:
            raise AssertionError(f"not asked {question!r}: {error}") from None

    def _holds(self, wanted: str | Callable[[], object]) -> bool:
        return wanted in self.since_typed() if isinstance(wanted, str) else bool(wanted())

    def kernel(self) -> int:
        """The process id of the kernel, once a cell has told it (`TELL_PID`)."""
        found: list[re.Match[str]] = []
        self.until(lambda: found.extend(_TOLD_PID.finditer(self.since_typed())) or found)
        return int(found[-1][1])

    def read(self, timeout: float) -> None:
        """Take what comes within `timeout` seconds, as far as it goes in one piece."""
        fd = self._child.child_fd
        if not select.select([fd], [], [], timeout)[0]:
            return
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: nobody holds the other end any more
            data = b""
        self.ended = not data
        self.raw += data
        self._stream.feed(data)

    # ── typing ───────────────────────────────────────────────────────────────────────────────

    def answer(self, question: str, line: str) -> None:
        """Wait for a question, and answer it."""
        self.prompted(question)
        self.type(line)

    def type(self, line: str) -> None:
        """A line and Enter, until the terminal has moved on to the line below."""
        before = len(self.raw)
        wrapped = (self.screen.cursor.x + len(line)) // self.screen.columns
        self._since = self.screen.cursor_line + wrapped + 1
        self._child.send(line.encode() + b"\n")
        self.until(lambda: b"\n" in self.raw[before:])

    def type_ahead(self, keys: str) -> None:
        """Keys that nobody asked for."""
        self._child.send(keys.encode())

    def press(self, key: str) -> None:
        self._since = self.screen.cursor_line
        self._child.send(_KEYS[key])

    def resize(self, columns: int) -> None:
        """Another width, for screen and command at once: nothing is on its way between the two."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: _state(self.pid) == "T")
        while select.select([self.fd], [], [], 0)[0]:
            self.read(0)
        self.screen.resize(columns=columns)
        self._child.setwinsize(self.screen.lines, columns)
        self.signal(signal.SIGCONT)

    # ── ending ───────────────────────────────────────────────────────────────────────────────

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """The terminal goes away, as when a window is closed or a line is lost."""
        self._child.ptyproc.fileobj.close()
        self.ended = True

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Read to the end; the exit code, or the negative number of the signal that ended it."""
        deadline = time.monotonic() + timeout
        while self._status is None:
            assert time.monotonic() < deadline, f"it has not ended:\n{self.text()}"
            if self.ended:
                select.select([], [], [], 0.02)
            else:
                self.read(0.1)
            self._reap()
        while not self.ended:
            self.read(0.1)
        return self._status

    def _reap(self) -> None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._status = os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """Leave nothing running, whatever the test came to."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._status = -signal.SIGKILL
        if not self._child.ptyproc.fileobj.closed:
            self._child.ptyproc.fileobj.close()
        self._child.closed = self._child.ptyproc.closed = True


def supervisor_of(run: Path) -> int | None:
    """The process that listens at the run's socket; None when nobody does."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str((run / "socket").readlink()))
            return peer_of(connection).pid
        except OSError:
            return None


def end_supervisor(run: Path) -> None:
    pid = supervisor_of(run)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))


def kernels(run: Path) -> list[ev.KernelProcess]:
    """Every kernel that the run's journal tells of."""
    started = ev.KernelStarted | ev.KernelRestarted
    found = []
    with suppress(DamagedJournalError):  # a test's own doing
        for record in Reading(run / "journal.jsonl"):
            if isinstance(record.event, started) and record.event.process:
                found.append(record.event.process)
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return _state(pid) in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return True


def _state(pid: int) -> str:
    """One letter, as proc_pid_stat(5) has it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
    """Come back when `condition` holds, where no terminal is there to tell."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{condition} has not come true"
        select.select([], [], [], 0.02)


def held_in(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below `folder`, with its bytes."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()
