"""The notebooks that are run, as files, and how many outputs each of them makes.

The last cell of each touches the file that `RAN` names in the environment, so that of a runner that
keeps nothing it is known, too, that it came to the end.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RAN = "BENCHMARK_RAN"
FIRST = "first" + "-output"

_MARK_END = f"import os, pathlib; pathlib.Path(os.environ['{RAN}']).touch()"
_SAY_FIRST = (  # the marker is put together: a screen may show the source before
    "print('first', 'output', sep='-', flush=True)\n"
    "import os, pathlib, time\n"
    f"written = pathlib.Path(os.environ['{RAN}']).write_text(repr(time.time()))"
)


@dataclass(frozen=True)
class Book:
    """A notebook. `text`: characters that its cells print; `bundles`: what they display."""

    path: Path
    cells: int
    text: int = 0
    bundles: int = 0


def first_output(folder: Path) -> Book:
    """One cell, which prints FIRST and writes down when."""
    return _write(folder / "first.ipynb", [_SAY_FIRST], text=len(FIRST) + 1)


def lines_by_cells(folder: Path, cells: int) -> Book:
    """So many cells that print one short line each, and nothing else."""
    text = sum(len(f"{number}\n") for number in range(cells))
    sources = [f"print({number})" for number in range(cells - 1)]
    sources.append(f"print({cells - 1}); {_MARK_END}")
    return _write(folder / f"cells-{cells}.ipynb", sources, text=text)


def printed_lines(folder: Path, lines: int) -> Book:
    """One cell that prints so many lines, one at a time."""
    source = f"for number in range({lines}): print('line', format(number, '09'))"
    return _write(folder / "lines.ipynb", [source, _MARK_END], text=15 * lines)


def displays(folder: Path, count: int) -> Book:
    """One cell that displays so many objects."""
    source = f"for number in range({count}): display(number)"
    return _write(folder / "displays.ipynb", [source, _MARK_END], bundles=count)


def returns(folder: Path, count: int) -> Book:
    """One cell that writes its line anew so many times, as a progress bar does."""
    source = (
        f"for number in range({count}): print(chr(13), format(number, '09'), end='', flush=True)"
    )
    return _write(folder / "returns.ipynb", [source, _MARK_END], text=11 * count)


def at_once(folder: Path, size: int) -> Book:
    """One cell that prints so many characters with one call."""
    source = f"print('x' * {size - 1})"
    return _write(folder / "at-once.ipynb", [source, _MARK_END], text=size)


def _write(path: Path, sources: Sequence[str], *, text: int = 0, bundles: int = 0) -> Book:
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
    return Book(path, len(cells), text=text, bundles=bundles)
