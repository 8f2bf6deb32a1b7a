"""How a command shows a run on the terminal, as the operator asked for on the command line."""

from dataclasses import dataclass

MOST_LINES = 400  # of one output, at a step's end; what scrolled by is more than anyone reads


@dataclass(frozen=True)
class DisplayOptions:
    """The options that all commands that show a run share.

    `plain`: no live region, no box drawing, no colours, no pictures. `full_traceback`: every frame.
    `max_lines`: of one output; what is left out in the middle is counted. 0: all of them.
    `pictures`: drawn where they can be, else described.
    """

    plain: bool = False
    full_traceback: bool = False
    max_lines: int = MOST_LINES
    pictures: bool = True
