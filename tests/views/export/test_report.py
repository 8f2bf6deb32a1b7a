"""The report of a run as an HTML page."""

import re

import msgspec
import pytest

from nbrun.audit.verify import Standing, Verification
from nbrun.core import events as ev
from nbrun.core.model import Contract
from nbrun.views.export import report, ticket, timeline
from nbrun.views.export.account import account
from tests.support import build_events
from tests.support.run_builder import Run, narrate, step, stream
from tests.views.export.example_run import edited_run


def page(made: Run) -> str:
    return report.build(made.records).decode()


def test_report_names_what_who_when_where_and_why() -> None:
    text = page(edited_run())
    for said in (
        "restore.ipynb", "20261123-093000-restore-ab12", "2026-11-23 09:30:00 UTC by ada", "db1",
        "disk full", "OPS-7", "completed, off script", account(edited_run().records).head,
        "Look first", "destructive", "3 is enough", "tomorrow", "not run: skipped",
    ):  # fmt: skip
        assert said in text, said


def test_decisions_are_listed_at_step_where_made() -> None:
    made = Run(step("a"), step("b"), step("c")).attempt("a").failure("b").note("called the dba")
    made.decide("edit", step="a", source="a(2)", reason="a was wrong")
    made.attempt("a", source="a(2)", cause="operator").stop("step_mode")
    made.decide("skip", reason="tomorrow").stop("approval").add(build_events.approval_granted("c"))
    articles = page(made).split("<article")[1:]
    said = [
        (kind, step_)
        for step_, article in enumerate(articles, 1)
        for kind in re.findall(r"<li>.*?<strong>(.*?)</strong>", article)
    ]
    assert said == [
        ("stop", 2), ("note", 2), ("decision", 2), ("stop", 2), ("decision", 2), ("off script", 2),
        ("stop", 3), ("approved", 3),
    ]  # fmt: skip
    assert "a was wrong" in articles[0]  # the deviation's reason, on the attempt that it led to
    assert "called the dba" in articles[1]
    assert '<a href="#step-2">note</a>' in page(made)


def test_failing_line_is_marked_in_source() -> None:
    made = Run(step("a", "one()\ntwo()\nthree()")).begin("a")
    frame = "Cell In[1], line 2\n      1 one()\n----> 2 two()"
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [frame, "E: v"]}
    text = page(made.output(error).end("error", ename="E", evalue="v"))
    assert re.findall(r'class="hll">(?:<[^>]*>)*(\w+)', text) == ["two"]


def test_failing_line_is_marked_when_ipython_joined_lines_before_it() -> None:
    made = Run(step("a", "! ls \\\n  /\nfine()\ntwo()")).begin("a")
    frame = "Cell In[1], line 3\n      2 fine()\n----> 3 two()"
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [frame, "E: v"]}
    text = page(made.output(error).end("error", ename="E", evalue="v"))
    assert re.findall(r'class="hll">(?:<[^>]*>)*(\w+)', text) == ["two"]


@pytest.mark.parametrize("standing", [*Standing])
def test_report_and_ticket_state_standing_of_record(standing: Standing) -> None:
    found = Verification("r", standing, "signed by <ops>", notes=("the notebook is gone",))
    text = report.build(edited_run().records, found).decode()
    assert f">{standing.value}</span></h1>" in text
    for said in (f"{standing.value}: signed by &lt;ops&gt;", "the notebook is gone"):
        assert said in text
    said = ticket.build(edited_run().records, found).decode()
    assert rf"| {standing.value}: signed by \<ops\> |" in said
    for unsaid in Standing:
        assert unsaid.value not in page(edited_run())


def test_edit_is_diffed_word_by_word() -> None:
    assert "check(<del>10</del><ins>3</ins>)" in page(edited_run())


def test_the_same_journal_gives_the_same_bytes() -> None:
    assert report.build(edited_run().records) == report.build(edited_run().records)


def test_unfinished_run_has_report() -> None:
    assert "no end is recorded" in page(Run(step("a")))
    assert "no end is recorded" in page(Run(step("a")).begin("a"))


def test_page_loads_nothing_from_servers() -> None:
    text = page(edited_run())
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link rel=.stylesheet|iframe)", text)
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == []


def test_hostile_text_is_escaped_everywhere() -> None:
    hostile = "<script>alert(1)</script>&"
    made = Run(
        step("a", hostile, title=hostile), parameters={hostile: hostile}, run=hostile,
        runbook="/x/" + hostile, reason=hostile, notices=(hostile,),
    )  # fmt: skip
    made.attempt("a", stream(hostile), outcome="error", ename=hostile, evalue=hostile)
    made.stop("step_failed").note(hostile).decide("skip", reason=hostile).finish(why=hostile)
    assert "<script" not in page(made)
    assert "<script" not in timeline.timeline(account(made.records))


def test_report_and_ticket_name_capped_output_and_signing_key() -> None:
    made = Run(step("a"), sign_key="SHA256:abc").begin("a")
    made.add(build_events.output_capped("a", outputs=7)).end().finish()
    for view in (report, ticket):
        text = view.build(made.records).decode()
        assert "is not kept: 7 outputs" in text
        assert "SHA256:abc" in text


# ── what the report begins with ──────────────────────────────────────────────────────────────


def test_report_begins_with_outcome_deviations_failures_and_index() -> None:
    made = edited_run()
    text = page(made)
    places = [
        text.index(each)
        for each in (
            "completed, off script</span>",
            "<h2>Off script</h2>",
            "<h2>What did not succeed</h2>",
            ">Steps at a glance</h2>",
            ">Over time</h2>",
            ">About this run</h2>",
            ">Steps</h2>",
        )
    ]
    assert places == sorted(places)
    assert (
        '<li><a href="#step-1">step 1, attempt 1</a>: <span class="result bad">failed · 1.2 s · '
        "ValueError: no such host</span></li>"
    ) in text
    rows = re.findall(r"<tr><td>.*?</tr>", text)
    assert ['href="#step-1">Check</a>' in rows[0], ">ok</td>" in rows[0]] == [True, True]
    assert ">2.5 s</td><td>2</td>" in rows[0]
    assert "not run: skipped" in rows[1]


def test_index_says_how_each_step_ended() -> None:
    made = Run(step("a", tags=("raises-exception",)), step("b"), step("c"), step("d"))
    made.begin("a").end("error", ename="E", evalue="v").failure("b")
    made.decide("skip", reason="no matter").stop("manual").decide("done", reason="by phone")
    text = page(made.finish("cancelled"))
    assert re.findall(r'<td class="result (\w+)">(.*?)</td>', text) == [
        ("stopped", "failed as the runbook allows"),
        ("bad", "failed, then skipped"),
        ("ok", "done by hand"),
        ("none", "not run: the run was cancelled before it"),
    ]


def test_error_that_runbook_allows_is_no_failure() -> None:
    made = Run(step("a", tags=("raises-exception",))).begin("a")
    text = page(made.end("error", ename="E", evalue="v").finish())
    assert "What did not succeed" not in text
    assert "failed as the runbook allows" in text


def test_source_over_fifteen_lines_is_folded() -> None:
    short, long = ("\n".join(f"f({n})" for n in range(many)) for many in (15, 16))
    made = Run(step("a", short), step("b", long), step("c", long)).attempt("a").attempt("b")
    text = page(made.finish("failed"))
    assert text.count("<summary>source: 16 lines</summary>") == 2
    assert "source: 15 lines" not in text


def test_folded_source_that_failed_shows_lines_around_the_failure() -> None:
    made = Run(step("a", "\n".join(f"f({n})" for n in range(1, 41)))).begin("a")
    frame = "Cell In[1], line 30\n----> 30 f(30)"
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [frame, "E: v"]}
    text = page(made.output(error).end("error", ename="E", evalue="v"))
    shown = re.sub("<[^>]*>", "", text.split('aria-label="the lines that failed">')[1])
    assert shown.startswith("f(28)\nf(29)\nf(30)\nf(31)\nf(32)\n")
    assert text.count('class="hll"') == 2


def test_title_is_not_shown_twice() -> None:
    narration = (narrate("n", "# Restore\n\n## Look `first`\n\nCarefully."),)
    made = Run(step("a", title="Look first", narration=narration)).attempt("a")
    text = page(made.finish())
    assert re.findall(r"<h[1-6][^>]*>(?:<span.*?</span> )?Look", text) == [
        '<h3 id="step-1"><span class="number">1</span> Look'
    ]
    assert "<h4>Restore</h4>" in text
    assert "Carefully." in text


def test_stop_in_section_of_step_does_not_repeat_its_title() -> None:
    articles = page(edited_run()).split("<article")[1:]
    assert "<strong>stop</strong> this step failed</li>" in articles[0]


def test_instructions_of_step_done_by_hand_are_markdown() -> None:
    by_hand = step(
        "a", "## Unplug\n\nRack **B12**.", title="Unplug", contract=Contract(manual=True)
    )
    made = Run(by_hand, step("b")).stop("manual").decide("done")
    text = page(made.attempt("b").finish())
    assert text.count("Rack <strong>B12</strong>.") == 1
    assert '<p class="result ok">done by hand</p>' in text
    assert "<h5>Unplug" not in text
    assert "Rack <strong>B12</strong>." in page(Run(by_hand, step("b")).finish("cancelled"))


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-23T23:59:59.000000Z", "23:59:59Z"),
        ("2026-11-24T00:00:01.000000Z", "2026-11-24 00:00:01Z"),
    ],
)
def test_times_of_other_days_have_date(at: str, shown: str) -> None:
    made = Run(step("a")).attempt("a").finish()
    records = [
        msgspec.structs.replace(each, at=at) if isinstance(each.event, ev.AttemptStarted) else each
        for each in made.records
    ]
    assert f'<td class="at">{shown}</td>' in report.build(records).decode()
