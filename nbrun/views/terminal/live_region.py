"""The last lines of a terminal while a step runs: the end of what it printed, and its clock."""

from collections.abc import Callable

from rich.cells import chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from nbrun.views.render import terminal_query
from nbrun.views.terminal.live_output import Lines
from nbrun.views.text import phrases

REFRESH = 0.1  # seconds between two drawings
_HIGHEST = 16  # rows of output, however large the terminal
_OTHERS = 4  # rows that are left to what stands above

Tail = Callable[[Console, int], Lines]


class Region:
    """Redraws in place what `tail(console, rows)` gives and the clock of what runs. `reflows`: the
    terminal breaks its rows anew when it becomes narrower; asked when it does."""

    def __init__(
        self,
        console: Console,
        tail: Tail,
        clock: Callable[[], float],
        reflows: Callable[[], bool] = terminal_query.reflows,
    ) -> None:
        self._console = console
        self._tail = tail
        self._clock = clock
        self._reflows = reflows
        self._is_wanted = False
        self._live: Live | None = None
        self._rows: Lines = []
        self._width = 0
        self._running = ""
        self._began = 0.0
        self._drawn = 0.0

    def start(self, running: str, began: float) -> None:
        """From the next `draw` on. `began` by the clock that it was made with, in seconds."""
        self._running, self._began = running, began
        self._drawn = float("-inf")
        self._is_wanted = True

    def _begin(self) -> Live:
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,  # `device` asks the terminal there
        )
        live.start()
        self._console.show_cursor(True)  # a killed console must not leave a terminal without one
        return live

    def stop(self) -> None:
        self.settle()
        self._is_wanted = False
        live, self._live = self._live, None
        self._rows = []
        if live is not None:
            live.stop()

    def draw(self, *, force: bool) -> None:
        now = self._clock()
        if not self._is_wanted or not (force or now - self._drawn >= REFRESH):
            return
        self._live = self._live or self._begin()
        self._drawn = now
        self.settle()
        self._rows = [*self._lines(), self._progress(now)]
        self._live.update(_Rows(self._rows), refresh=True)

    def settle(self) -> None:
        """Erase the rows that a narrower terminal has made of those drawn: to be called before
        anything is printed above them."""
        before, self._width = self._width, self._console.width
        if self._width < before and self._rows and self._reflows():
            self._console.control(_erased(len(self._rows), _broken(self._rows, self._width)))

    def _lines(self) -> Lines:
        return self._tail(self._console, max(2, min(_HIGHEST, self._console.height - _OTHERS)))

    def _progress(self, now: float) -> list[Segment]:
        """No full width: a cursor after the last column stands on the next line for some."""
        elapsed = phrases.duration(now - self._began)
        told = Text(f"running {self._running} · {elapsed}", style="dim", no_wrap=True, end="")
        told.truncate(max(1, self._console.width - 1), overflow="ellipsis")
        return list(told.render(self._console))


def _broken(rows: Lines, width: int) -> int:
    """How many rows of `width` columns these are, each broken where it is full."""
    texts = ("".join(segment.text for segment in row) for row in rows)
    return sum(len(chop_cells(text, width)) or 1 for text in texts)


def _erased(drawn: int, broken: int) -> Control:
    """From the end of the last one of `broken` rows, all erased, to where the last one of `drawn`
    would end: from there rich goes up by itself."""
    up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * (broken - 1)
    down = [(ControlType.CURSOR_DOWN, drawn - 1)] if drawn > 1 else []
    return Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up, *down)


class _Rows:
    """Rows of a screen as something rich can print."""

    def __init__(self, rows: Lines) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, row in enumerate(self._rows):
            if number:
                yield Segment.line()
            yield from row
