"""What is measured: each work, who does it in turns, and the goals of it, as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import commands, notebooks, records, runners
from benchmarks.figures import Figures, Goal
from benchmarks.notebooks import Book
from benchmarks.runners import Desk, Runner

Contestants = Mapping[str, Callable[[], Figures]]


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    few: int = 100
    many: int = 1_000
    most: int = 10_000
    lines: int = 100_000
    displays: int = 10_000
    returns: int = 10_000
    at_once: int = 100_000_000
    log: int = 100_000
    verify: int = 1_000_000
    runs: int = 10_000


SMOKE = Sizes(2, 3, 4, lines=20, displays=5, returns=5, at_once=1_000, log=200, verify=200, runs=3)


@dataclass(frozen=True)
class Work:
    """One row of the goals. `prepare` makes what the turns need, on a desk; `turns`: how many
    there are by default, after a warm-up of one."""

    name: str
    what: str
    turns: int
    prepare: Callable[[Desk], Contestants]
    goals: Sequence[Goal]


def works(sizes: Sizes) -> list[Work]:
    """All of them, the quick ones first."""
    return [
        _version(),
        _completion(),
        _help(),
        _first_output(),
        _one_cell(),
        _cells_few(sizes.few),
        _cells_many(sizes.many),
        _cells_most(sizes),
        _flood("lines", f"{sizes.lines:,} printed lines", notebooks.printed_lines, sizes.lines),
        _flood("displays", f"{sizes.displays:,} displays", notebooks.displays, sizes.displays),
        _flood("returns", f"{sizes.returns:,} updates by \\r", notebooks.returns, sizes.returns),
        _at_once(sizes.at_once),
        _live(sizes.many),
        _log(sizes.log),
        _verify(sizes.verify),
        _runs(sizes.runs),
    ]


def _on(book: Callable[[Path], Book], *names: str) -> Callable[[Desk], Contestants]:
    """The runners of those names, on one notebook."""

    def prepare(desk: Desk) -> Contestants:
        made = book(desk.folder)
        return {name: partial(runners.RUNNERS[name], made, desk) for name in names}

    return prepare


def _seconds(bound: float, against: str, contestant: str = "nbrun") -> Goal:
    return Goal("seconds", contestant, bound, against)


# ── commands that run nothing ────────────────────────────────────────────────────────────────


def _version() -> Work:
    def prepare(desk: Desk) -> Contestants:
        return {
            "nbrun": lambda: commands.answer(desk, "nbrun", "--version", awaited="nbrun "),
            "papermill": lambda: commands.answer(desk, "papermill", "--version", awaited="."),
        }

    return Work("version", "`nbrun --version`", 15, prepare, [_seconds(0.30, "papermill")])


def _completion() -> Work:
    words = {
        "_NBRUN_COMPLETE": "complete_bash",
        "COMP_WORDS": "nbrun st",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "nbrun st",
    }

    def prepare(desk: Desk) -> Contestants:
        return {
            "nbrun": lambda: commands.answer(desk, "nbrun", awaited="start", environment=words),
            "papermill": lambda: commands.answer(desk, "papermill", "--version", awaited="."),
        }

    what = "completion of `nbrun st`, against `papermill --version`"
    return Work("completion", what, 15, prepare, [_seconds(0.30, "papermill")])


def _help() -> Work:
    def prepare(desk: Desk) -> Contestants:
        return {
            "nbrun": lambda: commands.answer(desk, "nbrun", "--help", awaited="verify"),
            "papermill": lambda: commands.answer(desk, "papermill", "--help", awaited="--cwd"),
            "jupyter execute": lambda: commands.answer(
                desk, "jupyter", "execute", "--help", awaited="--timeout"
            ),
        }

    return Work("help", "`nbrun --help`", 15, prepare, [_seconds(0.50, "papermill")])


# ── notebooks ────────────────────────────────────────────────────────────────────────────────


def _first_output() -> Work:
    def prepare(desk: Desk) -> Contestants:
        book = notebooks.first_output(desk.folder)
        found: dict[str, Runner] = {
            **runners.RUNNERS,
            "papermill": runners.papermill_with_output,
        }
        return {name: partial(run, book, desk) for name, run in found.items()}

    goals = [
        Goal("first output", "nbrun", 0.60, "papermill"),
        Goal("first output", "nbrun", 0.67, "jupyter execute"),
    ]
    return Work("first-output", "start to the first cell's output", 10, prepare, goals)


def _one_cell() -> Work:
    prepare = _on(partial(notebooks.lines_by_cells, cells=1), *runners.RUNNERS)
    return Work("one-cell", "a run of one cell", 10, prepare, [_seconds(0.55, "papermill")])


def _cells_few(cells: int) -> Work:
    prepare = _on(partial(notebooks.lines_by_cells, cells=cells), *runners.RUNNERS)
    return Work("cells-100", f"{cells:,} cells", 5, prepare, [_seconds(0.30, "papermill")])


def _cells_many(cells: int) -> Work:
    """Without papermill, whose time grows with the square of the cells."""
    names = ("nbrun", "jupyter execute", "nbclient API", "raw loop")
    prepare = _on(partial(notebooks.lines_by_cells, cells=cells), *names)
    goals = [_seconds(0.90, "jupyter execute"), _seconds(1.15, "raw loop")]
    return Work("cells-1000", f"{cells:,} cells, synced twice each", 5, prepare, goals)


def _cells_most(sizes: Sizes) -> Work:
    """nbrun alone: how its time for a cell and its memory grow."""
    names = {f"nbrun {cells:,}": cells for cells in (sizes.few, sizes.many, sizes.most)}
    few, many, most = names

    def run(book: Book, desk: Desk) -> Figures:
        figures = runners.nbrun(book, desk)
        return {**figures, "seconds a cell": figures["seconds"] / book.cells}

    def prepare(desk: Desk) -> Contestants:
        books = {
            name: notebooks.lines_by_cells(desk.folder, cells) for name, cells in names.items()
        }
        return {name: partial(run, book, desk) for name, book in books.items()}

    goals = [Goal("seconds a cell", most, 1.1, many), Goal("peak", most, 1.3, few)]
    return Work("cells-10000", f"{sizes.most:,} cells", 2, prepare, goals)


def _flood(name: str, what: str, book: Callable[[Path, int], Book], count: int) -> Work:
    prepare = _on(lambda folder: book(folder, count), *runners.RUNNERS)
    return Work(name, f"{what}, none lost", 5, prepare, [_seconds(0.65, "papermill")])


def _at_once(size: int) -> Work:
    def run(book: Book, desk: Desk) -> Figures:
        figures = runners.nbrun(book, desk, "--max-output", "0")
        return {**figures, "peak by output": figures["peak"] * 2**20 / book.text}

    def prepare(desk: Desk) -> Contestants:
        book = notebooks.at_once(desk.folder, size)
        return {"nbrun": partial(run, book, desk)}

    what = f"{size / 1e6:g} MB printed at once, no cap"
    return Work("at-once", what, 2, prepare, [Goal("peak by output", "nbrun", 3.0)])


def _live(cells: int) -> Work:
    def prepare(desk: Desk) -> Contestants:
        book = notebooks.lines_by_cells(desk.folder, cells)
        return {
            "terminal": partial(runners.nbrun, book, desk),
            "--json": partial(runners.nbrun_json, book, desk),
        }

    what = f"{cells:,} cells on a live terminal, and with --json to a file"
    return Work("live", what, 3, prepare, [_seconds(1.1, "--json", "terminal")])


# ── what reads records ───────────────────────────────────────────────────────────────────────


def _log(events: int) -> Work:
    def prepare(desk: Desk) -> Contestants:
        records.long_run(desk.folder / "log", events)
        command = ["log", "--runs-dir", str(desk.folder / "log")]

        def is_whole(printed: Path) -> bool:
            lines = printed.read_text("utf-8").count("all is as it should be")
            return (
                lines == records.outputs(events) and "every step was passed" in printed.read_text()
            )

        return {"nbrun": lambda: commands.read(desk, command, events=events, is_whole=is_whole)}

    goal = Goal("events/s", "nbrun", 100_000, at_least=True)
    return Work("log", f"`nbrun log` of {events:,} events to a file", 5, prepare, [goal])


def _verify(events: int) -> Work:
    def prepare(desk: Desk) -> Contestants:
        records.long_run(desk.folder / "verify", events)
        command = ["verify", "last", "--runs-dir", str(desk.folder / "verify")]

        def is_whole(printed: Path) -> bool:
            return "whole and ended" in printed.read_text()

        return {"nbrun": lambda: commands.read(desk, command, events=events, is_whole=is_whole)}

    goal = Goal("events/s", "nbrun", 300_000, at_least=True)
    return Work("verify", f"`nbrun verify` of {events:,} events", 3, prepare, [goal])


def _runs(count: int) -> Work:
    def prepare(desk: Desk) -> Contestants:
        records.many_runs(desk.folder / "many", count)
        command = ["runs", "--runs-dir", str(desk.folder / "many")]

        def is_whole(printed: Path) -> bool:
            return printed.read_text("utf-8").count("completed") == count

        return {"nbrun": lambda: commands.read(desk, command, events=count, is_whole=is_whole)}

    goal = Goal("seconds", "nbrun", 1.0)
    return Work("runs", f"`nbrun runs` over {count:,} runs", 5, prepare, [goal])
