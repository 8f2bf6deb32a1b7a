"""The arithmetic of paired turns: medians, ratios turn by turn, their spread, and goals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

# What one turn of one contestant gave, by name, units in the name; empty when it failed.
Figures = Mapping[str, float]
Turns = Mapping[str, Sequence[Figures]]  # by contestant; equal positions were measured in one turn


@dataclass(frozen=True)
class Spread:
    """Many measurements of one thing."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Goal:
    """What a figure of `contestant` has to be: as a ratio to that of `against`, or, without, as it
    is. `at_least`: the bound is a lower one."""

    figure: str
    contestant: str
    bound: float
    against: str | None = None
    at_least: bool = False

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        other = f" × {self.against}" if self.against else ""
        return f"{self.figure}: {self.contestant} {sign} {self.bound:,g}{other}"


@dataclass(frozen=True)
class Verdict:
    """What came of a goal. `found`: None where no turn was without a failure."""

    goal: Goal
    found: Spread | None

    @property
    def holds(self) -> bool:
        """By the median of the turns."""
        if self.found is None:
            return False
        if self.goal.at_least:
            return self.found.median >= self.goal.bound
        return self.found.median <= self.goal.bound


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError when there are none."""
    if not values:
        raise ValueError("nothing was measured")
    return Spread(median(values), min(values), max(values))


Column = Sequence[float | None]  # one figure, turn by turn; None in a turn that failed


def column(turns: Turns, contestant: str, figure: str) -> Column:
    """One figure of a contestant."""
    return [figures.get(figure) for figures in turns[contestant]]


def measured(column: Column) -> list[float]:
    """The turns that did not fail."""
    return [value for value in column if value is not None]


def ratios(above: Column, below: Column) -> list[float]:
    """Turn by turn: what else the machine did in a turn, it did to both."""
    pairs = zip(above, below, strict=True)
    return [a / b for a, b in pairs if a is not None and b is not None]


def judge(goal: Goal, turns: Turns) -> Verdict:
    """Hold a work's turns against one of its goals."""
    own = column(turns, goal.contestant, goal.figure)
    found = measured(own)
    if goal.against is not None:
        found = ratios(own, column(turns, goal.against, goal.figure))
    return Verdict(goal, spread(found) if found else None)
