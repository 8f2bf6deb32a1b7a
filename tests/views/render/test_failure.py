"""The error of a failed step, with the source lines around it."""

import io

import pytest
from rich.console import Console

from nbrun.views.render import failure

SOURCE = "import json\n\ndef load(text):\n    return json.loads(text)\n\nload('{bad')\n'''a\nb'''"


def cell_error(line: int, code: str) -> failure.CellError:
    frame = f"Cell In[3], line {line}\n----> {line} {code}\n"
    output = {"ename": "ValueError", "evalue": "no", "traceback": [frame, "ValueError: no"]}
    return failure.parse_error({"output_type": "error"} | output)


def shown(error: failure.CellError, source: str = SOURCE, **options: bool) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        for each in failure.render_error(error, source, "python", **options):
            console.print(each)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_failed_line_marked_between_context_lines() -> None:
    assert shown(cell_error(4, "return json.loads(text)")) == [
        "  ValueError: no",
        "    2 │",
        "    3 │ def load(text):",
        "  → 4 │     return json.loads(text)",
        "    5 │",
        "    6 │ load('{bad')",
    ]


def test_first_and_last_line_have_less_context() -> None:
    assert shown(cell_error(1, "import json"), boxes=False)[1:] == [
        "  > 1 | import json", "    2 |", "    3 | def load(text):",
    ]  # fmt: skip
    assert shown(cell_error(1, "x"), "x", boxes=False)[1:] == ["  > 1 | x"]


def test_line_numbers_right_aligned() -> None:
    source = "\n".join(f"f({number})" for number in range(1, 13))
    assert shown(cell_error(10, "f(10)"), source)[1:] == [
        "     8 │ f(8)", "     9 │ f(9)", "  → 10 │ f(10)", "    11 │ f(11)", "    12 │ f(12)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"), [(9, "f()"), (1, "get_ipython().system('ls')"), (0, "x")]
)
def test_failed_line_quoted_when_not_in_source(line: int, code: str) -> None:
    assert shown(cell_error(line, code))[1:] == [f"  → line {line}: {code}"]


def test_error_without_location_shows_message_only() -> None:
    for traceback in ([], ["ValueError: no"], "no list", [3]):
        error = failure.parse_error(
            {"ename": "ValueError", "evalue": "no\x1b[2J", "traceback": traceback}
        )
        assert shown(error) == ["  ValueError: no^[[2J"]


def test_controls_in_source_have_no_effect() -> None:
    lines = shown(cell_error(1, ""), "x = '\x1b[2J'\n")
    assert "\x1b[2J" not in "".join(lines)
    assert "^[[2J" in lines[1]
