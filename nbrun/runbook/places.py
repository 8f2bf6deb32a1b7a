"""Names of places in a runbook's file, for messages: by cell in a notebook, by line in a text."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The places of a runbook's cells in its file.

    Attributes:
        lines: of a text runbook, the line at which the source of each cell begins; empty for a
            notebook.
    """

    path: Path
    lines: tuple[int, ...] = ()

    def of_cell(self, number: int) -> str:
        """Return the name of the cell `number`, which counts from 1, with its file."""
        return f"{self.path}, {self.in_file(number)}"

    def in_file(self, number: int) -> str:
        """Return the name of the cell `number` without its file."""
        return f"line {self.lines[number - 1]}" if self.lines else f"cell {number}"

    def line(self, number: int, line: int | None) -> int | None:
        """Return the number of a line for a message, given its number in the cell `number`.

        It counts in the file of a text runbook, and in the cell of a notebook.
        """
        if not self.lines:
            return line
        return self.lines[number - 1] + (line or 1) - 1
