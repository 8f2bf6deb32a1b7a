"""The summary of a run in Markdown, short enough to paste into a ticket.

It says how the run ended, how it left the script and what failed, and shows the beginning and the
end of what each attempt printed.
"""

import re
from collections.abc import Iterable, Iterator

from nbrun.audit.verify import Verification
from nbrun.core.events import Record
from nbrun.core.planner import step_label
from nbrun.views.export import report
from nbrun.views.export.account import AttemptAccount, RunAccount, account
from nbrun.views.export.output_text import output_text
from nbrun.views.text import phrases
from nbrun.views.text.event_summary import who_and_what
from nbrun.views.text.sanitize import plain, visible_source

_FAILED_LINES = 30  # shown of an attempt that did not succeed
_OK_LINES = 10  # shown of an attempt that succeeded
# Shown of all attempts that succeeded together: trackers take at most 32,767 in a ticket.
_OK_CHARACTERS = 20_000
_LINE_WIDTH = 200  # characters shown of a line
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def build(records: Iterable[Record], found: Verification | None = None) -> bytes:
    """Return the summary as UTF-8: CommonMark with tables, as GitHub, GitLab and Jira read it.

    `found` is the result of a check of the record, for the summary to state.

    Raises:
        IllegalEventError: the records are not those of a run.
    """
    text = "\n".join(_lines(account(records), found)) + "\n"
    return text.encode("utf-8", "backslashreplace")


def _lines(run: RunAccount, found: Verification | None) -> Iterator[str]:
    yield f"# {_md(report.outcome(run))}: {_md(run.state.plan.runbook.rpartition('/')[2])}"
    yield ""
    yield from _table(("", ""), report.facts(run, found))
    if run.state.deviations:
        yield from ("", "## Off script", "")
        yield from (
            f"- {_md(phrases.deviation_and_reason(run.state, d))}" for d in run.state.deviations
        )
    yield from ("", "## Steps", "")
    yield from _table(("step", "title", "attempt", "started", "how it ended"), _rows(run))
    if run.events:
        yield from ("", "## Stops, decisions and notes", "")
        rows = [
            (phrases.time_of_day(each.at), each.kind, who_and_what(each), each.why)
            for each in run.events
        ]
        yield from _table(("time", "", "what", "why"), rows)
    yield from _attempts(run)


def _attempts(run: RunAccount) -> Iterator[str]:
    """Yield what each attempt printed; of successful ones, only as much as there is room for."""
    room = _OK_CHARACTERS
    left_out = 0
    for attempt in run.attempts:
        if attempt.outcome != "ok":
            yield from _failed(run, attempt)
            continue
        printed = _shortened(_printed(run, attempt), _OK_LINES // 2, _OK_LINES // 2)
        room -= len(printed)
        if room < 0:
            left_out += bool(printed)
        elif printed:
            yield from (*_heading(run, attempt), *_fenced(printed))
    if left_out:
        many = f"{left_out} more attempt{'s' * (left_out != 1)}"
        yield from ("", f"What {many} printed is left out here: the record has it.")


def _rows(run: RunAccount) -> Iterator[tuple[str, ...]]:
    for section in run.sections:
        number = str(section.step.number) if section.step else "+"
        for each in section.attempts:
            edited = " (edited)" if each.started.edited else ""
            began = phrases.time_of_day(each.at)
            result = "; ".join(filter(None, (each.result, each.not_kept)))
            yield number, section.title, f"{each.started.attempt}{edited}", began, result
        unattempted = phrases.DONE_BY_HAND if section.done else section.why_not_run
        if unattempted:
            yield number, section.title, "", "", unattempted


def _failed(run: RunAccount, attempt: AttemptAccount) -> Iterator[str]:
    yield from (*_heading(run, attempt), *_fenced(visible_source(attempt.started.source)))
    printed = _shortened(_printed(run, attempt), 0, _FAILED_LINES)
    if printed:
        yield from ("", *_fenced(printed))


def _heading(run: RunAccount, attempt: AttemptAccount) -> tuple[str, ...]:
    where = step_label(run.state, attempt.started.step)
    return "", f"## {_md(where)}, attempt {attempt.started.attempt}: {_md(attempt.result)}", ""


def _printed(run: RunAccount, attempt: AttemptAccount) -> str:
    """Return the outputs as text; of an output without text, what it is and what shows it."""
    elsewhere = f"nbrun export {run.state.plan.run} --html"
    texts = (output_text(each, elsewhere) for each in attempt.outputs)
    return "\n".join(filter(None, texts)).strip("\n")


def _shortened(text: str, first: int, last: int) -> str:
    """Return the first and last lines of `text`, shortened, and how many are between them."""
    lines = [
        line if len(line) <= _LINE_WIDTH else f"{line[:_LINE_WIDTH]}…" for line in text.split("\n")
    ]
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
    """Return `text` on one line, escaped for Markdown."""
    return _SPECIAL.sub(r"\\\1", plain(text))
