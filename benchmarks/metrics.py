"""The arithmetic of paired turns: medians, ratios per turn, their spread, and goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# The metrics of one contestant in one turn, by name with the unit; empty if the turn failed.
Metrics = Mapping[str, float]
Turns = Mapping[str, Sequence[Metrics]]  # by contestant; equal positions belong to the same turn


@dataclass(frozen=True)
class Spread:
    """The median and the range of several measurements."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Goal:
    """A bound on a metric of `contestant`: on its ratio to that of `against`, or on its value.

    The bound is an upper one, or a lower one if `at_least` is set.
    """

    metric: str
    contestant: str
    bound: float
    against: str | None = None
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        other = f" × {self.against}" if self.against else ""
        return f"{self.metric}: {self.contestant} {sign} {self.bound:,g}{other}"


@dataclass(frozen=True)
class Verdict:
    """The result of a goal. `found` is None if every turn failed."""

    goal: Goal
    found: Spread | None

    @property
    def holds(self) -> bool:
        """True if the median of the turns is within the bound."""
        if self.found is None:
            return False
        if self.goal.at_least:
            return self.found.median >= self.goal.bound
        return self.found.median <= self.goal.bound


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the range of `values`.

    Raises:
        ValueError: `values` is empty.
    """
    if not values:
        raise ValueError("nothing was measured")
    return Spread(median(values), min(values), max(values))


Column = Sequence[float | None]  # one metric per turn; None for a turn that failed


def column(turns: Turns, contestant: str, metric: str) -> Column:
    """Return one metric of a contestant, turn by turn."""
    return [metrics.get(metric) for metrics in turns[contestant]]


def measured(column: Column) -> list[float]:
    """Return the values of the turns that did not fail."""
    return [value for value in column if value is not None]


def ratios(numerators: Column, denominators: Column) -> list[float]:
    """Divide turn by turn, because other load on the machine affects both sides of a turn."""
    pairs = zip(numerators, denominators, strict=True)
    return [a / b for a, b in pairs if a is not None and b is not None]


def judge(goal: Goal, turns: Turns) -> Verdict:
    """Compare the turns of a workload with one of its goals."""
    own = column(turns, goal.contestant, goal.metric)
    found = measured(own)
    if goal.against is not None:
        found = ratios(own, column(turns, goal.against, goal.metric))
    return Verdict(goal, spread(found) if found else None)
