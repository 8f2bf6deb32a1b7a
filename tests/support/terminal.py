"""Run the real command on a real terminal for whole-program tests, and read its screen."""

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
from nbrun.journal.reader import JournalReader
from nbrun.system import processes
from nbrun.system.peer_credentials import peer_of
from tests.support.build_notebooks import notebook, write

TIMEOUT = 60.0  # seconds; long, since every wait ends with an event

_EDITOR = """#!/bin/sh
here=$(dirname "$0")
echo "$1" >>"$here/edited"
exec sed -i -f "$here/edit.sed" "$1"
"""
_KEYS = {
    "ctrl-backslash": b"\x1c",
    "ctrl-c": b"\x03",
    "ctrl-d": b"\x04",
    "ctrl-z": b"\x1a",
    "enter": b"\r",
}

TELL_PID = "import os; print('kernel', os.getpid(), flush=True)\n"  # the first line of a cell
_TOLD_PID = re.compile(r"^kernel (\d+)$", re.MULTILINE)

E = TypeVar("E")


class Desk:
    """An operator's workspace: a folder with a runbook, a home, an editor and runs."""

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
        self.variables: dict[str, str] = {}  # additional environment variables
        self.nbrun = [sys.executable, "-m", "nbrun"]  # the command line of nbrun

    def close(self) -> None:
        """Kill everything that still runs, however the test ended."""
        for terminal in self.terminals:
            terminal.close()
        for run in self.all_runs():
            end_supervisor(run)
            for process in kernels(run):
                if processes.is_kernel(process):
                    processes.kill_group(process.pid)

    def book(self, *cells: dict[str, Any], **keys: Any) -> Path:
        """Write `cells` to runbook.ipynb, and return its path."""
        return write(self.folder, notebook(*cells, **keys))

    def configure(self, text: str) -> None:
        """Write nbrun.toml beside the runbook, and trust it."""
        (self.folder / "nbrun.toml").write_text(text)
        told = self.command("trust", "nbrun.toml")
        assert told.returncode == 0, told.stderr

    def editor_does(self, sed: str) -> None:
        """Make the operator's editor apply a sed script to the file."""
        (self._tools / "edit.sed").write_text(sed + "\n")

    def edited_files(self) -> list[str]:
        """Return the files that the editor was opened with."""
        path = self._tools / "edited"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NBRUN_", "JUPYTER", "IPYTHON"))
            and name not in ("VISUAL", "COLUMNS", "LINES", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
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
        """Start `nbrun` with these arguments on a new terminal."""
        terminal = Terminal(self, arguments, rows, columns)
        self.terminals.append(terminal)
        return terminal

    def start(self, *options: str, **size: int) -> "Terminal":
        """Start `nbrun start runbook.ipynb` on a new terminal."""
        return self.open("start", "runbook.ipynb", *options, **size)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `nbrun` with these arguments and without a terminal to its end."""
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
        """Run `nbrun start runbook.ipynb` without a terminal to its end."""
        return self.command("start", "runbook.ipynb", *options)

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """Start `nbrun start runbook.ipynb` without a terminal, and do not wait for its end."""
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
        """Wait until the run's supervisor accepts connections, and return its process id."""
        wait_until(self.all_runs)
        wait_until(lambda: supervisor_of(self.run) is not None)
        return int(supervisor_of(self.run) or 0)

    def kill_supervisor(self) -> None:
        """Kill the supervisor with SIGKILL, as the kernel does when memory runs out."""
        pid = self.supervisor()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid))

    def kernel(self) -> int:
        """Return the process id of the run's newest kernel."""
        return kernels(self.run)[-1].pid

    # ── the record ───────────────────────────────────────────────────────────────────────────

    @property
    def run(self) -> Path:
        """The directory of the only run."""
        (found,) = self.all_runs()
        return found

    def all_runs(self) -> list[Path]:
        """The directories of all runs. The index of runs lies beside them."""
        return [path for path in self.runs.iterdir() if path.is_dir()] if self.runs.exists() else []

    def journal(self) -> list[Record]:
        """Return the run's records, each checked against the one before it."""
        return list(JournalReader(self.run / "journal.jsonl"))

    def events(self, kind: type[E]) -> list[E]:
        """Return the run's events of one kind, in order."""
        return [record.event for record in self.journal() if isinstance(record.event, kind)]

    def attempts(self) -> list[tuple[str, int, str]]:
        """Return step, number and outcome of every finished attempt, in order."""
        finished = self.events(ev.AttemptFinished)
        return [(event.step, event.attempt, event.outcome) for event in finished]

    def decisions(self) -> list[tuple[str, str]]:
        """Return every decision with its reason, in order."""
        return [(event.decision, event.reason) for event in self.events(ev.Decided)]

    def deviations(self) -> list[tuple[str, str | None]]:
        """Return every deviation with its step, in order."""
        return [(event.kind, event.step) for event in self.events(ev.Deviated)]

    def printed(self, step: str) -> str:
        """Return what all attempts of a step printed to stdout."""
        return "".join(
            event.output["text"]
            for event in self.events(ev.Output)
            if event.step == step and event.output.get("name") == "stdout"
        )

    def finish(self) -> ev.RunFinished:
        """Return the last event, which must be the end of the run."""
        last = self.journal()[-1].event
        assert isinstance(last, ev.RunFinished), last
        return last

    def notebook(self) -> Any:
        """Return the output notebook after validating it."""
        (path,) = self.run.glob("*.ipynb")
        node = nbformat.read(path, as_version=4)
        nbformat.validate(node)
        return node

    def code_cells(self) -> list[Any]:
        """Return the code cells of the output notebook."""
        return [cell for cell in self.notebook().cells if cell.cell_type == "code"]


class Screen(pyte.Screen):
    """A terminal's screen with an unlimited scrollback."""

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
        """The line of the cursor, counted from the first line of the scrollback."""
        return len(self.scrolled) + self.cursor.y

    def text(self, since: int = 0) -> str:
        """Return the text from line `since` of the scrollback to the end of the screen."""
        rows = [self.row(number) for number in range(self.lines)]
        return "\n".join((self.scrolled + rows)[since:]).rstrip()


class Terminal:
    """One command on its own terminal. Output is read only while a method waits for something."""

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
        """The file descriptor of the test's end of the terminal."""
        return int(self._child.child_fd)

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def text(self) -> str:
        """Return everything that was ever shown on this terminal."""
        return self.screen.text()

    def words(self) -> str:
        """Return `text` on one line, with single spaces."""
        return " ".join(self.text().split())

    def since_typed(self) -> str:
        """Return what is shown below the line that was typed last."""
        return self.screen.text(self._since)

    def until(self, wanted: str | Callable[[], object], timeout: float = TIMEOUT) -> None:
        """Read until a text appears below the last typed line, or until a condition holds."""
        deadline = time.monotonic() + timeout
        while not self._holds(wanted):
            assert not self.ended, f"the command ended before {wanted!r}:\n{self.text()}"
            assert time.monotonic() < deadline, f"{wanted!r} is not on the screen:\n{self.text()}"
            self.read(0.1)

    def prompted(self, question: str, timeout: float = TIMEOUT) -> None:
        """Read until the cursor is behind this question."""

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
        """Return the kernel's process id once a cell has printed it (`TELL_PID`)."""
        found: list[re.Match[str]] = []
        self.until(lambda: found.extend(_TOLD_PID.finditer(self.since_typed())) or found)
        return int(found[-1][1])

    def read(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for output, and read one piece of it."""
        fd = self._child.child_fd
        if not select.select([fd], [], [], timeout)[0]:
            return
        try:
            data = os.read(fd, 65536)
        except OSError:  # EIO: the other end is closed
            data = b""
        self.ended = not data
        self.raw += data
        self._stream.feed(data)

    # ── typing ───────────────────────────────────────────────────────────────────────────────

    def answer(self, question: str, line: str) -> None:
        """Wait for a question, and type `line`."""
        self.prompted(question)
        self.type(line)

    def type(self, line: str) -> None:
        """Type a line and Enter, and wait for the newline to appear."""
        before = len(self.raw)
        wrapped = (self.screen.cursor.x + len(line)) // self.screen.columns
        self._since = self.screen.cursor_line + wrapped + 1
        self._child.send(line.encode() + b"\r")
        self.until(lambda: b"\n" in self.raw[before:])

    def type_ahead(self, keys: str) -> None:
        """Send keys without waiting for a question."""
        self._child.send(keys.encode())

    def press(self, key: str) -> None:
        self._since = self.screen.cursor_line
        self._child.send(_KEYS[key])

    def resize(self, columns: int) -> None:
        """Change the width for screen and command at once.

        The command is stopped meanwhile, so that no output for the old width is pending.
        """
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
        """Close the terminal, as a closed window or a lost connection does."""
        self._child.ptyproc.fileobj.close()
        self.ended = True

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Read to the end; return the exit code, or the negative number of the fatal signal."""
        deadline = time.monotonic() + timeout
        while self._status is None:
            assert time.monotonic() < deadline, f"the command has not ended:\n{self.text()}"
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
        """Kill everything that still runs, however the test ended."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._status = -signal.SIGKILL
        if not self._child.ptyproc.fileobj.closed:
            self._child.ptyproc.fileobj.close()
        self._child.closed = self._child.ptyproc.closed = True


def supervisor_of(run: Path) -> int | None:
    """Return the id of the process that listens on the run's socket, or None."""
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
    """Return every kernel process that the run's journal names."""
    started = ev.KernelStarted | ev.KernelRestarted
    found = []
    with suppress(DamagedJournalError):  # damaged by the test itself
        for record in JournalReader(run / "journal.jsonl"):
            if isinstance(record.event, started) and record.event.process:
                found.append(record.event.process)
    return found


def is_gone(pid: int) -> bool:
    """Return True if a process has ended, reaped or not."""
    try:
        return _state(pid) in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return True


def _state(pid: int) -> str:
    """Return the state of a process as one letter (see proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
    """Wait until `condition` holds, without reading a terminal."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{condition} has not come true"
        select.select([], [], [], 0.02)


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below `folder` with its contents."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()
