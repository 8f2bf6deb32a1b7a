"""A timeline of a run as SVG: attempts above, times of waiting for the operator below."""

import html
from collections.abc import Iterator
from dataclasses import dataclass

from nbrun.views.export.account import AttemptAccount, RunAccount
from nbrun.views.text import phrases

WIDTH = 1000
_LEFT, _TOP, _HEIGHT, _GAP = 2, 14, 26, 8
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MAX_TICKS = 8
_TICK_ROOM = 60  # units of the drawing between the labels of two ticks, at least
_SHORT = {"ok": "ok", "interrupted": "stopped", "indeterminate": "unknown"}

# The axis is broken at idle times that would leave the attempts less than a quarter of it.
_MAX_IDLE = 3.0  # idle times together, in times of all attempts
_BROKEN = 0.5  # the shortest idle time that is broken, in the same
_DRAWN = 0.25  # how long a broken one is drawn, in the same
_MIN_BUSY = 0.1  # seconds that all attempts take, at least


@dataclass(frozen=True)
class _Break:
    """An idle time that is drawn shorter than it was. All in seconds since the run began."""

    start: float
    end: float
    drawn: float


class _Axis:
    """Where a time is drawn."""

    def __init__(self, run: RunAccount) -> None:
        self.end = run.end
        self.breaks = tuple(_breaks(run))
        self.drawn = run.end - sum(each.end - each.start - each.drawn for each in self.breaks)
        self._scale = (WIDTH - 2 * _LEFT) / max(self.drawn, 0.001)

    def x(self, time: float) -> float:
        """Return the x coordinate of a time, in seconds since the run began."""
        left_out = 0.0
        for each in self.breaks:
            part = min(max(0.0, time - each.start), each.end - each.start)
            left_out += part * (1 - each.drawn / (each.end - each.start))
        return _LEFT + (time - left_out) * self._scale


def timeline(run: RunAccount) -> str:
    """Return an SVG element; the page colours its classes.

    The classes are `ok`, `bad`, `stopped`, `unknown`, `wait` and `break`.
    """
    axis = _Axis(run)
    below = _TOP + _HEIGHT + _GAP
    parts = [
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {below + _HEIGHT + 22}" role="img" '
        'aria-labelledby="timeline-title timeline-text">',
        '<title id="timeline-title">Attempts over time</title>',
        f'<desc id="timeline-text">{html.escape(summary(run))}</desc>',
        *_ticks(axis, below + _HEIGHT),
        *(part for each in run.attempts for part in _attempt(run, each, axis)),
    ]
    for wait in run.waits:
        title = f"waited {phrases.duration(wait.end - wait.start)}: {wait.why}"
        parts.append(_bar("wait", (wait.start, wait.end), axis, below, title))
    parts += [part for each in axis.breaks for part in _mark_break(axis, each, below + _HEIGHT)]
    return "".join([*parts, "</svg>"])


def summary(run: RunAccount) -> str:
    """Return the timeline in words."""
    many, waits = len(run.attempts), len(run.waits)
    breaks = len(_Axis(run).breaks)
    broken = f" The axis is broken {breaks} time{'s' * (breaks != 1)}." if breaks else ""
    return (
        f"{many} attempt{'s' * (many != 1)} in {phrases.duration(run.end)}; the run waited for "
        f"its operator {waits} time{'s' * (waits != 1)}, {phrases.duration(run.waited)} in all."
        f"{broken}"
    )


def _breaks(run: RunAccount) -> Iterator[_Break]:
    """Yield the idle times to break, if the attempts would be too small beside them."""
    idle = [(start, min(end, run.end)) for start, end in _idle(run) if start < run.end]
    busy = max(_MIN_BUSY, run.end - sum(end - start for start, end in idle))
    if sum(end - start for start, end in idle) <= _MAX_IDLE * busy:
        return
    for start, end in idle:
        if end - start > _BROKEN * busy:
            yield _Break(start, end, _DRAWN * busy)


def _idle(run: RunAccount) -> Iterator[tuple[float, float]]:
    """Yield the times in which no attempt ran; none for a run without attempts."""
    at = 0.0
    for each in run.attempts:
        if each.start > at:
            yield at, each.start
        at = max(at, run.end if each.end is None else each.end)
    if run.attempts and run.end > at:
        yield at, run.end


def _attempt(run: RunAccount, attempt: AttemptAccount, axis: _Axis) -> Iterator[str]:
    end = attempt.end if attempt.end is not None else run.end
    kind = _SHORT.get(attempt.outcome, "bad")
    state = run.state
    title = f"{phrases.step(state, attempt.started.step)}, attempt {attempt.started.attempt}: "
    yield _bar(kind, (attempt.start, end), axis, _TOP, title + attempt.result)
    known = state.steps.get(attempt.started.step)
    label = str(known.step.number) if known else "+"
    left, right = axis.x(attempt.start), axis.x(end)
    if right - left > 9 * len(label) + 4:
        middle = (left + right) / 2
        yield f'<text class="on" x="{middle:.1f}" y="{_TOP + _HEIGHT - 8}">{label}</text>'


def _bar(kind: str, span: tuple[float, float], axis: _Axis, y: int, title: str) -> str:
    start, end = map(axis.x, span)
    width = max(1.5, end - start)
    x = min(start, WIDTH - _LEFT - width)
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_HEIGHT}">'
        f"<title>{html.escape(title)}</title></rect>"
    )


def _mark_break(axis: _Axis, each: _Break, bottom: int) -> Iterator[str]:
    """Two slanted lines in the middle of a break, and how long it was."""
    middle = (axis.x(each.start) + axis.x(each.end)) / 2
    for x in (middle - 3, middle + 3):
        yield (
            f'<line class="break" x1="{x - 4:.1f}" y1="{bottom + 6}" x2="{x + 4:.1f}" y2="{_TOP}"/>'
        )
    length = phrases.duration(each.end - each.start)
    yield f'<text class="break" text-anchor="middle" x="{middle:.1f}" y="10">{length}</text>'


def _ticks(axis: _Axis, bottom: int) -> Iterator[str]:
    """Lines at round times, without those in a break and those that add nothing to the last one."""
    drawn = axis.drawn
    tick = next((each for each in _TICKS if drawn / each <= _MAX_TICKS), max(1.0, drawn / 4))
    last, label = float(-_TICK_ROOM), ""
    for number in _tick_numbers(axis, tick):
        x = axis.x(number * tick)
        time = phrases.duration(number * tick).replace(".0 s", " s")
        if x - last < _TICK_ROOM or time == label:
            continue
        last, label = x, time
        yield f'<line class="tick" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{bottom + 6}"/>'
        anchor = "start" if number == 0 else "end" if x > WIDTH - 30 else "middle"
        yield (
            f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{bottom + 19}">'
            f"{label}</text>"
        )


def _tick_numbers(axis: _Axis, tick: float) -> Iterator[int]:
    """Yield the numbers of the ticks outside of breaks: a break may hold very many."""
    number = 0
    for each in axis.breaks:
        yield from range(number, int(each.start / tick) + 1)
        number = int(-(-each.end // tick))
    yield from range(number, int(axis.end / tick) + 1)
