"""The last lines of a terminal while a step runs: the end of what it printed, and its clock."""

from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from nbrun.views import wording
from nbrun.views.held import Lines

REFRESH = 0.1  # seconds between two drawings
_HIGHEST = 16  # rows of output, however large the terminal
_OTHERS = 4  # rows that are left to what stands above

Tail = Callable[[Console, int], Lines]


class Region:
    """Redraws in place what `tail(console, rows)` gives and the clock of what runs."""

    def __init__(self, console: Console, tail: Tail, clock: Callable[[], float]) -> None:
        self._console = console
        self._tail = tail
        self._clock = clock
        self._live: Live | None = None
        self._running = ""
        self._began = 0.0
        self._drawn = 0.0

    def start(self, running: str, began: float) -> None:
        """`began` by the clock that it was made with, in seconds."""
        self._running, self._began, self._drawn = running, began, float("-inf")
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._live.start()
        self._console.show_cursor(True)  # a killed console must not leave a terminal without one

    def stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def draw(self, *, force: bool) -> None:
        now = self._clock()
        if self._live is None or not (force or now - self._drawn >= REFRESH):
            return
        self._drawn = now
        self._live.update(_Rows([*self._lines(), self._progress(now)]), refresh=True)

    def _lines(self) -> Lines:
        return self._tail(self._console, max(2, min(_HIGHEST, self._console.height - _OTHERS)))

    def _progress(self, now: float) -> list[Segment]:
        """No full width: a cursor after the last column stands on the next line in some terminals.
        A resized terminal is drawn anew at the next turn."""
        elapsed = wording.duration(now - self._began)
        told = Text(f"running {self._running} · {elapsed}", style="dim", no_wrap=True, end="")
        told.truncate(max(1, self._console.width - 1), overflow="ellipsis")
        return list(told.render(self._console))


class _Rows:
    """Rows of a screen as something rich can print."""

    def __init__(self, rows: Lines) -> None:
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, row in enumerate(self._rows):
            if number:
                yield Segment.line()
            yield from row
