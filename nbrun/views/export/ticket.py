"""A run as Markdown, short enough for a ticket: how it ended, what was done instead, what broke,
and the beginning and end of what was printed."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from nbrun.audit.verify import Verification
from nbrun.core.events import Record
from nbrun.core.planner import step_label
from nbrun.views.export import report
from nbrun.views.export.account import Account, Attempt, account
from nbrun.views.render.terminal_text import screen_text
from nbrun.views.text import phrases
from nbrun.views.text.event_summary import who_and_what
from nbrun.views.text.sanitize import plain, visible

_MOST_LINES = 30  # of what an attempt that did not succeed printed
_FEW_LINES = 10  # of what one that did
_MOST_CHARACTERS = 20_000  # of what those that succeeded printed, all in all: trackers take 32,767
_WIDEST = 200  # characters of a line
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def build(records: Iterable[Record], found: Verification | None = None) -> bytes:
    """The ticket's text, CommonMark with tables (GitHub, GitLab, Jira's editor take it), as UTF-8.
    `found`: what a check of the record found, to be said in it.

    Raises:
        IllegalEventError: the records are no run's.
    """
    told = account(records)
    text = "\n".join(_lines(told, found)) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _lines(told: Account, found: Verification | None) -> Iterator[str]:
    yield f"# {_md(report.outcome(told))}: {_md(told.state.plan.runbook.rpartition('/')[2])}"
    yield ""
    yield from _table(("", ""), report.facts(told, found))
    if told.state.deviations:
        yield from ("", "## Off script", "")
        yield from (
            f"- {_md(phrases.deviation_and_reason(told.state, d))}" for d in told.state.deviations
        )
    yield from ("", "## Steps", "")
    yield from _table(("step", "title", "attempt", "started", "how it ended"), _rows(told))
    if told.events:
        yield from ("", "## Stops, decisions and notes", "")
        rows = [
            (phrases.time_of_day(each.at), each.kind, who_and_what(each), each.why)
            for each in told.events
        ]
        yield from _table(("time", "", "what", "why"), rows)
    yield from _attempts(told)


def _attempts(told: Account) -> Iterator[str]:
    """What each printed; of those that succeeded, until there is too much of it."""
    room = _MOST_CHARACTERS
    left_out = 0
    for attempt in told.attempts:
        if attempt.outcome != "ok":
            yield from _failed(told, attempt)
            continue
        printed = _shortened(_printed(attempt), _FEW_LINES // 2, _FEW_LINES // 2)
        room -= len(printed)
        if room < 0:
            left_out += bool(printed)
        elif printed:
            yield from (*_heading(told, attempt), *_fenced(printed))
    if left_out:
        many = f"{left_out} more attempt{'s' * (left_out != 1)}"
        yield from ("", f"What {many} printed is left out here: the record has it.")


def _rows(run: Account) -> Iterator[tuple[str, ...]]:
    for section in run.sections:
        number = str(section.step.number) if section.step else "+"
        for each in section.attempts:
            edited = " (edited)" if each.started.edited else ""
            began = phrases.time_of_day(each.at)
            told = "; ".join(filter(None, (each.told, each.not_kept)))
            yield number, section.title, f"{each.started.attempt}{edited}", began, told
        if section.why_not_run:
            yield number, section.title, "", "", section.why_not_run


def _failed(told: Account, attempt: Attempt) -> Iterator[str]:
    yield from (*_heading(told, attempt), *_fenced(visible(attempt.started.source)))
    printed = _shortened(_printed(attempt), 0, _MOST_LINES)
    if printed:
        yield from ("", *_fenced(printed))


def _heading(told: Account, attempt: Attempt) -> tuple[str, ...]:
    where = step_label(told.state, attempt.started.step)
    return "", f"## {_md(where)}, attempt {attempt.started.attempt}: {_md(attempt.told)}", ""


def _printed(attempt: Attempt) -> str:
    """As text; of what has none, its types."""
    return "\n".join(filter(None, map(_text, attempt.outputs))).strip("\n")


def _text(output: dict[str, Any]) -> str:
    match output.get("output_type"):
        case "stream":
            return screen_text("".join(output.get("text", ""))).plain
        case "error":
            traceback = "\n".join(map(str, output.get("traceback") or ()))
            return screen_text(traceback or f"{output.get('ename')}: {output.get('evalue')}").plain
    data = output.get("data") or {}
    for mime in ("text/plain", "text/markdown", "text/latex"):
        if mime in data:
            return screen_text("".join(data[mime])).plain
    return visible(f"({', '.join(sorted(data))})")


def _shortened(text: str, first: int, last: int) -> str:
    """Its first and last lines, none too wide, and how many are between."""
    lines = [line if len(line) <= _WIDEST else f"{line[:_WIDEST]}…" for line in text.split("\n")]
    left = len(lines) - first - last
    if left > 0:
        lines = [*lines[:first], f"… {left} lines …", *lines[-last:]]
    return "\n".join(lines)


def _fenced(text: str) -> Iterator[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (fence, text, fence)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(_md, row))} |"


def _md(text: str) -> str:
    """Text on one line that stands for itself."""
    return _SPECIAL.sub(r"\\\1", plain(text))
