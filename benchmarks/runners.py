"""The ways to run a notebook that are compared, each with proof that it ran whole.

Each is a function of a Book and a Desk that gives the figures of one turn: `seconds`, of the whole
command; `first output`, the seconds until that of the first cell was there; and of each role of the
processes `cpu ROLE` in seconds and `peak ROLE` in MiB.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measuring
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figures
from benchmarks.measuring import Measured
from benchmarks.notebooks import FIRST, RAN, Book
from nbrun.core import events as ev
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory

_BIN = Path(sys.executable).parent
_HOUSE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Desk:
    """The folder that everything is run in, with a home of its own; none of it is the user's."""

    folder: Path

    def __post_init__(self) -> None:
        for folder in (self.home, self.runs):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def ran(self) -> Path:
        """What a notebook touches (see `notebooks`)."""
        return self.folder / "ran"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join((str(_BIN), os.environ.get("PATH", ""))),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(_HOUSE),  # of the peers' programs; nbrun is installed
            "NBRUN_RUNS_DIR": str(self.runs),
            RAN: str(self.ran),
        }


Runner = Callable[[Book, Desk], Figures]


def nbrun(book: Book, desk: Desk, *options: str) -> Figures:
    """On a terminal, with an operator who could decide."""
    command = [str(_BIN / "nbrun"), "start", *options, str(book.path)]
    with _cleared(desk):
        found = _on_terminal(command, desk, awaited=FIRST)
        _check_record(book, desk)
        return _figures(found, found.shown_at)


def nbrun_json(book: Book, desk: Desk) -> Figures:
    """With `--json`, into a file."""
    command = [str(_BIN / "nbrun"), "start", "--json", str(book.path)]
    printed = desk.folder / "printed.jsonl"
    with _cleared(desk):
        found = measuring.to_file(
            command, environment=desk.environment(), folder=desk.folder, file=printed
        )
        _check_record(book, desk)
        if printed.read_bytes() != _only_run(desk).journal.read_bytes():
            raise BenchmarkError("nbrun start --json: printed something else than the journal")
        return _figures(found, None)


def papermill(book: Book, desk: Desk) -> Figures:
    """As it is by default: it shows how far it is, and no output."""
    target = desk.folder / "out.ipynb"
    with _cleared(desk):
        found = _on_terminal([str(_BIN / "papermill"), str(book.path), str(target)], desk)
        _check_notebook(book, target)
        return _figures(found, None)


def papermill_with_output(book: Book, desk: Desk) -> Figures:
    """With the option by which what cells print is on the screen."""
    target = desk.folder / "out.ipynb"
    command = [str(_BIN / "papermill"), "--log-output", str(book.path), str(target)]
    with _cleared(desk):
        return _with_first(_on_terminal(command, desk, awaited=FIRST))


def jupyter_execute(book: Book, desk: Desk) -> Figures:
    """As it is by default: it keeps nothing. It shows nothing either: its first output counts as
    there when the cell was at it, which the cell writes down."""
    with _cleared(desk):
        found = _on_terminal([str(_BIN / "jupyter"), "execute", str(book.path)], desk)
        if not desk.ran.exists():
            raise BenchmarkError(f"jupyter execute {book.path}: did not come to the end")
        ran = desk.ran.read_text()
        return _figures(found, float(ran) - found.began if ran else None)


def client_api(book: Book, desk: Desk) -> Figures:
    """nbclient's API, in a program of a few lines."""
    return _peer("client_api", book, desk)


def raw_loop(book: Book, desk: Desk) -> Figures:
    """ZeroMQ and nothing else."""
    return _peer("raw_loop", book, desk)


def _peer(name: str, book: Book, desk: Desk) -> Figures:
    command = [sys.executable, "-m", f"benchmarks.peers.{name}", str(book.path)]
    with _cleared(desk):
        found = _on_terminal(command, desk)
        told = json.loads(found.said.strip().splitlines()[-1])
        _check(book, f"the program {name}", told["text"], told["bundles"])
        ran = desk.ran.read_text()
        return _figures(found, float(ran) - found.began if ran else None)


class _cleared:  # noqa: N801  reads as the statement that it is used in
    """What a turn leaves is taken away after it, and not measured."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __enter__(self) -> None:
        self._desk.ran.unlink(missing_ok=True)

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self._desk.runs, ignore_errors=True)
        self._desk.runs.mkdir()
        (self._desk.folder / "out.ipynb").unlink(missing_ok=True)


def _on_terminal(command: list[str], desk: Desk, awaited: str = "") -> Measured:
    return measuring.on_terminal(
        command, environment=desk.environment(), folder=desk.folder, awaited=awaited
    )


def _figures(found: Measured, first: float | None) -> Figures:
    figures = {"seconds": found.seconds}
    if first is not None:
        figures["first output"] = first
    for role, usage in found.usage.items():
        figures[f"cpu {role}"] = usage.cpu
        figures[f"peak {role}"] = usage.peak
    own = [usage.peak for role, usage in found.usage.items() if role != "kernel"]
    return figures | {"peak": sum(own)}


def _with_first(found: Measured) -> Figures:
    if found.shown_at is None:
        raise BenchmarkError(f"{FIRST} was never on the screen: {found.said[-2000:]}")
    return _figures(found, found.shown_at)


# ── what proves that it ran ──────────────────────────────────────────────────────────────────


def _only_run(desk: Desk) -> RunDirectory:
    (path,) = desk.runs.iterdir()
    return RunDirectory(path)


def _check_record(book: Book, desk: Desk) -> None:
    """The record is whole, says that all was run, and has every output; so has the notebook."""
    directory = _only_run(desk)
    text = bundles = ok = 0
    last = None
    for record in Reading(directory.journal):
        last = record.event
        match record.event:
            case ev.Output(output={"output_type": "stream", "text": str(said)}):
                text += len(said)
            case ev.Output():
                bundles += 1
            case ev.AttemptFinished(outcome="ok"):
                ok += 1
    if not isinstance(last, ev.RunFinished) or ok != book.cells:
        raise BenchmarkError(f"nbrun start {book.path}: {ok} of {book.cells} cells were run")
    _check(book, "nbrun's journal", text, bundles)
    _check_notebook(book, directory.notebook(book.path))


def _check_notebook(book: Book, path: Path) -> None:
    text = bundles = 0
    for cell in json.loads(path.read_bytes())["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                text += sum(map(len, output["text"]))  # one text, or a list of them
            else:
                bundles += 1
    _check(book, str(path), text, bundles)


def _check(book: Book, where: str, text: int, bundles: int) -> None:
    if (text, bundles) != (book.text, book.bundles):
        raise BenchmarkError(
            f"{book.path}: {where} has {text} characters and {bundles} displays, not {book.text} "
            f"and {book.bundles}"
        )


RUNNERS: Mapping[str, Runner] = {
    "nbrun": nbrun,
    "papermill": papermill,
    "jupyter execute": jupyter_execute,
    "nbclient API": client_api,
    "raw loop": raw_loop,
}
