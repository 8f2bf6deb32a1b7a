"""The workloads to measure: the contestants of each, and its goals, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import commands, notebooks, runners, synthetic_runs
from benchmarks.metrics import Goal, Metrics
from benchmarks.notebooks import Notebook
from benchmarks.runners import Runner, Workspace

Contestants = Mapping[str, Callable[[], Metrics]]


@dataclass(frozen=True)
class Sizes:
    """The size of each workload: cells, outputs, characters, events or runs."""

    few_cells: int = 100
    many_cells: int = 1_000
    most_cells: int = 10_000
    lines: int = 100_000
    displays: int = 10_000
    returns: int = 10_000
    at_once: int = 100_000_000
    log: int = 100_000
    verify: int = 1_000_000
    runs: int = 10_000


SMOKE = Sizes(2, 3, 4, lines=20, displays=5, returns=5, at_once=1_000, log=200, verify=200, runs=3)


@dataclass(frozen=True)
class Workload:
    """One workload with its goals.

    `turns` is the default number of turns after one warm-up. `prepare` creates what the turns need
    in a workspace.
    """

    name: str
    description: str
    turns: int
    prepare: Callable[[Workspace], Contestants]
    goals: Sequence[Goal]


def workloads(sizes: Sizes) -> list[Workload]:
    """Return all workloads, the quick ones first."""
    return [
        _version(),
        _completion(),
        _help(),
        _first_output(),
        _one_cell(),
        _few_cells(sizes.few_cells),
        _many_cells(sizes.many_cells),
        _most_cells(sizes),
        _flood("lines", f"{sizes.lines:,} printed lines", notebooks.printed_lines, sizes.lines),
        _flood("displays", f"{sizes.displays:,} displays", notebooks.displays, sizes.displays),
        _flood(
            "returns",
            f"{sizes.returns:,} updates by \\r",
            notebooks.carriage_returns,
            sizes.returns,
        ),
        _at_once(sizes.at_once),
        _live(sizes.many_cells),
        _log(sizes.log),
        _verify(sizes.verify),
        _runs(sizes.runs),
    ]


def _on_notebook(
    create: Callable[[Path], Notebook], *names: str
) -> Callable[[Workspace], Contestants]:
    """Let the runners called `names` run the notebook that `create` makes."""

    def prepare(workspace: Workspace) -> Contestants:
        notebook = create(workspace.folder)
        return {name: partial(runners.RUNNERS[name], notebook, workspace) for name in names}

    return prepare


def _seconds(bound: float, against: str, contestant: str = "nbrun") -> Goal:
    return Goal("seconds", contestant, bound, against)


# ── commands that run no notebook ────────────────────────────────────────────────────────────


def _version() -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        run = partial(commands.run_short, workspace)
        return {
            "nbrun": lambda: run("nbrun", "--version", expected="nbrun "),
            "papermill": lambda: run("papermill", "--version", expected="."),
        }

    return Workload("version", "`nbrun --version`", 15, prepare, [_seconds(0.30, "papermill")])


def _completion() -> Workload:
    words = {
        "_NBRUN_COMPLETE": "complete_bash",
        "COMP_WORDS": "nbrun st",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "nbrun st",
    }

    def prepare(workspace: Workspace) -> Contestants:
        run = partial(commands.run_short, workspace)
        return {
            "nbrun": lambda: run("nbrun", expected="start", environment=words),
            "papermill": lambda: run("papermill", "--version", expected="."),
        }

    description = "completion of `nbrun st`, against `papermill --version`"
    return Workload("completion", description, 15, prepare, [_seconds(0.30, "papermill")])


def _help() -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        run = partial(commands.run_short, workspace)
        return {
            "nbrun": lambda: run("nbrun", "--help", expected="verify"),
            "papermill": lambda: run("papermill", "--help", expected="--cwd"),
            "jupyter execute": lambda: run("jupyter", "execute", "--help", expected="--timeout"),
        }

    return Workload("help", "`nbrun --help`", 15, prepare, [_seconds(0.50, "papermill")])


# ── notebooks ────────────────────────────────────────────────────────────────────────────────


def _first_output() -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        notebook = notebooks.first_output(workspace.folder)
        chosen: dict[str, Runner] = {
            **runners.RUNNERS,
            "papermill": runners.papermill_with_output,
        }
        return {name: partial(run, notebook, workspace) for name, run in chosen.items()}

    goals = [
        Goal("first output", "nbrun", 0.60, "papermill"),
        Goal("first output", "nbrun", 0.67, "jupyter execute"),
    ]
    return Workload("first-output", "start to the first cell's output", 10, prepare, goals)


def _one_cell() -> Workload:
    prepare = _on_notebook(partial(notebooks.one_line_cells, cells=1), *runners.RUNNERS)
    return Workload("one-cell", "a run of one cell", 10, prepare, [_seconds(0.55, "papermill")])


def _few_cells(cells: int) -> Workload:
    prepare = _on_notebook(partial(notebooks.one_line_cells, cells=cells), *runners.RUNNERS)
    return Workload("cells-100", f"{cells:,} cells", 5, prepare, [_seconds(0.30, "papermill")])


def _many_cells(cells: int) -> Workload:
    """Leave papermill out: its time grows with the square of the number of cells."""
    names = ("nbrun", "jupyter execute", "nbclient API", "raw loop")
    prepare = _on_notebook(partial(notebooks.one_line_cells, cells=cells), *names)
    goals = [_seconds(0.90, "jupyter execute"), _seconds(1.15, "raw loop")]
    return Workload("cells-1000", f"{cells:,} cells, synced twice each", 5, prepare, goals)


def _most_cells(sizes: Sizes) -> Workload:
    """Compare nbrun with itself: how its time per cell and its memory grow."""
    names = {
        f"nbrun {cells:,}": cells for cells in (sizes.few_cells, sizes.many_cells, sizes.most_cells)
    }
    few, many, most = names

    def run(notebook: Notebook, workspace: Workspace) -> Metrics:
        metrics = runners.nbrun(notebook, workspace)
        return {**metrics, "seconds a cell": metrics["seconds"] / notebook.cells}

    def prepare(workspace: Workspace) -> Contestants:
        created = {
            name: notebooks.one_line_cells(workspace.folder, cells) for name, cells in names.items()
        }
        return {name: partial(run, notebook, workspace) for name, notebook in created.items()}

    goals = [Goal("seconds a cell", most, 1.1, many), Goal("peak", most, 1.3, few)]
    return Workload("cells-10000", f"{sizes.most_cells:,} cells", 2, prepare, goals)


def _flood(
    name: str, description: str, create: Callable[[Path, int], Notebook], count: int
) -> Workload:
    prepare = _on_notebook(lambda folder: create(folder, count), *runners.RUNNERS)
    goals = [_seconds(0.65, "papermill")]
    return Workload(name, f"{description}, none lost", 5, prepare, goals)


def _at_once(size: int) -> Workload:
    def run(notebook: Notebook, workspace: Workspace) -> Metrics:
        metrics = runners.nbrun(notebook, workspace, "--max-output", "0")
        return {**metrics, "peak by output": metrics["peak"] * 2**20 / notebook.characters}

    def prepare(workspace: Workspace) -> Contestants:
        notebook = notebooks.single_print(workspace.folder, size)
        return {"nbrun": partial(run, notebook, workspace)}

    description = f"{size / 1e6:g} MB printed at once, no cap"
    return Workload("at-once", description, 2, prepare, [Goal("peak by output", "nbrun", 3.0)])


def _live(cells: int) -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        notebook = notebooks.one_line_cells(workspace.folder, cells)
        return {
            "terminal": partial(runners.nbrun, notebook, workspace),
            "--json": partial(runners.nbrun_json, notebook, workspace),
        }

    description = f"{cells:,} cells on a live terminal, and with --json to a file"
    return Workload("live", description, 3, prepare, [_seconds(1.1, "--json", "terminal")])


# ── readers of records ───────────────────────────────────────────────────────────────────────


def _log(events: int) -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        synthetic_runs.long_run(workspace.folder / "log", events)
        command = ["log", "--runs-dir", str(workspace.folder / "log")]
        return {"nbrun": partial(_read, workspace, command, events, is_complete)}

    def is_complete(printed: Path) -> bool:
        text = printed.read_text("utf-8")
        lines = text.count("all is as it should be")
        return lines == synthetic_runs.output_count(events) and "every step was passed" in text

    goal = Goal("events/s", "nbrun", 100_000, at_least=True)
    return Workload("log", f"`nbrun log` of {events:,} events to a file", 5, prepare, [goal])


def _verify(events: int) -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        synthetic_runs.long_run(workspace.folder / "verify", events)
        command = ["verify", "last", "--runs-dir", str(workspace.folder / "verify")]
        return {"nbrun": partial(_read, workspace, command, events, is_complete)}

    def is_complete(printed: Path) -> bool:
        return "UNSEALED" in printed.read_text()  # whole and ended, without a seal

    goal = Goal("events/s", "nbrun", 150_000, at_least=True)
    return Workload("verify", f"`nbrun verify` of {events:,} events", 3, prepare, [goal])


def _runs(count: int) -> Workload:
    def prepare(workspace: Workspace) -> Contestants:
        synthetic_runs.many_runs(workspace.folder / "many", count)
        command = ["runs", "--runs-dir", str(workspace.folder / "many")]
        return {"nbrun": partial(_read, workspace, command, count, is_complete)}

    def is_complete(printed: Path) -> bool:
        return printed.read_text("utf-8").count("completed") == count

    goal = Goal("seconds", "nbrun", 1.0)
    return Workload("runs", f"`nbrun runs` over {count:,} runs", 5, prepare, [goal])


def _read(
    workspace: Workspace,
    command: Sequence[str],
    events: int,
    is_complete: Callable[[Path], bool],
) -> Metrics:
    return commands.run_reader(workspace, command, events=events, is_complete=is_complete)
