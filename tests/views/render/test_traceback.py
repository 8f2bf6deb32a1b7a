"""Tracebacks of IPython read: its own form, as it came from a kernel."""

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


def test_the_cells_frames_come_first_and_libraries_are_one_line_each() -> None:
    told = shorten([RULE, HEAD, LIBRARY, CELL, OWN, END])
    assert told[0] == HEAD
    assert told[1] == CELL.rstrip("\n")
    assert told[2].startswith("  in \x1b[32m/usr/lib/json/__init__.py:346")
    assert told[3:] == [END]


def test_each_error_of_a_chain_is_told() -> None:
    between = "\nThe above exception was the direct cause of the following exception:\n"
    told = shorten([RULE, HEAD, CELL, DEEPER, END, between, HEAD, LIBRARY, CELL, END])
    assert told.index(between) == 4
    assert told.count(END) == 2
    assert len(told) == 9


def test_another_form_of_traceback_stays_as_it_is() -> None:
    other = ["Error in f(): no such object", "Traceback:", "1. f()"]
    assert shorten(other) == other
    assert error_location(other) is None


def test_the_failing_line_is_the_cells_last_one() -> None:
    assert error_location([RULE, HEAD, CELL, DEEPER, LIBRARY, END]) == ErrorLocation(
        2, "return 1/x"
    )
    assert error_location([CELL, LIBRARY]) == ErrorLocation(8, "load('{')")


def test_a_syntax_error_has_a_line() -> None:
    (told,) = [
        error_location(
            ["  Cell In[11], line 1\n    x = (1 +\n            ^\nSyntaxError: incomplete"]
        )
    ]
    assert told == ErrorLocation(1, "x = (1 +")
