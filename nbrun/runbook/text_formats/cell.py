"""A cell of a text runbook, before it has an id."""

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["code", "markdown", "raw"]


@dataclass(frozen=True)
class TextCell:
    """A cell of a text runbook.

    Attributes:
        line: the line of the file, from 1, at which `source` begins.
        language: what a block of code says it is written in; empty for other cells.
        options: what the file says about the cell, as jupytext reads it.
        opening: the line at which the block of code begins.
    """

    kind: Kind
    source: str
    line: int
    language: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    opening: int = 0


@dataclass(frozen=True)
class Remark:
    """Something about a line of the file that its author should know."""

    line: int
    message: str
