"""Works done in turns: a warm-up, then each contestant once a turn, another first each time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figures, Verdict, judge
from benchmarks.runners import Desk
from benchmarks.works import Work


@dataclass(frozen=True)
class Result:
    """What a work's turns gave, by contestant, and what came of its goals."""

    work: Work
    turns: dict[str, list[Figures]]

    @property
    def verdicts(self) -> list[Verdict]:
        return [judge(goal, self.turns) for goal in self.work.goals]


def measure(
    work: Work, folder: Path, turns: int, say: Callable[[str], None], *, warm_up: bool = True
) -> Result:
    """Do `work` in `folder`; `say` is told what is done at the moment.

    Raises:
        BenchmarkError: a contestant failed, or lost something.
    """
    say(f"{work.name}: preparing")
    contestants = work.prepare(Desk(folder))
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for turn in range(0 if warm_up else 1, turns + 1):
        for name in _in_turn(list(contestants), turn):
            say(f"{work.name}: {f'turn {turn} of {turns}' if turn else 'warm-up'}: {name}")
            figures = contestants[name]()
            if turn:
                found[name].append(figures)
    return Result(work, found)


def _in_turn(names: list[str], turn: int) -> Iterator[str]:
    first = turn % len(names)
    yield from names[first:]
    yield from names[:first]
