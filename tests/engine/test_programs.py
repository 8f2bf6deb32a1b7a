"""Tests of decisions by programs, and of decisions about where the run no longer stands."""

from pathlib import Path

import msgspec
import pytest

from nbrun.core import decisions, model
from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.decisions import Decision
from nbrun.core.events import Record
from nbrun.core.model import Operator, ProgramPolicy
from tests.engine.test_engine import FAILING, EngineRun, error
from tests.support.build_events import OPERATOR, policy, step

PROGRAM = msgspec.structs.replace(OPERATOR, via="no terminal", channel="program")
FREE = policy(programs=ProgramPolicy(decide=("retry", "run"), impact="destructive"))


def at_first_stop(stage: EngineRun, *orders: tuple[Decision, Operator]) -> None:
    """Send all `orders` at once at the first stop, each about that stop."""
    sent = list(orders)

    def heard(record: Record) -> None:
        if isinstance(record.event, ev.Stopped):
            while sent:
                decision, who = sent.pop(0)
                located = msgspec.structs.replace(decision, expect_seq=record.seq)
                stage.submit(located, who)

    stage.on_publish = heard


def refusals(stage: EngineRun) -> list[str]:
    return [event.why for event in stage.of(ev.DecisionRefused)]


@pytest.mark.parametrize("second", [PROGRAM, OPERATOR], ids=["program", "person"])
def test_same_decision_sent_twice_runs_the_step_once(tmp_path: Path, second: Operator) -> None:
    waiting = decisions.AddNote(text="waiting")
    stage = EngineRun(tmp_path, waiting, cells={"step_1()": [[error()], [error()]]})
    retry = decisions.Retry()
    at_first_stop(stage, (retry, PROGRAM), (retry, second))
    stage.run(2, FREE)
    assert stage.kernel.sources == ["step_1()", "step_1()"]
    assert len(refusals(stage)) == 1
    assert refusals(stage)[0].startswith("the run has moved since you looked: it stands at record")


def test_decision_of_program_is_recorded_as_its_own(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="waiting"), cells=FAILING)
    at_first_stop(stage, (decisions.Retry(reason="disk is free"), PROGRAM))
    stage.run(2, FREE)
    (decided,) = (event for event in stage.of(ev.Decided) if event.decision == "retry")
    assert decided.operator.label == "ada via program"


@pytest.mark.parametrize("confirmed", [False, True])
def test_program_decides_alone_only_with_an_answer_to_the_question(
    tmp_path: Path, confirmed: bool
) -> None:
    stage = EngineRun(tmp_path, decisions.Run(), decisions.AddNote(text="waiting"), cells=FAILING)
    stage.when[ev.DecisionRefused] = [decisions.Cancel()]
    retries = [decisions.Retry(confirmed=confirmed)]

    def heard(record: Record) -> None:
        if isinstance(record.event, ev.Stopped) and record.event.reason == "step_failed":
            stage.submit(retries.pop(), PROGRAM)

    stage.on_publish = heard
    stage.run((step(1, contract=model.Contract(confirm="is db2 in sync?")),), FREE)
    assert refusals(stage) == ([] if confirmed else ["confirm it: is db2 in sync?"])


def test_proposal_of_program_waits_for_a_person_of_its_account(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, decisions.AddNote(text="waiting"), cells=FAILING)
    edit = decisions.Edit(source="other()", reason="a typo")

    def heard(record: Record) -> None:
        if isinstance(record.event, ev.Stopped):
            stage.submit(edit, PROGRAM)
        waiting = pending_approval(stage.engine.state)
        if isinstance(record.event, ev.DecisionProposed) and waiting is not None:
            approve = decisions.Approve(binding=waiting.binding)
            stage.submit(decisions.Retry(), PROGRAM)
            stage.submit(approve, PROGRAM)
            stage.submit(approve, OPERATOR)

    stage.on_publish = heard
    told = stage.run(1)
    assert told == [
        "s1/1 step_1()",
        "s1/1 error",
        "stopped step_failed s1",
        "decision.proposed",
        "note.added",
        "decisionrefused retry",
        "decisionrefused approve",
        "approval.granted",
        "decided edit",
        "resumed",
        "s1/2 other()",
        "deviation retried s1",
        "deviation edited s1",
        "s1/2 ok",
        "completed off script",
    ]
    (proposed,) = stage.of(ev.DecisionProposed)
    assert (proposed.kinds, proposed.group) == (("edited", "retried"), "")
