"""The programs that run notebooks, each measured and checked for lost output.

A runner takes a notebook and a workspace, and returns the metrics of one turn:

- `seconds`: the duration of the whole command
- `first output`: seconds until the first cell's output
- `cpu ROLE` in seconds and `peak ROLE` in MiB, for each role of the processes
- `peak` in MiB, of all processes but the kernel
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import timed_command
from benchmarks.errors import BenchmarkError
from benchmarks.metrics import Metrics
from benchmarks.notebooks import END_MARKER, FIRST_OUTPUT, Notebook
from benchmarks.timed_command import Measurement
from nbrun.core import events as ev
from nbrun.journal import run_directory
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory

_BIN = Path(sys.executable).parent
_PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Workspace:
    """The folder that contestants run in, with a home of its own instead of the user's."""

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
    def end_marker(self) -> Path:
        """The file that the last cell of a notebook touches."""
        return self.folder / "ran"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join((str(_BIN), os.environ.get("PATH", ""))),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(_PROJECT),  # for benchmarks.peers; nbrun is installed
            "NBRUN_RUNS_DIR": str(self.runs),
            END_MARKER: str(self.end_marker),
        }


Runner = Callable[[Notebook, Workspace], Metrics]


def nbrun(notebook: Notebook, workspace: Workspace, *options: str) -> Metrics:
    """Run `nbrun start` on a terminal, as an operator does."""
    command = [str(_BIN / "nbrun"), "start", *options, str(notebook.path)]
    with _clean(workspace):
        done = _run_on_terminal(command, workspace, awaited=FIRST_OUTPUT)
        _check_record(notebook, workspace)
        return _metrics(done, done.shown_at)


def nbrun_json(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run `nbrun start --json` into a file."""
    command = [str(_BIN / "nbrun"), "start", "--json", str(notebook.path)]
    printed = workspace.folder / "printed.jsonl"
    with _clean(workspace):
        done = timed_command.run_to_file(
            command, environment=workspace.environment(), folder=workspace.folder, file=printed
        )
        _check_record(notebook, workspace)
        if printed.read_bytes() != _only_run(workspace).journal.read_bytes():
            raise BenchmarkError("nbrun start --json: the output differs from the journal")
        return _metrics(done, None)


def papermill(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run papermill with its default options: it shows its progress, but no output."""
    target = workspace.folder / "out.ipynb"
    command = [str(_BIN / "papermill"), str(notebook.path), str(target)]
    with _clean(workspace):
        done = _run_on_terminal(command, workspace)
        _check_notebook(notebook, target)
        return _metrics(done, None)


def papermill_with_output(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run papermill with `--log-output`, which shows what the cells print."""
    target = workspace.folder / "out.ipynb"
    command = [str(_BIN / "papermill"), "--log-output", str(notebook.path), str(target)]
    with _clean(workspace):
        done = _run_on_terminal(command, workspace, awaited=FIRST_OUTPUT)
        if done.shown_at is None:
            raise BenchmarkError(f"{FIRST_OUTPUT} was never on the screen: {done.output[-2000:]}")
        return _metrics(done, done.shown_at)


def jupyter_execute(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run `jupyter execute` with its default options: it neither shows nor saves outputs.

    Its `first output` is the time that the first cell itself writes into the end marker.
    """
    with _clean(workspace):
        done = _run_on_terminal([str(_BIN / "jupyter"), "execute", str(notebook.path)], workspace)
        if not workspace.end_marker.exists():
            raise BenchmarkError(f"jupyter execute {notebook.path}: did not run the last cell")
        return _metrics(done, _first_output_by_marker(done, workspace))


def client_api(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run nbclient's API, in a program of a few lines."""
    return _peer("client_api", notebook, workspace)


def raw_loop(notebook: Notebook, workspace: Workspace) -> Metrics:
    """Run a loop over bare ZeroMQ sockets."""
    return _peer("raw_loop", notebook, workspace)


def _peer(name: str, notebook: Notebook, workspace: Workspace) -> Metrics:
    command = [sys.executable, "-m", f"benchmarks.peers.{name}", str(notebook.path)]
    with _clean(workspace):
        done = _run_on_terminal(command, workspace)
        counts = json.loads(done.output.strip().splitlines()[-1])
        _check_counts(notebook, f"the program {name}", counts["characters"], counts["displays"])
        return _metrics(done, _first_output_by_marker(done, workspace))


@contextmanager
def _clean(workspace: Workspace) -> Iterator[None]:
    """Remove the end marker before a turn, and the files of the turn after it. Neither is timed."""
    workspace.end_marker.unlink(missing_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(workspace.runs, ignore_errors=True)
        workspace.runs.mkdir()
        (workspace.folder / "out.ipynb").unlink(missing_ok=True)


def _run_on_terminal(command: list[str], workspace: Workspace, awaited: str = "") -> Measurement:
    return timed_command.run_on_terminal(
        command, environment=workspace.environment(), folder=workspace.folder, awaited=awaited
    )


def _first_output_by_marker(done: Measurement, workspace: Workspace) -> float | None:
    """Return seconds from the start; None if the notebook wrote no time into the end marker."""
    written = workspace.end_marker.read_text()
    return float(written) - done.started_at if written else None


def _metrics(done: Measurement, first_output: float | None) -> Metrics:
    metrics = {"seconds": done.seconds}
    if first_output is not None:
        metrics["first output"] = first_output
    for role, usage in done.usage.items():
        metrics[f"cpu {role}"] = usage.cpu
        metrics[f"peak {role}"] = usage.peak
    own = [usage.peak for role, usage in done.usage.items() if role != "kernel"]
    return metrics | {"peak": sum(own)}


# ── checks that no output was lost ───────────────────────────────────────────────────────────


def _only_run(workspace: Workspace) -> RunDirectory:
    (found,) = run_directory.all_runs(workspace.runs)
    return found


def _check_record(notebook: Notebook, workspace: Workspace) -> None:
    """Check that every cell ran, and that journal and output notebook have every output.

    Raises:
        BenchmarkError: a cell or an output is missing.
    """
    directory = _only_run(workspace)
    characters = displays = ok = 0
    last = None
    for record in JournalReader(directory.journal):
        last = record.event
        match record.event:
            case ev.Output(output={"output_type": "stream", "text": str(text)}):
                characters += len(text)
            case ev.Output():
                displays += 1
            case ev.AttemptFinished(outcome="ok"):
                ok += 1
    if not isinstance(last, ev.RunFinished) or ok != notebook.cells:
        raise BenchmarkError(f"nbrun start {notebook.path}: ran {ok} of {notebook.cells} cells")
    _check_counts(notebook, "nbrun's journal", characters, displays)
    _check_notebook(notebook, directory.notebook(notebook.path))


def _check_notebook(notebook: Notebook, path: Path) -> None:
    characters = displays = 0
    for cell in json.loads(path.read_bytes())["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                characters += sum(map(len, output["text"]))  # one string or a list of strings
            else:
                displays += 1
    _check_counts(notebook, str(path), characters, displays)


def _check_counts(notebook: Notebook, where: str, characters: int, displays: int) -> None:
    if (characters, displays) != (notebook.characters, notebook.displays):
        raise BenchmarkError(
            f"{notebook.path}: {where} has {characters} characters and {displays} displays, "
            f"expected {notebook.characters} and {notebook.displays}"
        )


RUNNERS: Mapping[str, Runner] = {
    "nbrun": nbrun,
    "papermill": papermill,
    "jupyter execute": jupyter_execute,
    "nbclient API": client_api,
    "raw loop": raw_loop,
}
