"""The review of all runs of a runbook, on a terminal."""

from collections import Counter
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.core.run_statistics import DeviationInRun, Review, StepReview, advice
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain

_HEADINGS = ("step", "", "runs", "failed", "left", "usual", "longest", "waited")


def renderable(review: Review, runbook: str, *, diffs: bool) -> RenderableType:
    """Of all runs, then a row a step, then each step that failed or where the script was left.
    `diffs`: what was run in place of the runbook's sources, too."""
    parts: list[RenderableType] = [facts(_head(review, runbook)), Text(), _table(review)]
    for step in review.steps:
        if step.errors or step.departures:
            parts += [Text(), *_details(step, diffs=diffs)]
    return Group(*parts)


def _head(review: Review, runbook: str) -> list[tuple[str, str]]:
    ended = ", ".join(f"{count} {outcome}" for outcome, count in review.outcomes.items())
    rows = [
        ("runbook", runbook),
        ("runs", f"{review.runs}: {ended}"),
        ("off script", f"{review.off_script} of {review.runs}"),
        ("from", phrases.timestamp(review.first)),
        ("to", phrases.timestamp(review.last)),
    ]
    return rows + [("versions", f"{review.versions} of its text")] * (review.versions > 1)


def _table(review: Review) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in ("step", "") else "right")
    for step in review.steps:
        left = len({each.run for each in step.departures})
        times = (step.usual, max(step.seconds, default=None), step.waited or None)
        table.add_row(
            str(step.number),
            Text(plain(step.title), overflow="ellipsis", no_wrap=True),
            str(step.runs),
            Text(str(step.failed or "·"), style="red" if step.failed else "dim"),
            Text(str(left or "·"), style="yellow" if left else "dim"),
            *("·" if seconds is None else phrases.duration(seconds) for seconds in times),
        )
    return table


def _details(step: StepReview, *, diffs: bool) -> Iterator[Text]:
    yield Text(plain(f"step {step.number} · {step.title}"), style="bold")
    if step.errors:
        often = (f"{name} ×{count}" for name, count in Counter(step.errors).most_common())
        yield Text(plain(f"  failed with {', '.join(often)}"), style="red")
    for each in step.departures:
        yield from _departure(each, diffs=diffs)
    for line in advice(step):
        yield Text(f"  → {line}", style="bold")


def _departure(each: DeviationInRun, *, diffs: bool) -> Iterator[Text]:
    why = each.reason or "no reason was given"
    yield Text(
        plain(f"  {each.at[:10]} {each.by}: {phrases.DEVIATIONS[each.kind]} ({why})"),
        style="yellow",
    )
    if diffs and (shown := each.diff or each.source):
        for line in shown.splitlines():
            yield Text(plain(f"      {line}"), style="dim")
