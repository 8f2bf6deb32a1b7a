"""IPython tracebacks, as kernels send them."""

import pytest

from nbrun.views.render.traceback import ErrorLocation, error_location, shorten, source_line

RULE = "\x1b[31m" + "-" * 75 + "\x1b[39m"
HEAD = "\x1b[31mValueError\x1b[39m                   Traceback (most recent call last)"
CELL = (
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 8\x1b[39m\n"
    "\x1b[32m      7\x1b[39m x = 1\n\x1b[32m----> \x1b[39m\x1b[32m8\x1b[39m load('{')\n"
)
DEEPER = "Cell In[2], line 2, in f(x)\n      1 def f(x):\n----> 2     return 1/x\n"
LIBRARY = (
    "\x1b[36mFile \x1b[39m\x1b[32m/usr/lib/json/__init__.py:346\x1b[39m, in loads(s)\n"
    "    341 pass\n--> 346 raise\n"
)
OWN = "File /venv/site-packages/IPython/core/magic.py:12, in run()\n---> 12 pass\n"
END = "\x1b[31mValueError\x1b[39m: bad"


def test_cell_frames_first_and_library_frames_one_line() -> None:
    shown = shorten([RULE, HEAD, LIBRARY, CELL, OWN, END])
    assert shown[0] == HEAD
    assert shown[1] == CELL.rstrip("\n")
    assert shown[2].startswith("  in \x1b[32m/usr/lib/json/__init__.py:346")
    assert shown[3:] == [END]


def test_each_error_of_a_chain_shown() -> None:
    between = "\nThe above exception was the direct cause of the following exception:\n"
    shown = shorten([RULE, HEAD, CELL, DEEPER, END, between, HEAD, LIBRARY, CELL, END])
    assert shown.index(between) == 4
    assert shown.count(END) == 2
    assert len(shown) == 9


def test_traceback_in_other_format_unchanged() -> None:
    other = ["Error in f(): no such object", "Traceback:", "1. f()"]
    assert shorten(other) == other
    assert error_location(other) is None


def test_error_location_is_innermost_cell_line() -> None:
    assert error_location([RULE, HEAD, CELL, DEEPER, LIBRARY, END]) == ErrorLocation(
        2, "return 1/x"
    )
    assert error_location([CELL, LIBRARY]) == ErrorLocation(8, "load('{')")


def test_error_location_is_line_of_cell_that_ran_not_of_function_it_calls() -> None:
    other = DEEPER.replace("In[2]", "In[1]")
    assert error_location([RULE, HEAD, CELL, other, LIBRARY, END]) == ErrorLocation(8, "load('{')")
    chain = [HEAD, other, END, "\nDuring handling …\n", HEAD, CELL, other, END]
    assert error_location(chain) == ErrorLocation(8, "load('{')")


def test_error_location_of_syntax_error() -> None:
    (shown,) = [
        error_location(
            ["  Cell In[11], line 1\n    x = (1 +\n            ^\nSyntaxError: incomplete"]
        )
    ]
    assert shown == ErrorLocation(1, "x = (1 +")


# ── frames that repeat ───────────────────────────────────────────────────────────────────────


def test_repeated_frames_are_folded_and_counted() -> None:
    shown = shorten([RULE, HEAD, CELL, *[DEEPER] * 971, END])
    assert shown == [
        HEAD,
        CELL.rstrip("\n"),
        DEEPER.rstrip("\n"),
        "  … the last frame 970 times more",
        END,
    ]


def test_frames_that_repeat_together_are_folded() -> None:
    shown = shorten([HEAD, CELL, *[LIBRARY, LIBRARY.replace("346", "9")] * 500, END])
    assert shown[-2] == "  … the last 2 frames 499 times more"
    assert len(shown) == 6


def test_frames_that_repeat_a_few_times_are_shown() -> None:
    assert shorten([HEAD, CELL, *[DEEPER] * 3, END]).count(DEEPER.rstrip("\n")) == 3


# ── what IPython makes of a cell ─────────────────────────────────────────────────────────────

SCRIPT = "echo it\\nls /nonexistent\\nexit 2\\n"
BASH = f"Cell In[1], line 1\n----> 1 get_ipython().run_cell_magic('bash', '-e', '{SCRIPT}')\n"
ENDED = f"CalledProcessError: Command 'b'{SCRIPT}'' returned non-zero exit status 2."
TIME = "Cell In[1], line 1\n----> 1 get_ipython().run_cell_magic('time', '', 'x=1\\n\\ny=f()\\n')\n"
NO_SOURCE = "      1 'Could not get source, probably due dynamically evaluated source code.'\n"


def test_script_of_cell_magic_is_not_quoted() -> None:
    assert shorten([RULE, "CalledProcessError  Traceback", BASH, ENDED]) == [
        "CalledProcessError  Traceback",
        "Cell In[1], line 1\n----> 1 %%bash -e",
        "CalledProcessError: bash exited with 2",
    ]


@pytest.mark.parametrize("frame", ["<timed exec>:3", "<magic-timeit>:3, in inner(_it, _timer)"])
def test_frame_of_timed_cell_is_line_of_cell(frame: str) -> None:
    inner = f"File {frame}\n{NO_SOURCE}"
    cell = TIME.replace("'time'", "'timeit'") if "timeit" in frame else TIME
    assert error_location([HEAD, cell, inner, END]) == ErrorLocation(4, "y=f()")
    assert shorten([HEAD, cell, inner, END])[2].endswith("----> 4 y=f()")


def test_lines_of_timed_cell_are_counted_as_ipython_ran_them() -> None:
    cell = TIME.replace("x=1\\n\\ny", "\\n! ls \\\\\\n /\\ny")
    assert "\\\\\\n /" in cell
    inner = f"File <timed exec>:2\n{NO_SOURCE}"
    assert error_location([HEAD, cell, inner, END]) == ErrorLocation(5, "y=f()")


def test_frame_of_function_in_timed_cell_keeps_its_name() -> None:
    cell = TIME.replace("x=1\\n", "def f(x):\\n  g(x)")
    inner = f"File <timed exec>:2, in f(x)\n{NO_SOURCE}"
    assert shorten([HEAD, cell, inner, END])[2] == "Cell In[1], line 3, in f(x)\n----> 3   g(x)"


@pytest.mark.parametrize(
    "frame",
    ["<timed exec>:2, in other(x)", "<timed exec>:9, in <lambda>", "<timed exec>:2, in <lambda>"],
)
def test_frame_of_another_timed_cell_is_not_line_of_this_cell(frame: str) -> None:
    inner = f"File {frame}\n{NO_SOURCE}"
    shown = shorten([HEAD, TIME, f"File <timed exec>:3\n{NO_SOURCE}", inner, END])
    assert shown[2:] == ["Cell In[1], line 4\n----> 4 y=f()", f"  in {frame}", END]


def test_frames_of_nbrun_itself_are_left_out() -> None:
    prelude = f"\x1b[36mFile \x1b[39m<nbrun prelude>:248, in _watched.watched(line)\n{NO_SOURCE}"
    assert shorten([HEAD, CELL, prelude, END]) == shorten([HEAD, CELL, END])


def test_frame_of_executed_string_is_shown() -> None:
    inner = f"File <string>:1\n{NO_SOURCE}"
    assert "  in <string>:1" in shorten([HEAD, CELL, inner, END])


@pytest.mark.parametrize(
    ("source", "line", "code", "expected"),
    [
        ("a\nb", 2, "b", 2),
        ("\n\n%%time\nx\n1/0", 3, "1/0", 5),
        ("import os\n! ls \\\n  -l \\\n  /\n1/0\n1/0", 4, "1/0", 6),
        ("x = !ls \\\n  /\n1/0\n1/0", 2, "1/0", 3),
        ("%%capture\n1/0", 1, "1/0", 2),
        ("%time f()", 1, "get_ipython().run_line_magic('time', 'f()')", 1),
        ("x = 1 + \\\n  2\n1/0", 3, "1/0", 3),
        ("%%time\n! ls \\\n  /\n1/0\n1/0", 5, "1/0", 5),
        ("same\nsame", 7, "same", 0),
        ("a", 1, "b", 0),
        ("a", 0, "a", 1),
    ],
)
def test_line_as_run_is_found_in_source(source: str, line: int, code: str, expected: int) -> None:
    assert source_line(ErrorLocation(line, code), source) == expected


@pytest.mark.parametrize("call", ["f(", "run_cell_magic(", "get_ipython().run_cell_magic(x)"])
def test_call_that_is_no_magic_is_left_alone(call: str) -> None:
    frame = f"Cell In[1], line 1\n----> 1 {call}\n"
    assert shorten([frame, END]) == [frame.rstrip("\n"), END]
