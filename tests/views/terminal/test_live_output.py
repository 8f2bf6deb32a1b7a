"""Buffered output of an attempt: changed in place, shown by its end, printed whole or cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nbrun.views.render.mime import render_output
from nbrun.views.terminal.live_output import LiveOutput
from nbrun.views.terminal.row_limit import RowLimit
from tests.support import build_events
from tests.support.build_events import display, stream


def held(most: int = 10) -> LiveOutput:
    return LiveOutput(RowLimit(most, lambda: 80, "ask for it"), render_output, render_output)


def printed(shown: LiveOutput) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    for each in shown.finish():
        console.print(each)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def region(shown: LiveOutput, rows: int = 5, width: int = 80) -> list[str]:
    drawn = shown.last_rows(Console(width=width, height=50), rows)
    return ["".join(segment.text for segment in row).rstrip() for row in drawn]


def test_last_rows_are_of_all_outputs() -> None:
    shown = held()
    shown.take(build_events.output("1\n2\n3\n"))
    shown.take(build_events.output(display(text_plain="a table")))
    shown.take(build_events.output("4\nunfinished"))
    assert region(shown, 4) == ["3", "a table", "4", "unfinished"]
    assert region(shown, 2) == ["4", "unfinished"]


def test_long_line_is_folded_in_region() -> None:
    shown = held()
    shown.take(build_events.output("x" * 25))
    assert region(shown, 5, width=10) == ["x" * 10, "x" * 10, "x" * 5]


def test_short_output_is_printed_whole_and_once() -> None:
    shown = held()
    shown.take(build_events.output("".join(f"{n}\n" for n in range(10))))
    assert printed(shown) == [str(n) for n in range(10)]
    assert printed(shown) == []


@pytest.mark.parametrize("chunk", [1_000, 60_000, 3_000_000])
def test_one_long_line_is_cut_in_rows(chunk: int) -> None:
    shown = held()
    for _ in range(3_000_000 // chunk):
        shown.take(build_events.output("x" * chunk))
    told = printed(shown)
    assert sum(map(len, told)) < 11 * 80
    assert any("lines (3.0 MB in all) left out here: ask for it" in line for line in told)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_middle_of_long_stream_is_counted(chunk: int) -> None:
    shown = held()
    lines = [f"{n}\n" for n in range(1_000)]
    for start in range(0, 1_000, chunk):
        shown.take(build_events.output("".join(lines[start : start + chunk])))
    told = printed(shown)
    assert told[:5] == ["0", "1", "2", "3", "4"]
    assert told[5] == "… 990 of 1,000 lines (4 kB in all) left out here: ask for it"
    assert told[6:] == ["995", "996", "997", "998", "999"]


def test_middle_of_many_outputs_is_counted() -> None:
    shown = held(4)
    for number in range(1_000):
        shown.take(build_events.output(display(text_plain=f"n{number}")))
    assert printed(shown) == ["n0", "n1", "… 996 outputs left out here: ask for it", "n998", "n999"]


@given(st.lists(st.text("ab\n\r", max_size=9), max_size=20), st.integers(0, 6))
def test_lines_are_printed_or_counted(chunks: list[str], most: int) -> None:
    shown, whole = held(most), held(0)
    for chunk in chunks:
        shown.take(build_events.output(chunk))
        whole.take(build_events.output(chunk))
    told, wanted = printed(shown), printed(whole)
    left_out = [line for line in told if line.startswith("…")]
    if not most or len(wanted) <= most:
        assert told == wanted
    else:
        (line,) = left_out
        hidden = int(line.split()[1])
        assert len(told) - 1 + hidden == len(wanted)
        assert told[: told.index(line)] == wanted[: told.index(line)]


def test_update_changes_displays_in_place() -> None:
    shown = held()
    shown.take(build_events.output(display(text_plain="0 %"), display_id="d"))
    shown.take(build_events.output("between\n"))
    shown.update(build_events.output_updated("d", {"text/plain": "100 %"}))
    assert region(shown) == ["100 %", "between"]
    assert printed(shown) == ["100 %", "between"]


def test_update_of_printed_display_is_shown_again() -> None:
    shown = held()
    shown.update(build_events.output_updated("d", {"text/plain": "50 %"}))
    shown.update(build_events.output_updated("d", {"text/plain": "60 %"}))
    assert printed(shown) == ["60 %"]


def test_nested_bars_change_in_place() -> None:
    """As tqdm writes them."""
    shown = held()
    for text in ("\router 0%", "\n", "\rinner 0%", "\x1b[A", "\n", "\rinner 99%", "\x1b", "[A"):
        shown.take(build_events.output(stream(text, "stderr")))
    assert region(shown) == ["outer 0%", "inner 99%"]
    for text in ("\n", "\r         ", "\x1b[A", "\router 100%", "\n"):
        shown.take(build_events.output(stream(text, "stderr")))
    assert [line.rstrip() for line in printed(shown) if line.strip()] == ["outer 100%"]


def test_clear_empties_buffer() -> None:
    shown = held()
    shown.take(build_events.output("old\n"))
    shown.take(build_events.output_cleared(wait=True))
    assert region(shown) == ["old"]
    shown.take(build_events.output("new\n"))
    shown.take(build_events.output_cleared(wait=False))
    assert region(shown) == []
