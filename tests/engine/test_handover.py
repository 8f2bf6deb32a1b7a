"""Tests of offers to hand a run over to an account of the system: proposed, approved, withdrawn."""

from pathlib import Path

from nbrun.core import decisions
from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.events import Record
from tests.engine.test_engine import FAILING, EngineRun
from tests.support.build_events import OPERATOR, operator, policy
from tests.support.run_states import GRACE

DAEMON = operator("daemon", 1)  # every system has this account, in the group of its name
OFFER = decisions.Handover(to="daemon", reason="my shift ends")


def test_offer_is_made_once_another_person_approves_and_the_run_waits(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, OFFER, cells=FAILING)

    def heard(record: Record) -> None:
        waiting = pending_approval(stage.engine.state)
        if isinstance(record.event, ev.DecisionProposed) and waiting is not None:
            approve = decisions.Approve(binding=waiting.binding)
            stage.submit(decisions.AcceptHandover(), DAEMON)
            stage.submit(approve, OPERATOR)
            stage.submit(approve, DAEMON)
            stage.submit(approve, GRACE)
            stage.submit(decisions.AcceptHandover(), DAEMON)
            stage.submit(decisions.Skip(), OPERATOR)
            stage.submit(decisions.Skip(), DAEMON)

    stage.on_publish = heard
    told = stage.run(2, policy(operators="daemon"))
    after = told.index("decision.proposed")
    assert told[after + 1 : after + 9] == [
        "decisionrefused accept",
        "decisionrefused approve",
        "decisionrefused approve",
        "approval.granted",
        "handover.offered",
        "handover.accepted",
        "decisionrefused skip",
        "decided skip",
    ]
    (offered,), (granted,) = stage.of(ev.HandoverOffered), stage.of(ev.ApprovalGranted)
    assert (offered.operator, offered.to_uid, offered.reason) == (OPERATOR, 1, OFFER.reason)
    assert offered.binding == granted.binding
    assert [each.operator for each in stage.of(ev.Decided)] == [DAEMON]


def test_offer_is_withdrawn_while_it_waits_and_cannot_be_approved_then(tmp_path: Path) -> None:
    stage = EngineRun(tmp_path, OFFER, cells=FAILING)
    stage.when[ev.DecisionProposed] = [decisions.Handover(to="")]

    def heard(record: Record) -> None:
        if isinstance(record.event, ev.Decided) and record.event.decision == "withdraw":
            stage.submit(decisions.Approve(binding=""), GRACE)
            stage.submit(decisions.Handover(to=""))
            stage.submit(decisions.Cancel())

    stage.on_publish = heard
    told = stage.run(2, policy(operators="daemon"))
    assert told[2:] == [
        "stopped step_failed s1",
        "decision.proposed",
        "decided withdraw",
        "decisionrefused approve",
        "decisionrefused handover",
        "decided cancel",
        "resumed",
        "cancelled",
    ]
