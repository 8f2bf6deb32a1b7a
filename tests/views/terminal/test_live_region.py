"""The live region, on a screen that becomes narrower or wider."""

import io

import pyte
import pytest
from rich.cells import chop_cells
from rich.console import Console
from rich.segment import Segment

from nbrun.views.terminal.live_region import LiveRegion

HEIGHT = 40
OUTPUT = ("é" * 100, "日" * 65, "short")


class Screen:
    """A region drawn on a terminal. `reflows`: it breaks rows anew, else it cuts them off."""

    def __init__(self, columns: int, *, reflows: bool) -> None:
        self.file = io.StringIO()
        self.console = Console(
            file=self.file, force_terminal=True, width=columns, height=HEIGHT, color_system=None
        )
        self.asked = 0
        self.reflows = reflows
        self.clock = 0.0
        self.region = LiveRegion(self.console, self._tail, lambda: self.clock, self._answer)
        self.screen = pyte.Screen(columns, HEIGHT)

    def _answer(self) -> bool:
        self.asked += 1
        return self.reflows

    def _tail(self, console: Console, _rows: int) -> list[list[Segment]]:
        rows = (row for line in OUTPUT for row in chop_cells(line, console.width))
        return [[Segment(row)] for row in rows]

    def shown(self) -> list[str]:
        """What was written since, on the screen."""
        text = self.file.getvalue().replace("\n", "\r\n")
        self.file.truncate(0)
        self.file.seek(0)
        pyte.Stream(self.screen).feed(text)
        return [row.rstrip() for row in "\n".join(self.screen.display).rstrip().split("\n")]

    def _above_the_cursor(self) -> list[str]:
        self.shown()
        return [row.rstrip() for row in self.screen.display[: self.screen.cursor.y + 1]]

    def resize(self, columns: int) -> None:
        """As the terminal does by itself, before anybody is told."""
        rows = self._above_the_cursor()
        if self.reflows:
            self.screen = pyte.Screen(columns, HEIGHT)
            pyte.Stream(self.screen).feed("\r\n".join(rows))
        else:
            self.screen.resize(columns=columns)
        self.console.width = columns

    def draw(self) -> list[str]:
        self.clock += 1
        self.region.draw(force=True)
        return self.shown()

    def wanted(self) -> list[str]:
        rows = [row for line in OUTPUT for row in chop_cells(line, self.console.width)]
        return ["above", *rows, f"running it · {self.clock:.1f} s"]


def begun(columns: int, *, reflows: bool) -> Screen:
    screen = Screen(columns, reflows=reflows)
    screen.console.print("above")
    screen.region.start("it", 0.0)
    return screen


@pytest.mark.parametrize("reflows", [True, False])
def test_region_is_redrawn_in_place_after_resize(reflows: bool) -> None:
    screen = begun(140, reflows=reflows)
    for columns in (140, 60, 33, 140, 60):
        screen.resize(columns)
        assert screen.draw() == screen.wanted(), columns


@pytest.mark.parametrize("reflows", [True, False])
def test_region_is_erased_on_narrower_terminal(reflows: bool) -> None:
    screen = begun(140, reflows=reflows)
    screen.draw()
    screen.resize(60)
    screen.region.stop()
    screen.console.print("below")
    assert screen.shown() == ["above", "below"]


def test_terminal_is_queried_only_when_narrower() -> None:
    screen = begun(60, reflows=True)
    for columns in (60, 140, 140):
        screen.resize(columns)
        screen.draw()
    assert screen.asked == 0
    screen.resize(60)
    screen.draw()
    assert screen.asked == 1
