"""Test the arithmetic of the benchmarks and their checks for lost output. No test is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import notebooks, report, synthetic_runs
from benchmarks.errors import BenchmarkError
from benchmarks.metrics import Goal, judge, ratios, spread
from benchmarks.process_sampler import ProcessSampler
from benchmarks.runners import Workspace
from benchmarks.turns import Result, measure
from benchmarks.workloads import SMOKE, Sizes, Workload, workloads
from nbrun.audit.verify import Standing, Trust, verify
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook

ROOT = Path(__file__).parent.parent


def test_spread_is_median_with_lowest_and_highest() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.lowest, found.highest) == (2.5, 1.0, 10.0)


def test_spread_of_no_values_raises() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_ratios_divide_turn_by_turn() -> None:
    assert ratios([1.0, 20.0], [2.0, 10.0]) == [0.5, 2.0]
    assert ratios([1.0, None, 6.0], [2.0, 3.0, None]) == [0.5]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def turns(**seconds: list[float]) -> dict[str, list[dict[str, float]]]:
    return {name: [{"seconds": each} for each in found] for name, found in seconds.items()}


@pytest.mark.parametrize(("bound", "holds"), [(0.49, False), (0.5, True), (0.6, True)])
def test_goal_uses_median_of_ratios_not_ratio_of_medians(bound: float, holds: bool) -> None:
    found = turns(nbrun=[1.0, 2.0, 9.0], papermill=[2.0, 4.0, 8.0])
    verdict = judge(Goal("seconds", "nbrun", bound, "papermill"), found)
    assert verdict.found is not None
    assert verdict.found.median == 0.5
    assert (verdict.found.lowest, verdict.found.highest) == (0.5, 1.125)
    assert verdict.holds is holds


@pytest.mark.parametrize(("bound", "holds"), [(2.0, True), (1.9, False)])
def test_goal_without_peer_bounds_the_value(bound: float, holds: bool) -> None:
    verdict = judge(Goal("seconds", "nbrun", bound), turns(nbrun=[1.0, 2.0, 30.0]))
    assert verdict.holds is holds


@pytest.mark.parametrize(("bound", "holds"), [(2.0, True), (2.1, False)])
def test_goal_at_least_is_a_lower_bound(bound: float, holds: bool) -> None:
    goal = Goal("seconds", "nbrun", bound, at_least=True)
    assert judge(goal, turns(nbrun=[1.0, 2.0, 3.0])).holds is holds


def test_measure_begins_each_turn_with_another_contestant(tmp_path: Path) -> None:
    order: list[str] = []

    def contestant(name: str, seconds: float) -> dict[str, float]:
        order.append(name)
        return {"seconds": seconds}

    workload = Workload(
        name="some",
        description="some workload",
        turns=2,
        prepare=lambda _workspace: {
            "nbrun": lambda: contestant("nbrun", 1.0),
            "papermill": lambda: contestant("papermill", 4.0),
        },
        goals=[Goal("seconds", "nbrun", 0.2, "papermill")],
    )
    result = measure(workload, tmp_path, 2, lambda _text: None)
    assert order == ["nbrun", "papermill", "papermill", "nbrun", "nbrun", "papermill"]
    assert [len(found) for found in result.turns.values()] == [2, 2]
    assert [verdict.holds for verdict in result.verdicts] == [False]
    assert report.as_json([result])["works"][0]["goals"][0]["found"]["median"] == 0.25
    assert "0.25 (0.25 to 0.25): DOES NOT HOLD" in printed(result)


def failing() -> dict[str, float]:
    raise BenchmarkError("lost an output")


def test_measure_reports_failed_peer_and_skips_its_turn(tmp_path: Path) -> None:
    chances = iter([{"seconds": 4.0}, {}, {"seconds": 2.0}])  # the first is the warm-up
    workload = Workload(
        name="some",
        description="some workload",
        turns=2,
        prepare=lambda _workspace: {
            "nbrun": lambda: {"seconds": 1.0},
            "papermill": lambda: next(chances) or failing(),
            "raw loop": failing,
        },
        goals=[Goal("seconds", "nbrun", 0.6, goal) for goal in ("papermill", "raw loop")],
    )
    result = measure(workload, tmp_path, 2, lambda _text: None)
    assert [verdict.holds for verdict in result.verdicts] == [True, False]
    assert "papermill failed, turn 1: lost an output" in result.failures
    assert "nothing was measured: DOES NOT HOLD" in printed(result)
    assert report.as_json([result])["works"][0]["goals"][1]["found"] is None


@pytest.mark.parametrize("goals", [[Goal("seconds", "nbrun", 1.0, "papermill")], []])
def test_measure_raises_when_nbrun_fails(tmp_path: Path, goals: list[Goal]) -> None:
    contestants = {"nbrun": failing, "papermill": lambda: {"seconds": 1.0}}
    workload = Workload("some", "some workload", 1, lambda _workspace: contestants, goals)
    with pytest.raises(BenchmarkError, match="lost"):
        measure(workload, tmp_path, 1, lambda _text: None)


def printed(result: Result) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(report.tables([result]))
    return capture.get()


def test_workloads_have_the_contestants_of_their_goals(
    tmp_path: Path,
) -> None:
    for number, workload in enumerate(workloads(SMOKE)):
        contestants = set(workload.prepare(Workspace(tmp_path / str(number))))
        for goal in workload.goals:
            assert {goal.contestant, goal.against or goal.contestant} <= contestants, workload.name
    full = workloads(Sizes())
    assert len({workload.name for workload in full}) == len(full) == 16
    assert sum(len(workload.goals) for workload in full) == 19


def test_sampler_counts_processes_by_role() -> None:
    code = "import sys; print('here', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # by now the child runs Python, no longer a fork of this process
        sampler = ProcessSampler(process.pid)
        sampler.sample()
        assert sampler.alive()
        process.communicate()
    assert not sampler.alive()
    assert sampler.by_role()["console"].peak > 1


def test_synthetic_run_verifies_as_written_by_nbrun(tmp_path: Path) -> None:
    directory = synthetic_runs.long_run(tmp_path, 300)
    found = verify(directory, Trust(), notebook.digest)
    assert (found.standing, found.lines) == (Standing.UNSEALED, 303)
    assert not found.notes
    assert synthetic_runs.output_count(300) == 294


def test_many_synthetic_runs_verify_one_by_one(tmp_path: Path) -> None:
    synthetic_runs.many_runs(tmp_path, 3)
    found = [
        verify(RunDirectory(path), Trust(), notebook.digest).standing for path in tmp_path.iterdir()
    ]
    assert found == [Standing.UNSEALED] * 3


def test_notebook_states_number_of_printed_characters(tmp_path: Path) -> None:
    made = notebooks.one_line_cells(tmp_path, 11)
    assert (made.cells, made.characters) == (11, 23)
    sources = [cell["source"] for cell in json.loads(made.path.read_bytes())["cells"]]
    assert sources[:2] == ["print(0)", "print(1)"]
    assert notebooks.END_MARKER in sources[-1]


@pytest.mark.sweep
def test_runner_raises_when_output_is_lost(tmp_path: Path) -> None:
    from benchmarks import runners

    workspace = Workspace(tmp_path)
    correct = notebooks.carriage_returns(tmp_path, 3)
    wrong = notebooks.Notebook(correct.path, cells=2, characters=correct.characters + 1)
    with pytest.raises(BenchmarkError, match="33 characters and 0 displays, expected 34"):
        runners.raw_loop(wrong, workspace)
    runners.raw_loop(correct, workspace)


@pytest.mark.sweep
def test_every_workload_runs_in_smoke_mode() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for workload in workloads(SMOKE):
        assert workload.description in done.stdout
