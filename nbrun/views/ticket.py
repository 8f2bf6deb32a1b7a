"""A run as Markdown, short enough for a ticket: how it ended, what was done instead, what broke."""

import re
from collections.abc import Iterable, Iterator

from nbrun.events import Record
from nbrun.script import label
from nbrun.views import report, wording
from nbrun.views.account import Account, Attempt, account
from nbrun.views.ansi import plain, visible
from nbrun.views.stream import to_text

_MOST_LINES = 30  # of what an attempt that did not succeed printed
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def build(records: Iterable[Record]) -> bytes:
    """The ticket's text, CommonMark with tables (GitHub, GitLab, Jira's editor take it), as UTF-8.

    Raises:
        IllegalEventError: the records are no run's.
    """
    told = account(records)
    text = "\n".join(_lines(told)) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _lines(told: Account) -> Iterator[str]:
    yield f"# {_md(report.outcome(told))}: {_md(told.state.plan.runbook.rpartition('/')[2])}"
    yield ""
    yield from _table(("", ""), report.facts(told))
    if told.state.deviations:
        yield from ("", "## Off script", "")
        yield from (f"- {_md(wording.deviation(told.state, d))}" for d in told.state.deviations)
    yield from ("", "## Steps", "")
    yield from _table(("step", "title", "attempt", "started", "how it ended"), _rows(told))
    if told.happenings:
        yield from ("", "## Stops, decisions and notes", "")
        rows = [
            (wording.clock(each.at), each.kind, each.what, each.why) for each in told.happenings
        ]
        yield from _table(("time", "", "what", "why"), rows)
    for attempt in told.attempts:
        if attempt.outcome != "ok":
            yield from _failed(told, attempt)


def _rows(run: Account) -> Iterator[tuple[str, ...]]:
    for section in run.sections:
        number = str(section.step.number) if section.step else "+"
        for each in section.attempts:
            edited = " (edited)" if each.started.edited else ""
            began = wording.clock(each.at)
            told = "; ".join(filter(None, (each.told, each.not_kept)))
            yield number, section.title, f"{each.started.attempt}{edited}", began, told
        if section.why_not_run:
            yield number, section.title, "", "", section.why_not_run


def _failed(told: Account, attempt: Attempt) -> Iterator[str]:
    where = label(told.state, attempt.started.step)
    yield from ("", f"## {_md(where)}, attempt {attempt.started.attempt}: {_md(attempt.told)}", "")
    yield from _fenced(visible(attempt.started.source))
    printed = "\n".join(_printed(attempt)).strip("\n")
    if printed:
        lines = printed.split("\n")
        left = len(lines) - _MOST_LINES
        kept = lines[-_MOST_LINES:]
        yield from ("", *_fenced("\n".join([f"… {left} lines before"] * (left > 0) + kept)))


def _printed(attempt: Attempt) -> Iterator[str]:
    for output in attempt.outputs:
        if output.get("output_type") == "stream":
            yield to_text("".join(output.get("text", ""))).plain
        elif output.get("output_type") == "error":
            traceback = "\n".join(map(str, output.get("traceback") or ()))
            yield to_text(traceback or f"{output.get('ename')}: {output.get('evalue')}").plain


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
