"""The command line of the benchmarks: options in, a table out."""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report
from benchmarks.errors import BenchmarkError
from benchmarks.turns import Result, measure
from benchmarks.works import SMOKE, Sizes, Work, works

_NAMES = ", ".join(work.name for work in works(SMOKE))


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[WORK]...", help=f"Some of {_NAMES}; or all.")
    ] = None,
    *,
    turns: Annotated[
        int | None, typer.Option(min=1, help="Turns of each work, in place of its own number.")
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write all that was measured.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Work below this folder; its disk is what is synced to.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 when a goal does not hold.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="One tiny turn of each work: that all of it runs.")
    ] = False,
) -> None:
    """Measure nbrun beside papermill, jupyter execute, nbclient's API and a raw ZeroMQ loop."""
    chosen = _chosen(names or [], SMOKE if smoke else Sizes())
    if smoke:
        chosen = [replace(work, goals=(), turns=1) for work in chosen]  # too small for a goal
    say = _to_stderr()
    results = []
    try:
        for work in chosen:
            with tempfile.TemporaryDirectory(dir=folder, prefix="nbrun-benchmarks-") as place:
                done = measure(work, Path(place), turns or work.turns, say, warm_up=not smoke)
                results.append(done)
    except BenchmarkError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        raise typer.Exit(2) from None
    _show(results, json_path)
    if check and not all(verdict.holds for result in results for verdict in result.verdicts):
        raise typer.Exit(1)


def _chosen(names: list[str], sizes: Sizes) -> list[Work]:
    known = {work.name: work for work in works(sizes)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"there is no work {unknown[0]}: one of {_NAMES}")
    return [known[name] for name in names or known]


def _to_stderr() -> Callable[[str], None]:
    console = Console(stderr=True, highlight=False)

    def say(what: str) -> None:
        console.print(what, style="dim")

    return say


def _show(results: list[Result], path: Path | None) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(report.tables(results))
    machine = report.machine()
    console.print(json.dumps(machine), style="dim", soft_wrap=True)
    if path is not None:
        path.write_text(json.dumps(report.as_json(results), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
