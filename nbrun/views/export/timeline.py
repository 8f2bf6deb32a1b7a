"""A timeline of a run as SVG: attempts above, times of waiting for the operator below."""

import html
from collections.abc import Iterator

from nbrun.views.export.account import AttemptAccount, RunAccount
from nbrun.views.text import phrases

WIDTH = 1000
_LEFT, _TOP, _HEIGHT, _GAP = 2, 14, 26, 8
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_MAX_TICKS = 8
_SHORT = {"ok": "ok", "interrupted": "stopped", "indeterminate": "unknown"}


def timeline(run: RunAccount) -> str:
    """Return an SVG element; the page colours its classes.

    The classes are `ok`, `bad`, `stopped`, `unknown` and `wait`.
    """
    scale = (WIDTH - 2 * _LEFT) / max(run.end, 0.001)
    below = _TOP + _HEIGHT + _GAP
    parts = [
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {below + _HEIGHT + 22}" role="img" '
        'aria-labelledby="timeline-title timeline-text">',
        '<title id="timeline-title">Attempts over time</title>',
        f'<desc id="timeline-text">{html.escape(summary(run))}</desc>',
        *_axis(run.end, scale, below + _HEIGHT),
        *(part for each in run.attempts for part in _attempt(run, each, scale)),
    ]
    for wait in run.waits:
        title = f"waited {phrases.duration(wait.end - wait.start)}: {wait.why}"
        parts.append(_bar("wait", (wait.start, wait.end), scale, below, title))
    return "".join([*parts, "</svg>"])


def summary(run: RunAccount) -> str:
    """Return the timeline in words."""
    many, waits = len(run.attempts), len(run.waits)
    return (
        f"{many} attempt{'s' * (many != 1)} in {phrases.duration(run.end)}; the run waited for "
        f"its operator {waits} time{'s' * (waits != 1)}, {phrases.duration(run.waited)} in all."
    )


def _attempt(run: RunAccount, attempt: AttemptAccount, scale: float) -> Iterator[str]:
    end = attempt.end if attempt.end is not None else run.end
    kind = _SHORT.get(attempt.outcome, "bad")
    state = run.state
    title = f"{phrases.step(state, attempt.started.step)}, attempt {attempt.started.attempt}: "
    yield _bar(kind, (attempt.start, end), scale, _TOP, title + attempt.result)
    known = state.steps.get(attempt.started.step)
    label = str(known.step.number) if known else "+"
    if (end - attempt.start) * scale > 9 * len(label) + 4:
        x = _LEFT + (attempt.start + end) / 2 * scale
        yield f'<text class="on" x="{x:.1f}" y="{_TOP + _HEIGHT - 8}">{label}</text>'


def _bar(kind: str, span: tuple[float, float], scale: float, y: int, title: str) -> str:
    start, end = span
    width = max(1.5, (end - start) * scale)
    x = min(_LEFT + start * scale, WIDTH - _LEFT - width)
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_HEIGHT}">'
        f"<title>{html.escape(title)}</title></rect>"
    )


def _axis(end: float, scale: float, bottom: int) -> Iterator[str]:
    tick = next((each for each in _TICKS if end / each <= _MAX_TICKS), max(1.0, end / 4))
    for number in range(int(end / tick) + 1):
        x = _LEFT + number * tick * scale
        yield f'<line class="tick" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{bottom + 6}"/>'
        anchor = "start" if number == 0 else "end" if x > WIDTH - 30 else "middle"
        yield (
            f'<text class="tick" text-anchor="{anchor}" x="{x:.1f}" y="{bottom + 19}">'
            f"{phrases.duration(number * tick).replace('.0 s', ' s')}</text>"
        )
