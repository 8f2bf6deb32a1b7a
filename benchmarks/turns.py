"""Measure a workload in turns: a warm-up, then each contestant once per turn.

Each turn begins with another contestant.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.metrics import Metrics, Verdict, judge
from benchmarks.runners import Workspace
from benchmarks.workloads import Workload


@dataclass(frozen=True)
class Result:
    """The metrics of a workload by contestant, and a line for each turn of a peer that failed."""

    workload: Workload
    turns: dict[str, list[Metrics]]
    failures: list[str] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        return [judge(goal, self.turns) for goal in self.workload.goals]


def measure(
    workload: Workload,
    folder: Path,
    turns: int,
    report_progress: Callable[[str], None],
    *,
    warm_up: bool = True,
) -> Result:
    """Measure `workload` in `folder`.

    A peer that fails is left out of that turn, and the result names the failure: to lose output or
    to give up says something about the peer.

    Raises:
        BenchmarkError: a contestant with a goal failed or lost output. In a workload without goals,
            any contestant did.
    """
    report_progress(f"{workload.name}: preparing")
    contestants = workload.prepare(Workspace(folder))
    result = Result(workload, {name: [] for name in contestants})
    required = {goal.contestant for goal in workload.goals} or set(contestants)
    for turn in range(0 if warm_up else 1, turns + 1):
        label = f"turn {turn} of {turns}" if turn else "warm-up"
        for name in _rotated(list(contestants), turn):
            report_progress(f"{workload.name}: {label}: {name}")
            metrics: Metrics = {}
            try:
                metrics = contestants[name]()
            except BenchmarkError as error:
                if name in required:
                    raise
                reason = " ".join(str(error).split())
                result.failures.append(f"{name} failed, turn {turn}: {reason}")
            if turn:
                result.turns[name].append(metrics)
    return result


def _rotated(names: list[str], turn: int) -> Iterator[str]:
    first = turn % len(names)
    yield from names[first:]
    yield from names[:first]
