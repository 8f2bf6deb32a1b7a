"""The arithmetic of the benchmarks, and what proves their runs; nothing is timed here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import notebooks, records, report
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Goal, judge, ratios, spread
from benchmarks.runners import Desk
from benchmarks.sampling import Sampler
from benchmarks.turns import Result, measure
from benchmarks.works import SMOKE, Sizes, Work, works
from nbrun.audit.verify import Standing, Trust, verify
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook

HOUSE = Path(__file__).parent.parent


def test_a_spread_is_the_median_with_the_lowest_and_the_highest() -> None:
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.lowest, found.highest) == (2.5, 1.0, 10.0)


def test_nothing_measured_has_no_spread() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_a_ratio_is_of_two_measurements_of_one_turn() -> None:
    assert ratios([1.0, 20.0], [2.0, 10.0]) == [0.5, 2.0]
    assert ratios([1.0, None, 6.0], [2.0, 3.0, None]) == [0.5]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def turns(**seconds: list[float]) -> dict[str, list[dict[str, float]]]:
    return {name: [{"seconds": each} for each in found] for name, found in seconds.items()}


@pytest.mark.parametrize(("bound", "holds"), [(0.49, False), (0.5, True), (0.6, True)])
def test_a_goal_holds_by_the_median_of_the_ratios_and_not_by_the_ratio_of_medians(
    bound: float, holds: bool
) -> None:
    found = turns(nbrun=[1.0, 2.0, 9.0], papermill=[2.0, 4.0, 8.0])
    verdict = judge(Goal("seconds", "nbrun", bound, "papermill"), found)
    assert verdict.found is not None
    assert verdict.found.median == 0.5
    assert (verdict.found.lowest, verdict.found.highest) == (0.5, 1.125)
    assert verdict.holds is holds


@pytest.mark.parametrize(("bound", "holds"), [(2.0, True), (1.9, False)])
def test_a_goal_without_another_contestant_is_a_limit(bound: float, holds: bool) -> None:
    verdict = judge(Goal("seconds", "nbrun", bound), turns(nbrun=[1.0, 2.0, 30.0]))
    assert verdict.holds is holds


@pytest.mark.parametrize(("bound", "holds"), [(2.0, True), (2.1, False)])
def test_a_rate_has_a_lower_limit(bound: float, holds: bool) -> None:
    goal = Goal("seconds", "nbrun", bound, at_least=True)
    assert judge(goal, turns(nbrun=[1.0, 2.0, 3.0])).holds is holds


def test_every_turn_has_every_contestant_and_another_first(tmp_path: Path) -> None:
    order: list[str] = []

    def contestant(name: str, seconds: float) -> dict[str, float]:
        order.append(name)
        return {"seconds": seconds}

    work = Work(
        name="some",
        what="some work",
        turns=2,
        prepare=lambda _desk: {
            "nbrun": lambda: contestant("nbrun", 1.0),
            "papermill": lambda: contestant("papermill", 4.0),
        },
        goals=[Goal("seconds", "nbrun", 0.2, "papermill")],
    )
    result = measure(work, tmp_path, 2, lambda _what: None)
    assert order == ["nbrun", "papermill", "papermill", "nbrun", "nbrun", "papermill"]
    assert [len(found) for found in result.turns.values()] == [2, 2]
    assert [verdict.holds for verdict in result.verdicts] == [False]
    assert report.as_json([result])["works"][0]["goals"][0]["found"]["median"] == 0.25
    assert "0.25 (0.25 to 0.25): DOES NOT HOLD" in printed(result)


def failing() -> dict[str, float]:
    raise BenchmarkError("lost an output")


def test_a_peer_that_fails_is_told_of_and_left_out_of_the_turn(tmp_path: Path) -> None:
    chances = iter([{"seconds": 4.0}, {}, {"seconds": 2.0}])  # the warm-up is one
    work = Work(
        name="some",
        what="some work",
        turns=2,
        prepare=lambda _desk: {
            "nbrun": lambda: {"seconds": 1.0},
            "papermill": lambda: next(chances) or failing(),
            "raw loop": failing,
        },
        goals=[Goal("seconds", "nbrun", 0.6, goal) for goal in ("papermill", "raw loop")],
    )
    result = measure(work, tmp_path, 2, lambda _what: None)
    assert [verdict.holds for verdict in result.verdicts] == [True, False]
    assert "papermill failed, turn 1: lost an output" in result.failures
    assert "nothing was measured: DOES NOT HOLD" in printed(result)
    assert report.as_json([result])["works"][0]["goals"][1]["found"] is None


@pytest.mark.parametrize("goals", [[Goal("seconds", "nbrun", 1.0, "papermill")], []])
def test_nbrun_itself_may_not_fail(tmp_path: Path, goals: list[Goal]) -> None:
    contestants = {"nbrun": failing, "papermill": lambda: {"seconds": 1.0}}
    work = Work("some", "some work", 1, lambda _desk: contestants, goals)
    with pytest.raises(BenchmarkError, match="lost"):
        measure(work, tmp_path, 1, lambda _what: None)


def printed(result: Result) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(report.tables([result]))
    return capture.get()


def test_every_row_of_the_goals_is_a_work_with_contestants_that_its_goals_name(
    tmp_path: Path,
) -> None:
    for number, work in enumerate(works(SMOKE)):
        contestants = set(work.prepare(Desk(tmp_path / str(number))))
        for goal in work.goals:
            assert {goal.contestant, goal.against or goal.contestant} <= contestants, work.name
    assert len({work.name for work in works(Sizes())}) == len(works(Sizes())) == 16
    assert sum(len(work.goals) for work in works(Sizes())) == 19


def test_what_a_command_starts_is_counted_under_its_role() -> None:
    code = "import sys; print('here', flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is a Python by now, and not what it was forked from
        sampler = Sampler(process.pid)
        sampler.look()
        assert sampler.alive()
        process.communicate()
    assert not sampler.alive()
    assert sampler.by_role()["console"].peak > 1


def test_a_record_that_is_made_for_measuring_is_as_nbrun_writes_them(tmp_path: Path) -> None:
    directory = records.long_run(tmp_path, 300)
    found = verify(directory, Trust(), notebook.digest)
    assert (found.standing, found.lines) == (Standing.UNSEALED, 303)
    assert not found.notes
    assert records.outputs(300) == 294


def test_many_records_are_runs_of_their_own(tmp_path: Path) -> None:
    records.many_runs(tmp_path, 3)
    found = [
        verify(RunDirectory(path), Trust(), notebook.digest).standing for path in tmp_path.iterdir()
    ]
    assert found == [Standing.UNSEALED] * 3


def test_a_notebook_says_how_much_its_cells_print(tmp_path: Path) -> None:
    book = notebooks.lines_by_cells(tmp_path, 11)
    assert (book.cells, book.text) == (11, 23)
    sources = [cell["source"] for cell in json.loads(book.path.read_bytes())["cells"]]
    assert sources[:2] == ["print(0)", "print(1)"]
    assert notebooks.RAN in sources[-1]


def test_a_run_that_lost_an_output_is_no_measurement(tmp_path: Path) -> None:
    from benchmarks import runners

    desk = Desk(tmp_path)
    whole = notebooks.returns(tmp_path, 3)
    short = notebooks.Book(whole.path, cells=2, text=whole.text + 1)
    with pytest.raises(BenchmarkError, match="33 characters and 0 displays, not 34"):
        runners.raw_loop(short, desk)
    runners.raw_loop(whole, desk)


@pytest.mark.sweep
def test_each_work_runs_once_and_small() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke"],
        check=False,
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for work in works(SMOKE):
        assert work.what in done.stdout
