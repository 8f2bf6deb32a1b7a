"""Tests of what the stop shows of a failed step, from a real kernel."""

import re

import pytest

from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal

# The source of a cell that fails, and what the stop says of it.
FAILURES = (
    (
        "%%bash\necho hello\nls /nonexis''tent\nexit 2",
        [
            "bash exited with 2",
            "→ 1 │ %%bash",
            "  2 │ echo hello",
            "  3 │ ls /nonexis''tent",
            "ls: cannot access '/nonexistent': No such file or directory",
        ],
    ),
    (
        "%%time\nx = 1\n\ny = 1/0",
        ["ZeroDivisionError: division by zero", "  2 │ x = 1", "  3 │", "→ 4 │ y = 1/0"],
    ),
    (
        "! echo a \\\n   b\n\ndef f(x):\n    return 1/x\nf(0)",
        ["ZeroDivisionError: division by zero", "  3 │", "  4 │ def f(x):", "→ 5 │     return 1/x"],
    ),
    ("z = 0\nf(z)", ["ZeroDivisionError: division by zero", "  1 │ z = 0", "→ 2 │ f(z)"]),
    (
        "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])",
        ["ExceptionGroup: two (2 sub-exceptions)"],
    ),
    ("%nosuchmagic", ["UsageError: Line magic function `%nosuchmagic` not found."]),
    ("!exit 3", ["ShellError: shell command 1 of 1 exited with 3"]),
)


# A low limit: IPython takes long for each frame.
ENDLESS = "import sys\nsys.setrecursionlimit(200)\ndef g(n):\n    return g(n + 1)\ng(0)"


@pytest.mark.sweep
def test_stop_names_error_and_marks_line_of_cell(desk: Desk) -> None:
    desk.book(*(code(source) for source, _ in FAILURES), code(ENDLESS))
    terminal = desk.start(columns=100)
    for number, (_, expected) in enumerate(FAILURES, 1):
        terminal.prompted(f"step {number}>")
        assert at_stop(terminal)[: len(expected)] == expected
        terminal.type("s")
        terminal.answer("go back):", "on to the next")
    terminal.prompted(f"step {len(FAILURES) + 1}>")
    assert re.search(r"… the last frame \d+ times more", terminal.text())
    assert "→ 4 │     return g(n + 1)" in at_stop(terminal)
    assert "Command 'b'" not in terminal.text()


def at_stop(terminal: Terminal) -> list[str]:
    """Return the lines below those that say where and why the run stands."""
    lines = terminal.text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("STOPPED at"))
    return [line.removeprefix("  ").rstrip() for line in lines[last + 2 :]]
