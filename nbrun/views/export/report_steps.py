"""The steps of a run as data for the template of the report: an index, the failures, each step."""

from collections.abc import Iterable
from typing import Any

from nbrun.core.model import Narration
from nbrun.core.planner import step_label
from nbrun.views.export.account import AttemptAccount, RunAccount, StepAccount
from nbrun.views.export.worddiff import word_diff
from nbrun.views.render import safe_html
from nbrun.views.render.traceback import error_location, source_line
from nbrun.views.text import phrases
from nbrun.views.text.sanitize import visible_source

_MAX_SOURCE_LINES = 15  # a longer source is folded away
_CONTEXT_LINES = 2  # of a folded source, shown before the line that failed, and after it
_KINDS = {"ok": "ok", "interrupted": "stopped", "indeterminate": "unknown"}


def anchors(run: RunAccount) -> dict[str, str]:
    """Return the anchor of each step's section, by the id of the step."""
    return {each.id: f"step-{number}" for number, each in enumerate(run.sections, 1)}


def index(run: RunAccount) -> list[dict[str, Any]]:
    """Return a row for each step: how it ended and how long its attempts took together."""
    return [_index_row(run, section) for section in run.sections]


def _index_row(run: RunAccount, section: StepAccount) -> dict[str, Any]:
    last = section.attempts[-1] if section.attempts else None
    durations = [each.finished.duration for each in section.attempts if each.finished]
    result, kind = _how_it_ended(run, section, last)
    return {
        "id": section.id,
        "number": section.step.number if section.step else _sign(last),
        "title": section.title,
        "kind": kind,
        "result": result,
        "attempts": len(section.attempts),
        "at": last.at if last else "",
        "took": phrases.duration(sum(durations)) if durations else "",
    }


def _sign(last: AttemptAccount | None) -> str:
    """Return the sign of a cell that is no step: a check, an undo or an inserted cell."""
    return {"check": "✓", "undo": "↶"}.get(last.started.cause if last else "", "+")


def _how_it_ended(
    run: RunAccount, section: StepAccount, last: AttemptAccount | None
) -> tuple[str, str]:
    if section.done:
        return phrases.DONE_BY_HAND, "ok"
    if last is None:
        return section.why_not_run, "none"
    known = run.state.steps.get(section.id)
    if known is not None and known.undone:
        return last.result.partition(" · ")[0] + ", then undone", "stopped"
    skipped = ", then skipped" if known is not None and known.skipped else ""
    return last.result.partition(" · ")[0] + skipped, _kind(last)


def failures(run: RunAccount) -> list[dict[str, str]]:
    """Return the attempts that did not succeed, apart from errors that the runbook allows."""
    return [
        {
            "id": each.started.step,
            "where": f"{step_label(run.state, each.started.step)}, attempt {each.started.attempt}",
            "kind": _kind(each),
            "result": each.result,
        }
        for each in run.attempts
        if each.refutes or (each.outcome != "ok" and not each.allowed and not _is_check(each))
    ]


def section(run: RunAccount, section: StepAccount, language: str) -> dict[str, Any]:
    """Return a step, a check, an undo or an inserted cell, with all its attempts."""
    step = section.step
    by_hand = step is not None and step.contract.manual
    unused = step.source if step and not section.attempts and not by_hand else ""
    return {
        "id": section.id,
        "number": step.number if step else None,
        "title": section.title,
        "impact": phrases.impact(run.state, section.id),
        "narration": narration(step.narration, section.title) if step else "",
        "instructions": (
            safe_html.markdown(step.source, None, section.title) if step and by_hand else ""
        ),
        "source": _source(unused, language),
        "done": phrases.DONE_BY_HAND if section.done else "",
        "why_not_run": section.why_not_run,
        "before": section.before,
        "attempts": [_attempt(each, language) for each in section.attempts],
    }


def narration(cells: Iterable[Narration], title: str = "") -> str:
    """Return Markdown cells as HTML, without the heading that is the title shown above them."""
    shown = (cell for cell in cells if cell.kind == "markdown")
    return "".join(safe_html.markdown(cell.source, cell.attachments, title) for cell in shown)


def _attempt(attempt: AttemptAccount, language: str) -> dict[str, Any]:
    source, planned = attempt.started.source, attempt.planned
    changed = planned != source
    return {
        "number": attempt.started.attempt,
        "at": phrases.timestamp(attempt.at),
        "result": attempt.result,
        "not_kept": attempt.not_kept,
        "kind": _kind(attempt),
        "deviations": [
            phrases.with_reason(phrases.DEVIATIONS[each.kind], each.reason)
            for each in attempt.deviations
        ],
        "source": _source(source, language, _failed_line(attempt)),
        "diff": word_diff(visible_source(planned), visible_source(source)) if changed else "",
        "outputs": [safe_html.output(_join_chunks(each)) for each in attempt.outputs],
        "after": attempt.after,
    }


def _is_check(attempt: AttemptAccount) -> bool:
    return attempt.started.cause == "check"


def _kind(attempt: AttemptAccount) -> str:
    """Return the class of an attempt in the page's styles."""
    if attempt.finished is not None and attempt.finished.holds is not None:
        return "ok" if attempt.finished.holds else "bad" if attempt.refutes else "stopped"
    return "stopped" if attempt.allowed else _KINDS.get(attempt.outcome, "bad")


def _source(source: str, language: str, failed: int = 0) -> dict[str, Any]:
    """Return a source with its failed line marked; of a long one also the lines around it."""
    lines = source.split("\n")
    is_long = len(lines) > _MAX_SOURCE_LINES
    first = max(1, failed - _CONTEXT_LINES)
    around = "\n".join(lines[first - 1 : failed + _CONTEXT_LINES])
    return {
        "html": safe_html.source(source, language, failed),
        "lines": len(lines) if is_long else 0,
        "excerpt": (
            safe_html.source(around, language, failed - first + 1) if is_long and failed else ""
        ),
        "first": first,
    }


def _failed_line(attempt: AttemptAccount) -> int:
    """Return the line of the source in which the error was raised; 0 if unknown."""
    where = [
        error_location([each for each in output.get("traceback") or () if isinstance(each, str)])
        for output in attempt.outputs
        if output.get("output_type") == "error"
    ]
    return source_line(where[-1], attempt.started.source) if where and where[-1] else 0


def _join_chunks(output: dict[str, Any]) -> dict[str, Any]:
    """Join the chunks of a stream into one text."""
    if output.get("output_type") == "stream" and isinstance(output.get("text"), list):
        return output | {"text": "".join(output["text"])}
    return output
