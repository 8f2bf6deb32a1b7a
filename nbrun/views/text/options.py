"""Options for how a command shows a run on the terminal."""

from dataclasses import dataclass

MAX_LINES = 400  # of one output, printed when its step ends


@dataclass(frozen=True)
class DisplayOptions:
    """The options that all commands that show a run share.

    `plain`: no live region, no box drawing, no colours, no pictures. `full_traceback`: show every
    frame. `max_lines`: of one output, in rows of the terminal; the middle of a longer one is left
    out. 0 prints all lines. `pictures`: draw pictures if the terminal can, else describe them.
    """

    plain: bool = False
    full_traceback: bool = False
    max_lines: int = MAX_LINES
    pictures: bool = True
