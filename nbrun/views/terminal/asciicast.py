"""A run as an asciicast: a recording of the terminal view, for `asciinema play` and others.

Source of the format: "asciicast file format (version 2)", docs.asciinema.org: a header as one line
of JSON, then one line an event: seconds since the beginning, "o" for output, the text.
"""

import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Console

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions

WIDTH, HEIGHT = 100, 30


def build(records: Iterable[Record]) -> bytes:
    """Return the asciicast of a run: what its terminal would have shown, and when."""
    return b"".join(line.encode("utf-8", "backslashreplace") + b"\n" for line in _lines(records))


def _lines(records: Iterable[Record]) -> Iterator[str]:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, color_system="256", width=WIDTH, height=HEIGHT,
        highlight=False, emoji=False, markup=False, legacy_windows=False,
    )  # fmt: skip
    state, at = RunState(), 0.0
    view = TerminalView(
        console, live=True, display=DisplayOptions(pictures=False), clock=lambda: at
    )
    for record in records:
        if isinstance(record.event, ev.RunStarted):
            yield _header(record)
        apply(state, record.event)
        at = max(at, record.mono)
        view.show(state, record)
        view.flush()
        yield from _event(at, screen)
    view.close()
    yield from _event(at, screen)


def _header(record: Record) -> str:
    title = record.event.run if isinstance(record.event, ev.RunStarted) else ""
    head = {
        "version": 2,
        "width": WIDTH,
        "height": HEIGHT,
        "timestamp": int(datetime.fromisoformat(record.at).timestamp()),
        "title": title,
        "env": {"TERM": "xterm-256color"},
    }
    return json.dumps(head)


def _event(at: float, screen: io.StringIO) -> Iterator[str]:
    """Text written since the event before. A terminal in raw mode needs carriage returns."""
    written = screen.getvalue()
    screen.seek(0)
    screen.truncate()
    if written:
        yield json.dumps([round(at, 6), "o", written.replace("\n", "\r\n")], ensure_ascii=False)
