"""The report of a run: one HTML page, to attach to a ticket. The only module that imports jinja2.

The page loads nothing from a server. It has no scripts except those that draw charts, in frames of
their own (see `charts`). It is made from the journal alone: the same journal gives the same bytes.
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import PurePath
from typing import Any

from nbrun.audit.verify import Standing, Verification
from nbrun.core.events import Record
from nbrun.views.export import report_steps, timeline
from nbrun.views.export.account import RunAccount, account
from nbrun.views.render import charts
from nbrun.views.text import identities, phrases, runbook_facts
from nbrun.views.text.event_summary import who_and_what
from nbrun.views.text.sanitize import visible

_STANDINGS = {
    Standing.SEALED: "ok",
    Standing.UNSEALED: "off",
    Standing.OPEN: "off",
    Standing.BROKEN: "bad",
}


def build(records: Iterable[Record], found: Verification | None = None) -> bytes:
    """Return the report of a run, which may still be going on, as UTF-8.

    `found` is the result of a check of its record, for the report to state.

    Raises:
        IllegalEventError: the records are not those of a run.
    """
    run = account(records)
    info = run.state.kernel_info
    language = str(info.language) if info else "python"
    sections = [report_steps.section(run, each, language) for each in run.sections]
    drawn = charts.kinds_in(
        output
        for section in sections
        for attempt in section["attempts"]
        for output in attempt["outputs"]
    )
    epilogue = run.state.plan.epilogue if run.state.current is None else ()
    page = (
        _environment()
        .get_template("report.html")
        .render(
            plan=run.state.plan,
            name=PurePath(run.state.plan.runbook).name,
            style=_style(),
            why=run.state.finished.why if run.state.finished else "",
            failures=report_steps.failures(run),
            index=report_steps.index(run),
            facts=facts(run, found),
            outcome=outcome(run),
            kind=_kind(run),
            standing=found.standing.value if found else "",
            standing_kind=_STANDINGS[found.standing] if found else "",
            deviations=[
                phrases.deviation_and_reason(run.state, each) for each in run.state.deviations
            ],
            began=run.began,
            picture=timeline.timeline(run),
            summary=timeline.summary(run),
            sections=sections,
            anchors=report_steps.anchors(run),
            epilogue=report_steps.narration(epilogue),
            events=run.events,
            libraries=charts.render_libraries(drawn),
            script_policy=charts.script_policy(drawn),
        )
    )
    return str(page).encode("utf-8", "backslashreplace")


def outcome(run: RunAccount) -> str:
    """Return `completed, on script`, or that no end is recorded."""
    return phrases.run_outcome(run.state.finished) if run.state.finished else "no end is recorded"


def facts(run: RunAccount, found: Verification | None) -> list[tuple[str, str]]:
    """Return what ran, who ran it, when, where and why, as names and values.

    `found` adds the state of the record.
    """
    plan, finished = run.state.plan, run.state.finished
    rows = [
        ("Runbook", plan.runbook),
        ("SHA-256 of the runbook", plan.runbook_sha256),
        ("Git commit", plan.git_commit or ""),
        *runbook_facts.capitalized(plan),
        ("Run", plan.run),
        ("Started", f"{phrases.timestamp(run.began)} by {phrases.operator(plan.operator)}"),
        ("Ended", f"{phrases.timestamp(run.last)}: {finished.why}" if finished else ""),
        ("Took", phrases.duration(run.end)),
        ("Waited for the operator", phrases.duration(run.waited) if run.waits else ""),
        ("Host", plan.host),
        *((name.capitalize(), value) for name, value in identities.rows(plan.role)),
        ("Folder", plan.cwd),
        ("Kernel", plan.kernelspec),
        ("Gateway", plan.gateway),
        ("Reason", plan.reason),
        ("Ticket", plan.ticket),
        *((f"Parameter {name}", _json(value)) for name, value in plan.parameters.items()),
        *(("Notice", notice) for notice in plan.notices),
        *_standing(found),
        ("Key that is to sign the record", plan.sign_key),
        ("Hash of the record's last line", run.head),
    ]
    return [(visible(name), visible(value)) for name, value in rows if value]


def _standing(found: Verification | None) -> Iterator[tuple[str, str]]:
    if found is not None:
        yield "Record, when this was made", f"{found.standing.value}: {found.why}"
        yield from (("Note on the record", note) for note in found.notes)


def _kind(run: RunAccount) -> str:
    finished = run.state.finished
    if finished is None:
        return "unknown"
    if finished.outcome != "completed":
        return "bad"
    return "off" if finished.off_script else "ok"


def _clock(at: str, began: str) -> str:
    """Return the time of day of an event, and its date if that is not the day the run began."""
    clock = phrases.time_of_day(at)
    return clock if at[:10] == began[:10] else f"{at[:10]} {clock}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@lru_cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nbrun.views.export"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["visible"] = visible
    environment.filters["clock"] = _clock
    environment.filters["who_and_what"] = who_and_what
    return environment


@lru_cache
def _style() -> str:
    return (resources.files("nbrun.views.export") / "templates" / "report.css").read_text("utf-8")
