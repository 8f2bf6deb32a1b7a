"""The report and the ticket's text of a run."""

import re

import pytest

from nbrun.audit.verify import Standing, Verification
from nbrun.views.export import report, ticket, timeline
from nbrun.views.export.account import account
from tests.support import build_events
from tests.support.run_builder import Tale, display, step, stream, told


def tale() -> Tale:
    narration = (told("n", "## Look first"),)
    made = Tale(
        step("a", "check(10)", title="Check", narration=narration),
        step("b", "drop()", title="Drop", metadata={"nbrun": {"impact": "destructive"}}),
        parameters={"host": "db1"}, reason="disk full", ticket="OPS-7",
    )  # fmt: skip
    made.failure("a").decide("edit", source="check(3)", reason="3 is enough")
    made.attempt("a", stream("fine\n"), source="check(3)", cause="operator").stop("step_mode")
    return made.decide("skip", reason="tomorrow").finish()


def page(made: Tale) -> str:
    return report.build(made.records).decode()


def test_it_says_what_who_when_where_and_why() -> None:
    text = page(tale())
    for said in (
        "restore.ipynb", "20261123-093000-restore-ab12", "2026-11-23 09:30:00 UTC by ada", "db1",
        "disk full", "OPS-7", "completed, off script", account(tale().records).head,
        "Look first", "destructive", "3 is enough", "tomorrow", "not run: skipped",
    ):  # fmt: skip
        assert said in text, said


def test_what_was_decided_stands_in_the_step_where_it_was_decided() -> None:
    made = Tale(step("a"), step("b"), step("c")).attempt("a").failure("b").note("called the dba")
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


def test_the_line_that_failed_is_marked_in_the_source() -> None:
    made = Tale(step("a", "one()\ntwo()\nthree()")).begin("a")
    frame = "Cell In[1], line 2\n      1 one()\n----> 2 two()"
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [frame, "E: v"]}
    text = page(made.output(error).end("error", ename="E", evalue="v"))
    assert re.findall(r'class="hll">(?:<[^>]*>)*(\w+)', text) == ["two"]


@pytest.mark.parametrize("standing", [*Standing])
def test_the_standing_of_the_record_is_said(standing: Standing) -> None:
    found = Verification("r", standing, "signed by <ops>", notes=("the notebook is gone",))
    text = report.build(tale().records, found).decode()
    assert f">{standing.value}</span></h1>" in text
    for said in (f"{standing.value}: signed by &lt;ops&gt;", "the notebook is gone"):
        assert said in text
    said = ticket.build(tale().records, found).decode()
    assert rf"| {standing.value}: signed by \<ops\> |" in said
    for unsaid in Standing:
        assert unsaid.value not in page(tale())


def test_an_edit_is_shown_word_by_word() -> None:
    assert "check(<del>10</del><ins>3</ins>)" in page(tale())


def test_the_same_journal_gives_the_same_bytes() -> None:
    assert report.build(tale().records) == report.build(tale().records)


def test_a_run_that_goes_on_or_never_started_a_step_has_a_report_too() -> None:
    assert "no end is recorded" in page(Tale(step("a")))
    assert "no end is recorded" in page(Tale(step("a")).begin("a"))


def test_nothing_in_the_page_is_loaded_from_anywhere() -> None:
    text = page(tale())
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link rel=.stylesheet|iframe)", text)
    assert re.findall(r'(?:src|href)="(?!data:|#)', text) == []


def test_what_anybody_wrote_is_escaped_wherever_it_stands() -> None:
    hostile = "<script>alert(1)</script>&"
    made = Tale(
        step("a", hostile, title=hostile), parameters={hostile: hostile}, run=hostile,
        runbook="/x/" + hostile, reason=hostile, notices=(hostile,),
    )  # fmt: skip
    made.attempt("a", stream(hostile), outcome="error", ename=hostile, evalue=hostile)
    made.stop("step_failed").note(hostile).decide("skip", reason=hostile).finish(why=hostile)
    assert "<script" not in page(made)
    assert "<script" not in timeline.timeline(account(made.records))


def test_the_timeline_has_a_bar_for_each_attempt_and_wait_and_says_it_in_words() -> None:
    made = account(tale().records)
    picture = timeline.timeline(made)
    assert len(re.findall(r'<rect class="(?!wait)', picture)) == 2
    assert picture.count('<rect class="wait"') == 2
    assert "2 attempts in 16.0 s; the run waited for its operator 2 times" in picture


@pytest.mark.parametrize("seconds", [0.0, 0.5, 59.0, 3_600.0, 1_000_000.0])
def test_any_length_of_a_run_has_an_axis_within_the_picture(seconds: float) -> None:
    made = account(tale().records)
    made.end = seconds
    places = [float(x) for x in re.findall(r'x1="([\d.]+)"', timeline.timeline(made))]
    assert 1 <= len(places) <= 9
    assert all(0 <= x <= timeline.WIDTH for x in places)


def test_a_ticket_says_how_it_ended_what_was_done_instead_and_what_broke() -> None:
    text = ticket.build(tale().records).decode()
    assert text.startswith("# completed, off script: restore.ipynb\n")
    assert "- step 1 run with another source than the runbook's (3 is enough)" in text
    assert "| 1 | Check | 2 (edited) | 09:30:07Z | ok · 1.2 s |" in text
    assert "## step 1, attempt 1: failed · 1.2 s · ValueError: no such host" in text
    assert "```\ncheck(10)\n```" in text


def test_a_ticket_shows_the_beginning_and_the_end_of_what_succeeded_printed() -> None:
    many = stream("".join(f"line {n}\n" for n in range(40)))
    table = display(text_html="<table>", text_plain="  free\n0  8.25")
    picture = display(image_png="AAAA")
    made = Tale(step("a"), step("b"), step("c")).attempt("a", many).attempt("b", table, picture)
    text = ticket.build(made.attempt("c").finish().records).decode()
    assert "## step 1, attempt 1: ok · 1.2 s\n\n```\nline 0\n" in text
    assert "line 4\n… 30 lines …\nline 35\n" in text
    assert "```\n  free\n0  8.25\n(image/png)\n```" in text
    assert "## step 3" not in text


def test_a_ticket_of_a_long_run_stays_short_enough_to_be_pasted() -> None:
    made = Tale(*(step(f"s{n}") for n in range(200)))
    for number in range(200):
        made.attempt(f"s{number}", stream("x" * 5_000 + "\n") | {"name": "stderr"}, stream("y\n"))
    rows = ticket.build(made.finish().records).decode().split("## step 1, ")[1]
    assert len(rows) < 32_000
    assert re.search(r"What \d+ more attempts printed is left out here", rows)


def test_what_anybody_wrote_does_not_leave_its_place_in_a_ticket() -> None:
    made = Tale(step("a", "```\n# Head", title="a | b\n# Head"), reason="<img src=x>")
    made.failure("a").finish("failed")
    text = ticket.build(made.records).decode()
    assert "````\n```\n# Head\n````" in text
    assert r"a \| b\\n\# Head" in text
    assert r"\<img src=x\>" in text


def test_output_that_is_not_kept_and_the_key_that_is_to_sign_are_named() -> None:
    made = Tale(step("a"), sign_key="SHA256:abc").begin("a")
    made.add(build_events.output_capped("a", outputs=7)).end().finish()
    for view in (report, ticket):
        text = view.build(made.records).decode()
        assert "is not kept: 7 outputs" in text
        assert "SHA256:abc" in text
