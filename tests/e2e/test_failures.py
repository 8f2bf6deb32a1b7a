"""What the stop shows of a failed step, from a real kernel."""

import pytest

from tests.support.build_notebooks import code
from tests.support.terminal import Desk


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "%%bash\necho hello\nls /nonexis''tent\nexit 2",
            ["  bash exited with 2", "  → 1 │ %%bash", "    2 │ echo hello"],
        ),
        (
            "%%time\nx = 1\n\ny = 1/0",
            [
                "  ZeroDivisionError: division by zero",
                "    2 │ x = 1",
                "    3 │",
                "  → 4 │ y = 1/0",
            ],
        ),
        (
            "! echo a \\\n   b\n\ndef f():\n    1/0\nf()",
            [
                "  ZeroDivisionError: division by zero",
                "    3 │",
                "    4 │ def f():",
                "  → 5 │     1/0",
            ],
        ),
        (
            "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])",
            ["  ExceptionGroup: two (2 sub-exceptions)"],
        ),
        ("%nosuchmagic", ["  UsageError: Line magic function `%nosuchmagic` not found."]),
        ("!exit 3", ["  ShellError: shell command 1 of 1 exited with 3"]),
    ],
    ids=["bash", "time", "joined lines", "group", "usage", "shell"],
)
def test_stop_names_error_and_marks_line_of_cell(
    desk: Desk, source: str, expected: list[str]
) -> None:
    desk.book(code(source))
    terminal = desk.start(columns=100)
    terminal.prompted("step 1>")
    lines = [line.rstrip() for line in terminal.text().splitlines()]
    at = next(n for n, line in enumerate(lines) if line.startswith("STOPPED at")) + 2
    assert lines[at : at + len(expected)] == expected
    assert "1 of 1" in lines[at - 2]
    if source.startswith("%%bash"):
        assert "  ls: cannot access '/nonexistent': No such file or directory" in lines[at:]
        assert "Command 'b'" not in terminal.text()


def test_endless_recursion_is_folded(desk: Desk) -> None:
    desk.book(code("def f(n):\n    return f(n + 1)\nf(0)"))
    terminal = desk.start(columns=100)
    terminal.prompted("step 1>")
    text = terminal.text()
    assert "… the last frame 9" in text
    assert text.count("return f(n + 1)") < 8
