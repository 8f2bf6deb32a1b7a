"""Write the notebooks to run, and state how many outputs each of them makes.

The last cell of each notebook touches the file that the variable `END_MARKER` names. That file
proves that a runner came to the end, even if the runner keeps no output.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

END_MARKER = "BENCHMARK_RAN"
FIRST_OUTPUT = "first" + "-output"

_TOUCH_MARKER = f"import os, pathlib; pathlib.Path(os.environ['{END_MARKER}']).touch()"
# The cell joins the text at run time, so that its source on the screen does not match FIRST_OUTPUT.
_PRINT_FIRST = (
    "print('first', 'output', sep='-', flush=True)\n"
    "import os, pathlib, time\n"
    f"written = pathlib.Path(os.environ['{END_MARKER}']).write_text(repr(time.time()))"
)


@dataclass(frozen=True)
class Notebook:
    """A notebook file, with the number of characters that it prints and of objects it displays."""

    path: Path
    cells: int
    characters: int = 0
    displays: int = 0


def first_output(folder: Path) -> Notebook:
    """One cell that prints FIRST_OUTPUT and writes the current time into the end marker."""
    return _write(folder / "first.ipynb", [_PRINT_FIRST], characters=len(FIRST_OUTPUT) + 1)


def one_line_cells(folder: Path, cells: int) -> Notebook:
    """`cells` cells that print one short line each."""
    characters = sum(len(f"{number}\n") for number in range(cells))
    sources = [f"print({number})" for number in range(cells - 1)]
    sources.append(f"print({cells - 1}); {_TOUCH_MARKER}")
    return _write(folder / f"cells-{cells}.ipynb", sources, characters=characters)


def printed_lines(folder: Path, lines: int) -> Notebook:
    """One cell that prints `lines` lines, one at a time."""
    source = f"for number in range({lines}): print('line', format(number, '09'))"
    return _write(folder / "lines.ipynb", [source, _TOUCH_MARKER], characters=15 * lines)


def displays(folder: Path, count: int) -> Notebook:
    """One cell that displays `count` objects."""
    source = f"for number in range({count}): display(number)"
    return _write(folder / "displays.ipynb", [source, _TOUCH_MARKER], displays=count)


def carriage_returns(folder: Path, count: int) -> Notebook:
    """One cell that rewrites its line `count` times, as a progress bar does."""
    source = (
        f"for number in range({count}): print(chr(13), format(number, '09'), end='', flush=True)"
    )
    return _write(folder / "returns.ipynb", [source, _TOUCH_MARKER], characters=11 * count)


def single_print(folder: Path, size: int) -> Notebook:
    """One cell that prints `size` characters in one call."""
    source = f"print('x' * {size - 1})"
    return _write(folder / "at-once.ipynb", [source, _TOUCH_MARKER], characters=size)


def _write(
    path: Path, sources: Sequence[str], *, characters: int = 0, displays: int = 0
) -> Notebook:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources, 1)
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document), "utf-8")
    return Notebook(path, len(cells), characters=characters, displays=displays)
