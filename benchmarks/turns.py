"""Works done in turns: a warm-up, then each contestant once a turn, another first each time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figures, Verdict, judge
from benchmarks.runners import Desk
from benchmarks.works import Work


@dataclass(frozen=True)
class Result:
    """What a work's turns gave, by contestant, and what came of its goals. `failures`: which
    peer's turns failed, and why."""

    work: Work
    turns: dict[str, list[Figures]]
    failures: list[str] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        return [judge(goal, self.turns) for goal in self.work.goals]


def measure(
    work: Work, folder: Path, turns: int, say: Callable[[str], None], *, warm_up: bool = True
) -> Result:
    """Do `work` in `folder`; `say` is told what is done at the moment.

    A peer that fails is told of and left out of that turn: it may lose outputs, or give up, and
    that says something of it.

    Raises:
        BenchmarkError: whom a goal is set failed, or lost something; in a work without goals, any.
    """
    say(f"{work.name}: preparing")
    contestants = work.prepare(Desk(folder))
    result = Result(work, {name: [] for name in contestants})
    must = {goal.contestant for goal in work.goals} or set(contestants)
    for turn in range(0 if warm_up else 1, turns + 1):
        for name in _in_turn(list(contestants), turn):
            say(f"{work.name}: {f'turn {turn} of {turns}' if turn else 'warm-up'}: {name}")
            figures: Figures = {}
            try:
                figures = contestants[name]()
            except BenchmarkError as error:
                if name in must:
                    raise
                result.failures.append(
                    f"{name} failed, turn {turn}: {' '.join(str(error).split())}"
                )
            if turn:
                result.turns[name].append(figures)
    return result


def _in_turn(names: list[str], turn: int) -> Iterator[str]:
    first = turn % len(names)
    yield from names[first:]
    yield from names[:first]
