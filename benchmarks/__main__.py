"""The command line of the benchmarks."""

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
from benchmarks.workloads import SMOKE, Sizes, Workload, workloads

_NAMES = ", ".join(workload.name for workload in workloads(SMOKE))


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORKLOAD", help=f"Workloads to measure; all by default: {_NAMES}."),
    ] = None,
    *,
    turns: Annotated[
        int | None,
        typer.Option(min=1, help="Turns of each workload, instead of its default number."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Write all measurements as JSON.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Work below this folder. Its disk is the one that is measured."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if a goal does not hold.")
    ] = False,
    smoke: Annotated[
        bool,
        typer.Option("--smoke", help="Run one tiny turn of each workload, to see that all work."),
    ] = False,
) -> None:
    """Measure nbrun against papermill, jupyter execute, nbclient's API and a raw ZeroMQ loop."""
    chosen = _chosen(names or [], SMOKE if smoke else Sizes())
    if smoke:
        chosen = [
            replace(workload, goals=(), turns=1) for workload in chosen
        ]  # too small for a goal
    report_progress = _progress_on_stderr()
    results = []
    try:
        for workload in chosen:
            with tempfile.TemporaryDirectory(dir=folder, prefix="nbrun-benchmarks-") as temporary:
                count = turns or workload.turns
                results.append(
                    measure(workload, Path(temporary), count, report_progress, warm_up=not smoke)
                )
    except BenchmarkError as error:
        sys.stderr.write(f"benchmarks: {error}\n")
        raise typer.Exit(2) from None
    _show(results, json_path)
    if check and not all(verdict.holds for result in results for verdict in result.verdicts):
        raise typer.Exit(1)


def _chosen(names: list[str], sizes: Sizes) -> list[Workload]:
    known = {workload.name: workload for workload in workloads(sizes)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"unknown workload {unknown[0]!r}: choose from {_NAMES}")
    return [known[name] for name in names or known]


def _progress_on_stderr() -> Callable[[str], None]:
    console = Console(stderr=True, highlight=False)

    def report_progress(text: str) -> None:
        console.print(text, style="dim")

    return report_progress


def _show(results: list[Result], path: Path | None) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(report.tables(results))
    machine = report.machine()
    console.print(json.dumps(machine), style="dim", soft_wrap=True)
    if path is not None:
        path.write_text(json.dumps(report.as_json(results), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
