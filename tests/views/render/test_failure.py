"""What broke a step, and where in its source."""

import io

import pytest
from rich.console import Console

from nbrun.views.render import failure

SOURCE = "import json\n\ndef load(text):\n    return json.loads(text)\n\nload('{bad')\n'''a\nb'''"


def error(line: int, code: str) -> failure.CellError:
    frame = f"Cell In[3], line {line}\n----> {line} {code}\n"
    output = {"ename": "ValueError", "evalue": "no", "traceback": [frame, "ValueError: no"]}
    return failure.parse_error({"output_type": "error"} | output)


def shown(cause: failure.CellError, source: str = SOURCE, **look: bool) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        for each in failure.render_error(cause, source, "python", **look):
            console.print(each)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_line_that_failed_is_marked_between_those_around_it() -> None:
    assert shown(error(4, "return json.loads(text)")) == [
        "  ValueError: no",
        "    2 │",
        "    3 │ def load(text):",
        "  → 4 │     return json.loads(text)",
        "    5 │",
        "    6 │ load('{bad')",
    ]


def test_the_first_and_the_last_line_have_fewer_around_them() -> None:
    assert shown(error(1, "import json"), boxes=False)[1:] == [
        "  > 1 | import json", "    2 |", "    3 | def load(text):",
    ]  # fmt: skip
    assert shown(error(1, "x"), "x", boxes=False)[1:] == ["  > 1 | x"]


def test_numbers_stand_below_one_another() -> None:
    source = "\n".join(f"f({number})" for number in range(1, 13))
    assert shown(error(10, "f(10)"), source)[1:] == [
        "     8 │ f(8)", "     9 │ f(9)", "  → 10 │ f(10)", "    11 │ f(11)", "    12 │ f(12)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"), [(9, "f()"), (1, "get_ipython().system('ls')"), (0, "x")]
)
def test_a_line_that_is_not_in_the_source_is_quoted(line: int, code: str) -> None:
    assert shown(error(line, code))[1:] == [f"  → line {line}: {code}"]


def test_an_error_without_a_place_is_told_alone() -> None:
    for traceback in ([], ["ValueError: no"], "no list", [3]):
        cause = failure.parse_error(
            {"ename": "ValueError", "evalue": "no\x1b[2J", "traceback": traceback}
        )
        assert shown(cause) == ["  ValueError: no^[[2J"]


def test_nothing_in_the_source_takes_effect() -> None:
    told = shown(error(1, ""), "x = '\x1b[2J'\n")
    assert "\x1b[2J" not in "".join(told)
    assert "^[[2J" in told[1]
