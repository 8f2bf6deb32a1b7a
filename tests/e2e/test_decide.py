"""Decisions without a prompt: `nbrun status` and `nbrun decide` beside an operator, and alone."""

import json
from typing import Any

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, wait_until

CHECK = "import os; assert os.path.exists('checked'), 'not yet'; print('che' + 'cked')"


def decide(desk: Desk, *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and what `nbrun decide last … --json` prints."""
    done = desk.command("decide", "last", *words, "--json")
    return done.returncode, json.loads(done.stdout)


@pytest.mark.sweep
def test_program_proposes_beside_a_half_typed_line_and_its_person_approves(desk: Desk) -> None:
    desk.book(code("1", id="one"), code(CHECK, id="check"))
    terminal = desk.start()
    terminal.prompted("step 2>")
    terminal.type_ahead("ski")
    (desk.folder / "checked").touch()
    code_, told = decide(desk, "retry", "--reason", "the file is there")
    assert (code_, told["result"]) == (8, "proposed")
    terminal.until("via program: retry step 2 (the file is there)")
    terminal.prompted("step 2> ski")
    refused = desk.command("approve", "last", "--yes")
    assert refused.returncode == 2
    assert "a person has to approve it, at a terminal" in refused.stderr
    terminal.type_ahead("\x15")  # Ctrl-U clears the line
    terminal.answer("step 2>", "a")
    terminal.answer("approve this? [y/N]", "y")
    assert terminal.wait() == 3
    (decided,) = desk.events(ev.Decided)
    assert decided.operator.is_program
    (granted,) = desk.events(ev.ApprovalGranted)
    assert not granted.operator.is_program
    assert f"{granted.operator.name} via program" in desk.command("log", "last", "--plain").stdout


@pytest.mark.sweep
def test_allowed_decision_runs_once_however_often_it_is_sent(desk: Desk) -> None:
    desk.book(code("1", id="one"), code(CHECK, id="check"))
    desk.configure('[policy.programs]\ndecide = ["retry"]\nimpact = "changes"\n')
    started = desk.command("start", "runbook.ipynb", "--detach")
    assert started.returncode == 0, started.stderr
    wait_until(lambda: desk.events(ev.Stopped))
    at = ("--expect-seq", str(desk.journal()[-1].seq))
    code_, told = decide(desk, "retry", *at, "--wait")
    assert (code_, told["result"]) == (8, "decided")
    assert told["status"]["step"]["attempts"] == 2
    code_, told = decide(desk, "retry", *at, "--wait")
    assert (code_, told["result"]) == (2, "refused")
    assert told["why"].startswith("the run has moved since you looked")
    assert told["status"]["step"]["attempts"] == 2
    (desk.folder / "checked").touch()
    code_, told = decide(desk, "retry", "--wait")
    assert (code_, told["status"]["phase"]) == (3, "ended")
