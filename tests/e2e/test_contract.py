"""Contracts of steps, at a terminal and in unattended runs."""

from typing import Any

import pytest
from typer.testing import CliRunner

from nbrun.cli.main import app
from nbrun.core import events as ev
from nbrun.errors import UsageError
from tests.support.build_notebooks import PYTHON, code, markdown
from tests.support.terminal import Desk

DROP = {"confirm": "Drop {db}?", "type": "{db}", "impact": "destructive", "title": "Drop it"}


def gated(nbrun: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    return code("print('dropped', db)", id="drop", metadata={"nbrun": nbrun or DROP}, **keys)


def parameters() -> dict[str, Any]:
    return code("db = 'blue'", id="p", tags=["parameters"])


@pytest.mark.sweep
def test_destructive_step_asks_for_its_targets_name(desk: Desk) -> None:
    desk.book(parameters(), gated())
    terminal = desk.start("-p", "db={x} $(id)", "--yes")
    terminal.prompted("step 3>")
    assert "this step asks for confirmation: Drop {x} $(id)?" in terminal.text()
    assert "parameter db = '{x} $(id)'" in terminal.text().split("STOPPED")[1]
    terminal.type("r")
    terminal.answer("type {x} $(id) to confirm:", "blue")
    terminal.until("nothing was done")
    terminal.answer("step 3>", "r")
    terminal.answer("to confirm:", "{x} $(id)")
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped {x} $(id)\n"
    (decided,) = desk.events(ev.Decided)
    assert (decided.decision, decided.typed) == ("run", "{x} $(id)")
    assert not desk.finish().off_script


@pytest.mark.sweep
def test_confirm_is_asked_before_each_way_to_run_a_step(desk: Desk) -> None:
    desk.book(code("1", id="one"), code("print('ran')", id="two", tags=["confirm"]))
    terminal = desk.start("--step")
    terminal.answer("step 1>", "r 2")
    terminal.until("step 2: Run this step?")
    terminal.answer("continue? [y/N]", "n")
    terminal.answer("step 1>", "g")
    terminal.prompted("step 2>")
    assert "this step asks for confirmation: Run this step?" in terminal.since_typed()
    terminal.type("r")
    assert terminal.wait() == 0
    assert desk.printed("two") == "ran\n"


@pytest.mark.parametrize(
    ("nbrun", "options", "code_"),
    [
        ({"confirm": True}, (), 4),
        ({"confirm": True}, ("--yes",), 0),
        ({"confirm": True, "impact": "none"}, ("--yes",), 0),
        ({"confirm": True, "impact": "changes"}, ("--yes",), 0),
        (DROP, ("--yes",), 4),
        (DROP, ("--yes", "--yes-destructive"), 0),
        ({"confirm": False}, (), 0),
    ],
)
def test_unattended_gate_needs_its_yes_option(
    desk: Desk, nbrun: dict[str, Any], options: tuple[str, ...], code_: int
) -> None:
    desk.book(parameters(), gated(nbrun))
    ended = desk.unattended(*options)
    assert ended.returncode == code_, ended.stdout
    assert desk.printed("drop") == ("dropped blue\n" if code_ == 0 else "")
    if code_ == 4:
        assert "asks to be confirmed, and nobody was there to decide" in ended.stdout
    elif nbrun != {"confirm": False}:
        assert "confirmed beforehand: " in ended.stdout


def test_manual_step_is_done_by_the_operator(desk: Desk) -> None:
    desk.book(
        code("1", id="one"),
        markdown("## Call the bank\n\nAsk for *Mr. Ochs*.", id="call", tags=["manual"]),
        code("print('called')", id="after"),
    )
    terminal = desk.start()
    terminal.prompted("step 2>")
    assert "Ask for Mr. Ochs." in terminal.text()
    assert "STOPPED at step 2 of 3 · Call the bank" in terminal.text()
    terminal.type("r")
    terminal.until("is for a person to do: use done or skip")
    terminal.answer("step 2>", "x")
    assert terminal.wait() == 0
    assert desk.decisions() == [("done", "")]
    assert desk.attempts() == [("one", 1, "ok"), ("after", 1, "ok")]
    assert desk.finish().counts["ok"] == 3
    kinds = [(cell.cell_type, cell.source.splitlines()[0]) for cell in desk.notebook().cells[1:]]
    assert kinds[1][1] == "## Call the bank"
    assert "done" in kinds[2][1]
    assert "Steps that were never run" not in str(kinds)


def test_manual_step_ends_an_unattended_run(desk: Desk) -> None:
    desk.book(code("1", id="one"), markdown("Call.", id="call", tags=["manual"]), code("2"))
    ended = desk.unattended("--yes", "--yes-destructive")
    assert ended.returncode == 4
    assert "step 2 is for a person to do, and nobody was there to decide" in ended.stdout
    assert "step 2  " in ended.stdout
    assert desk.attempts() == [("one", 1, "ok")]


@pytest.mark.sweep
def test_step_over_its_time_limit_is_interrupted_and_retried(desk: Desk) -> None:
    slow = (
        "from pathlib import Path\nimport time\ntried = Path('tried')\n"
        "n = len(tried.read_text()) if tried.exists() else 0\ntried.write_text('x' * (n + 1))\n"
        "if n < 2: time.sleep(60)\nprint('at last')"
    )
    limits = {"timeout": 1, "retries": 2, "retry_delay": 0.3}
    desk.book(code(slow, id="slow", metadata={"nbrun": limits}))
    ended = desk.unattended()
    assert ended.returncode == 0, ended.stdout
    assert [outcome for _, _, outcome in desk.attempts()] == ["timed_out", "timed_out", "ok"]
    assert "next attempt in 0.3 s: the runbook declares retries (2 left)" in ended.stdout
    assert "next attempt in 0.3 s: the runbook declares retries (1 left)" in ended.stdout
    first = desk.events(ev.AttemptFinished)[0]
    assert first.evalue == "the step did not end within its 1 s"
    assert 1 <= first.duration < 10
    assert [event.timeout for event in desk.events(ev.KernelInterrupted)] == [True, True]
    assert not desk.finish().off_script


def test_contract_defaults_come_from_team_and_notebook(desk: Desk) -> None:
    (desk.folder / "nbrun.toml").write_text(
        "[defaults]\ntimeout = 50\nretries = 1\n"
        "[policy]\nstrict = true\nallow = ['edited']\nneed_reason = ['skipped']\n"
        "need_approval = ['edited']\napprovers = 'dba'\n"
    )
    own = {"nbrun": {"defaults": {"retries": 2, "impact": "changes"}}}
    desk.book(
        code("1", id="a"),
        code("2", id="b", metadata={"nbrun": {"timeout": None, "retries": 0}}),
        metadata=PYTHON | own,
    )
    assert desk.unattended().returncode == 0
    a, b = (each.contract for each in desk.events(ev.RunStarted)[0].steps)
    assert (a.timeout, a.retries, a.impact) == (50.0, 2, "changes")
    assert (b.timeout, b.retries, b.impact) == (None, 0, "changes")
    policy = desk.events(ev.RunStarted)[0].policy
    assert (policy.strict, policy.allow, policy.need_reason) == (True, ("edited",), ("skipped",))
    assert (policy.need_approval, policy.approvers) == (("edited",), "dba")


@pytest.mark.sweep
def test_gate_of_an_unattended_run_can_wait_for_an_operator(desk: Desk) -> None:
    desk.book(parameters(), gated())
    ended = desk.unattended("--yes", "--on-failure", "wait")
    assert ended.returncode == 8
    assert desk.printed("drop") == ""
    terminal = desk.open("attach")
    terminal.answer("step 2>", "r")
    terminal.answer("type blue to confirm:", "blue")
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped blue\n"


@pytest.mark.parametrize(
    ("nbrun", "said"),
    [
        ({"tiemout": 5}, "metadata.nbrun.tiemout is not known"),
        ({"timeout": "5"}, "metadata.nbrun.timeout must be seconds"),
        ({"retries": 1.5}, "metadata.nbrun.retries must be a whole number"),
        ({"impact": "much"}, "metadata.nbrun.impact must be one of none, changes, destructive"),
        ({"confirm": "Drop {other}?"}, "contains {other}, whose value is not known"),
        ({"confirm": "Drop {db.x}?"}, "contains {db.x}, whose value is not known"),
        ({"confirm": "Drop {?"}, "has a single brace"),
        ({"type": "{token}"}, "contains the secret token"),
        ({"type": "a\nb"}, "must be one line of text"),
        ({"approve": {"groups": "dba"}}, "metadata.nbrun.approve must be true, or"),
        ({"approve": {"group": ""}}, "metadata.nbrun.approve must be true, or"),
    ],
)
def test_invalid_contract_is_refused_naming_the_cell(
    desk: Desk, nbrun: dict[str, Any], said: str
) -> None:
    path = desk.book(code("db = 'a'; token = ''", tags=["parameters"]), gated(nbrun))
    asked = CliRunner().invoke(app, ["plan", str(path), "-p", "token=@env:VAULT"])
    assert isinstance(asked.exception, UsageError), asked.output
    assert "runbook.ipynb, cell " in str(asked.exception)
    assert said in str(asked.exception)


def test_run_with_an_invalid_contract_does_not_begin(desk: Desk) -> None:
    desk.book(code("db = 'a'; token = ''", tags=["parameters"]), gated({"tiemout": 5}))
    ended = desk.unattended()
    assert ended.returncode == 2
    assert "metadata.nbrun.tiemout is not known" in ended.stderr
    assert not desk.runs.exists() or not list(desk.runs.iterdir())


def test_policy_requires_reasons_and_refuses_other_decisions(desk: Desk) -> None:
    (desk.folder / "nbrun.toml").write_text(
        "[policy]\nallow = ['skipped', 'edited', 'retried']\nneed_reason = ['skipped']\n"
    )
    desk.book(code("1 / 0", id="bad"), code("2", id="next"))
    terminal = desk.start()
    terminal.answer("step 1>", "r 2")
    terminal.until("the policy in nbrun.toml does not allow it")
    terminal.answer("step 1>", "s")
    terminal.answer("reason (required; Ctrl-C to go back):", "")
    terminal.answer("reason (required; Ctrl-C to go back):", "done by hand")
    assert terminal.wait() == 3
    assert desk.decisions() == [("skip", "done by hand")]


@pytest.mark.sweep
def test_runbook_of_nbrun_new_runs_unchanged(desk: Desk) -> None:
    assert desk.command("new", "runbook").returncode == 0
    terminal = desk.start("-p", "service=web")
    terminal.answer("step 5>", "x")
    terminal.answer("step 6>", "r")
    terminal.answer("type web to confirm:", "web")
    assert terminal.wait() == 0
    assert not desk.finish().off_script
