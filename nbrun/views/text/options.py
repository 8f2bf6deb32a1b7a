"""How a run is to look on a terminal: what the operator asked for, in one value."""

from dataclasses import dataclass

MOST_LINES = 400  # of one output, at a step's end; what scrolled by is more than anyone reads


@dataclass(frozen=True)
class Look:
    """What the options of the commands that show a run say about the screen.

    `plain`: no live region, no box drawing, no colours, no pictures. `full_traceback`: every frame.
    `max_lines`: of one output; what is left out in the middle is counted. 0: all of them.
    `pictures`: drawn where they can be, else described.
    """

    plain: bool = False
    full_traceback: bool = False
    max_lines: int = MOST_LINES
    pictures: bool = True
