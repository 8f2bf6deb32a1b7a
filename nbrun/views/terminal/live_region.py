"""The last rows of a terminal while a step runs: the end of its output, and a clock."""

from collections.abc import Callable

from rich.cells import chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from nbrun.views.render import terminal_query
from nbrun.views.terminal.live_output import Rows
from nbrun.views.text import phrases

REFRESH = 0.1  # seconds between two drawings
_MAX_ROWS = 16  # of output, however large the terminal
_ROWS_ABOVE = 4  # left to the text above the region

LastRows = Callable[[Console, int], Rows]


class LiveRegion:
    """Redraw in place the rows of `last_rows(console, rows)`, and the running step's clock.

    `reflows` says whether the terminal wraps its rows anew when it becomes narrower; it is called
    when that happens.
    """

    def __init__(
        self,
        console: Console,
        last_rows: LastRows,
        clock: Callable[[], float],
        reflows: Callable[[], bool] = terminal_query.reflows,
    ) -> None:
        self._console = console
        self._last_rows = last_rows
        self._clock = clock
        self._reflows = reflows
        self._started = False
        self._live: Live | None = None
        self._rows: Rows = []
        self._width = 0
        self._running = ""
        self._began = 0.0
        self._drawn = 0.0

    def start(self, running: str, began: float) -> None:
        """Show the region from the next `draw` on. `began`: seconds, by the region's own clock."""
        self._running, self._began = running, began
        self._drawn = float("-inf")
        self._started = True

    def _begin(self) -> Live:
        live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,  # `terminal_query` asks the terminal there
        )
        live.start()
        self._console.show_cursor(True)  # so that a killed console does not leave it hidden
        return live

    def stop(self) -> None:
        """Erase the region."""
        self.erase_reflowed()
        self._started = False
        live, self._live = self._live, None
        self._rows = []
        if live is not None:
            live.stop()

    def draw(self, *, force: bool) -> None:
        """Draw the region if it is due; `force`: at once."""
        now = self._clock()
        if not self._started or not (force or now - self._drawn >= REFRESH):
            return
        self._live = self._live or self._begin()
        self._drawn = now
        self.erase_reflowed()
        self._rows = [*self._output_rows(), self._progress(now)]
        self._live.update(_Drawing(self._rows), refresh=True)

    def erase_reflowed(self) -> None:
        """Erase the rows that a terminal has wrapped anew when it became narrower.

        Call this before anything is printed above the region: rich erases only as many rows as it
        has drawn.
        """
        before, self._width = self._width, self._console.width
        if self._width < before and self._rows and self._reflows():
            self._console.control(_erase(len(self._rows), _count_wrapped(self._rows, self._width)))

    def _output_rows(self) -> Rows:
        rows = max(2, min(_MAX_ROWS, self._console.height - _ROWS_ABOVE))
        return self._last_rows(self._console, rows)

    def _progress(self, now: float) -> list[Segment]:
        # One column is left free: on some terminals, the cursor wraps after the last one.
        elapsed = phrases.duration(now - self._began)
        text = Text(f"running {self._running} · {elapsed}", style="dim", no_wrap=True, end="")
        text.truncate(max(1, self._console.width - 1), overflow="ellipsis")
        return list(text.render(self._console))


def _count_wrapped(rows: Rows, width: int) -> int:
    """Return how many rows of `width` columns `rows` take when each is wrapped."""
    texts = ("".join(segment.text for segment in row) for row in rows)
    return sum(len(chop_cells(text, width)) or 1 for text in texts)


def _erase(drawn: int, wrapped: int) -> Control:
    """Erase `wrapped` rows upwards, then move down to where `drawn` rows would end.

    From there, rich moves up by itself.
    """
    up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * (wrapped - 1)
    down = [(ControlType.CURSOR_DOWN, drawn - 1)] if drawn > 1 else []
    return Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up, *down)


class _Drawing:
    """Rows of a screen as something rich can print."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, row in enumerate(self._rows):
            if number:
                yield Segment.line()
            yield from row
