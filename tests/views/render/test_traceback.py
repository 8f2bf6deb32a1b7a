"""IPython tracebacks, as kernels send them."""

from nbrun.views.render.traceback import ErrorLocation, error_location, shorten

RULE = "\x1b[31m" + "-" * 75 + "\x1b[39m"
HEAD = "\x1b[31mValueError\x1b[39m                   Traceback (most recent call last)"
CELL = (
    "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[2]\x1b[39m\x1b[32m, line 8\x1b[39m\n"
    "\x1b[32m      7\x1b[39m x = 1\n\x1b[32m----> \x1b[39m\x1b[32m8\x1b[39m load('{')\n"
)
DEEPER = "Cell In[2], line 2, in f(x)\n      1 def f(x):\n----> 2     return 1/x\n"
LIBRARY = (
    "File \x1b[32m/usr/lib/json/__init__.py:346\x1b[39m, in loads(s)\n    341 pass\n--> 346 raise\n"
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


def test_error_location_of_syntax_error() -> None:
    (shown,) = [
        error_location(
            ["  Cell In[11], line 1\n    x = (1 +\n            ^\nSyntaxError: incomplete"]
        )
    ]
    assert shown == ErrorLocation(1, "x = (1 +")
