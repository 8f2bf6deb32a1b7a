"""Handling of a decision: refuse it, propose it for approval, or record it and carry it out."""

import time
from collections.abc import Callable
from datetime import datetime

from nbrun.core import approval, decisions, proposals
from nbrun.core import events as ev
from nbrun.core.approval import PendingApproval, Signer, signature_of
from nbrun.core.approval_request import Statement, replied_statement, time_refusal
from nbrun.core.choices import handover, needs, programs
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, missing_input, stale_refusal
from nbrun.core.model import Operator
from nbrun.core.state import Phase, RunState
from nbrun.engine.kernel_controller import KernelController
from nbrun.engine.recorder import Recorder
from nbrun.errors import SignatureError
from nbrun.system import provenance

# Returns who of a group has signed a statement now; raises SignatureError
CheckSignature = Callable[[str, Statement, str, datetime], Signer]


def no_keys(group: str, _statement: Statement, _signature: str, _at: datetime) -> Signer:
    """Refuse every signature: nobody said whose keys count."""
    raise SignatureError(f"foreign: no keys are known for {group or 'any group'}")


class DecisionHandler:
    """Handles decisions.

    `send_answer` sends the kernel a line that a cell asked for. `check_signature` says who signed
    an approval that was given elsewhere.
    """

    def __init__(
        self,
        recorder: Recorder,
        controller: KernelController,
        send_answer: Callable[[str], None],
        check_signature: CheckSignature = no_keys,
    ) -> None:
        self._emit, self._emit_all, self._now = recorder.emit, recorder.emit_all, recorder.now
        self._state: RunState = recorder.state
        self._controller = controller
        self._send_answer = send_answer
        self._check_signature = check_signature
        self._redact = recorder.redaction.redact_text

    def handle(self, decision: Decision, operator: Operator, *, ending: bool) -> None:
        """Handle `decision`, which is not `Detach`. If `ending`, only notes are accepted."""
        self.expire_approvals()
        refusal = self._refusal(decision, operator, ending=ending)
        if refusal is not None:
            self._refuse(operator, decision, refusal)
            return
        match decision:
            case decisions.Answer(text=text):
                self._answer(operator, text)
            case decisions.AddNote(text=text):
                self._emit(ev.NoteAdded(operator=operator, text=text))
            case decisions.Approve(reply=decisions.SignedReply() as reply):
                self._approve_signed(operator, decision, reply)
            case decisions.Approve() | decisions.Reject():
                self._emit_all(
                    proposals.approval_events(self._state, operator, decision, self._now())
                )
            case decisions.Handover():
                self._offer(operator, decision)
            case decisions.AcceptHandover():
                self._accept(operator, decision)
            case decisions.Settle():
                self._settle(operator, decision)
            case _:
                self._decide(operator, decision)

    def _refuse(self, operator: Operator, decision: Decision, why: str) -> None:
        name = decision_name(decision)
        self._emit(ev.DecisionRefused(operator=operator, decision=name, why=why))

    def _refusal(self, decision: Decision, operator: Operator, *, ending: bool) -> str | None:
        if ending and not isinstance(decision, decisions.AddNote):
            return "the run is ending"
        refusal = (
            handover.outsider_refusal(self._state, decision, operator)
            or stale_refusal(self._state, decision, operator)
            or decision_refusal(self._state, decision)
            or (programs.program_refusal(self._state, decision) if operator.is_program else None)
            or missing_input(self._state, decision)
            or self._unconfirmed(decision, operator)
        )
        if refusal is None and isinstance(decision, decisions.Approve | decisions.Reject):
            return self._approver_refusal(decision, operator)
        return refusal

    def _approver_refusal(
        self, decision: decisions.Approve | decisions.Reject, operator: Operator
    ) -> str | None:
        if isinstance(decision, decisions.Approve) and decision.reply is not None:
            return None  # who hands it in is nobody that approves
        groups = provenance.groups(operator.uid)
        refusal = approval.approver_refusal(self._state, operator, groups)
        if refusal is None and isinstance(decision, decisions.Approve):
            return approval.repeated_approval_refusal(self._state, operator)
        return refusal

    def _unconfirmed(self, decision: Decision, operator: Operator) -> str | None:
        """Refuse what a program decides alone without an answer to the question of the step.

        A console asks its operator, and whoever approves a proposal is asked.
        """
        if not operator.is_program or not programs.may_decide(self._state, decision):
            return None
        question = needs.question(self._state, decision)
        return f"confirm it: {question}" if question and not decision.confirmed else None

    def _approve_signed(
        self, carrier: Operator, decision: decisions.Approve, reply: decisions.SignedReply
    ) -> None:
        """Take an approval that somebody signed elsewhere, from whoever hands it in."""
        pending, now = approval.pending_approval(self._state), self._now()
        if pending is None:
            return
        statement = replied_statement(self._state, pending, reply)
        try:
            self._check_reply(reply, pending, now.at)
            signer = self._check_signature(pending.rule.group, statement, reply.signature, now.at)
        except SignatureError as error:
            self._refuse(carrier, decision, str(error))
            return
        who = signer.operator()
        refusal = approval.signer_refusal(
            self._state, signer
        ) or approval.repeated_approval_refusal(self._state, who, signer)
        if refusal is not None:
            self._refuse(carrier, decision, refusal)
            return
        signed = signature_of(statement.text(), reply.signature, signer, carrier)
        self._emit_all(proposals.approval_events(self._state, who, decision, now, signed))

    def _check_reply(
        self, reply: decisions.SignedReply, pending: PendingApproval, now: datetime
    ) -> None:
        """Check what needs no key. Raises SignatureError."""
        refusal = time_refusal(reply, pending, now)
        if refusal is None and self._redact(reply.reason) != reply.reason:
            refusal = "its reason contains a secret of this run, and is signed: sign another reason"
        if refusal is not None:
            raise SignatureError(refusal)

    # ── handover ─────────────────────────────────────────────────────────────────────────────

    def _offer(self, operator: Operator, decision: decisions.Handover) -> None:
        """Offer the run to another account, or withdraw the offer."""
        if not decision.to:
            self._withdraw_offer(operator, decision)
            return
        uid = provenance.uid_of(decision.to)
        if uid is None:
            self._refuse(operator, decision, f"there is no account {decision.to!r}")
            return
        to = Operator(uid=uid, name=provenance.account(uid), via="")
        handing = handover.handing_to(self._state, to)
        refusal = handover.offer_refusal(self._state, to, provenance.groups(uid)) or (
            handover.proposal_refusal(self._state) if handing is not None else None
        )
        if refusal is not None:
            self._refuse(operator, decision, refusal)
            return
        reason = decision.reason
        self._emit(
            ev.HandoverOffered(operator=operator, to=to.name, to_uid=uid, reason=reason)
            if handing is None
            else proposals.handover_proposal(self._state, handing, operator, reason)
        )

    def _withdraw_offer(self, operator: Operator, decision: decisions.Handover) -> None:
        """Withdraw an offer, and one that still waits for an approval."""
        proposal, reason = self._state.proposal, decision.reason
        withdrawn: list[Event] = []
        if proposal is not None and proposal.handing is not None:
            withdrawn.append(_decided_event(decisions.Withdraw(reason=reason), operator))
        if self._state.offer is not None:
            withdrawn.append(ev.HandoverWithdrawn(operator=operator, reason=reason))
        if not withdrawn:
            self._refuse(operator, decision, "this run is offered to nobody")
        self._emit_all(withdrawn)

    def _accept(self, operator: Operator, decision: decisions.AcceptHandover) -> None:
        groups = provenance.groups(operator.uid)
        refusal = handover.acceptance_refusal(self._state, operator, groups, self._now())
        if refusal is not None:
            self._refuse(operator, decision, refusal)
            return
        self._emit(ev.HandoverAccepted(operator=operator))

    # ── approvals that expire ────────────────────────────────────────────────────────────────

    def expire_approvals(self) -> bool:
        """Record each approval that has expired. Return True if there was one.

        While a step runs, its approvals have been used.
        """
        if not self._state.approvals or self._state.phase not in (Phase.READY, Phase.STOPPED):
            return False
        void = approval.expired(self._state, self._now())
        self._emit_all(void)
        return bool(void)

    @property
    def deadline(self) -> float | None:
        """When the next approval expires, by the monotonic clock; None if none does."""
        if not self._state.approvals or self._state.phase is Phase.RUNNING:
            return None
        now = self._now()
        left = (approval.seconds_left(each, now) for each in self._state.approvals)
        soonest = min((each for each in left if each is not None), default=None)
        return None if soonest is None else time.monotonic() + soonest

    # ── carrying out ─────────────────────────────────────────────────────────────────────────

    def _required_approval(
        self, operator: Operator, decision: Decision
    ) -> proposals.RequiredApproval | None:
        if operator.is_program and not programs.may_decide(self._state, decision):
            return programs.own_approval(self._state, decision)
        return proposals.required_approval(self._state, decision)

    def _decide(self, operator: Operator, decision: Decision) -> None:
        required = self._required_approval(operator, decision)
        if required is not None:
            self._emit(proposals.proposal_event(self._state, decision, operator, required))
            return
        self._emit(_decided_event(decision, operator))
        self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        """Do what a decision does at once; `planner.what_next` does the rest."""
        busy = self._state.phase is Phase.RUNNING or self._state.kernel_busy
        match decision:
            case decisions.Interrupt() if busy:
                self._controller.interrupt("the operator pressed Ctrl-C")
            case decisions.KillKernel():
                self._controller.kill("the operator asked for it")
            case decisions.Cancel() if busy:
                self._controller.cancel("the operator cancelled the run")
        if self._state.phase is Phase.STOPPED and not isinstance(decision, decisions.Withdraw):
            self._emit(ev.Resumed())

    def _settle(self, operator: Operator, decision: decisions.Settle) -> None:
        attempt = self._state.unsettled[0]
        self._emit(
            ev.AttemptSettled(
                step=attempt.step,
                attempt=attempt.attempt,
                finding=decision.finding,
                operator=operator,
                reason=decision.reason,
            )
        )
        self._emit(ev.Resumed())

    def _answer(self, operator: Operator, text: str) -> None:
        request = self._state.input_wanted
        if request is None:
            return
        self._emit(
            ev.InputAnswered(
                step=request.step,
                attempt=request.attempt,
                operator=operator,
                answer=None if request.password else text,
            )
        )
        self._send_answer(text)


def _decided_event(decision: Decision, operator: Operator) -> ev.Decided:
    return ev.Decided(
        operator=operator,
        decision=decision_name(decision),
        reason=decision.reason,
        step=getattr(decision, "step", None),
        source=getattr(decision, "source", None),
        typed=getattr(decision, "typed", ""),
    )
