"""The summary of a run for a ticket."""

import re

from nbrun.views.export import ticket
from tests.support.run_builder import Run, display, step, stream
from tests.views.export.example_run import edited_run


def test_ticket_names_outcome_deviations_and_failures() -> None:
    text = ticket.build(edited_run().records).decode()
    assert text.startswith("# completed, off script: restore.ipynb\n")
    assert "- step 1 run with another source than the runbook's (3 is enough)" in text
    assert "| 1 | Check | 2 (edited) | 09:30:07Z | ok · 1.2 s |" in text
    assert "## step 1, attempt 1: failed · 1.2 s · ValueError: no such host" in text
    assert "```\ncheck(10)\n```" in text


def test_ticket_shortens_output_of_successful_attempts() -> None:
    many = stream("".join(f"line {n}\n" for n in range(40)))
    table = display(text_html="<table>", text_plain="  free\n0  8.25")
    picture = display(image_png="AAAA")
    made = Run(step("a"), step("b"), step("c")).attempt("a", many).attempt("b", table, picture)
    text = ticket.build(made.attempt("c").finish().records).decode()
    assert "## step 1, attempt 1: ok · 1.2 s\n\n```\nline 0\n" in text
    assert "line 4\n… 30 lines …\nline 35\n" in text
    note = f"(image/png, 1 kB; not in this summary: nbrun export {made.state.plan.run} --html)"
    assert f"```\n  free\n0  8.25\n{note}\n```" in text
    assert "## step 3" not in text


def test_ticket_of_long_run_stays_short() -> None:
    made = Run(*(step(f"s{n}") for n in range(200)))
    for number in range(200):
        made.attempt(f"s{number}", stream("x" * 5_000 + "\n") | {"name": "stderr"}, stream("y\n"))
    rows = ticket.build(made.finish().records).decode().split("## step 1, ")[1]
    assert len(rows) < 32_000
    assert re.search(r"What \d+ more attempts printed is left out here", rows)


def test_hostile_text_is_escaped_in_ticket() -> None:
    made = Run(step("a", "```\n# Head", title="a | b\n# Head"), reason="<img src=x>")
    made.failure("a").finish("failed")
    text = ticket.build(made.records).decode()
    assert "````\n```\n# Head\n````" in text
    assert r"a \| b\\n\# Head" in text
    assert r"\<img src=x\>" in text


def test_ticket_lists_step_done_by_hand() -> None:
    made = Run(step("a", title="Unplug"), step("b")).stop("manual").decide("done").attempt("b")
    said = ticket.build(made.finish().records).decode()
    assert "| 1 | Unplug |  |  | done by hand |" in said
