"""What a decision does: refused, put up for another person's approval, or recorded and carried
out."""

from collections.abc import Callable

from nbrun.core import approval, decisions, proposals
from nbrun.core import events as ev
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.guards import decision_refusal, missing_input
from nbrun.core.model import Operator
from nbrun.core.state import Phase, RunState
from nbrun.engine.kernel_controller import KernelController
from nbrun.engine.recorder import Recorder
from nbrun.system import provenance


class DecisionHandler:
    """`answer` gives the kernel a line that a cell has asked for."""

    def __init__(
        self, recorder: Recorder, control: KernelController, answer: Callable[[str], None]
    ) -> None:
        self._emit, self._emit_all = recorder.emit, recorder.emit_all
        self._state: RunState = recorder.state
        self._control = control
        self._answer_kernel = answer

    def take(self, decision: Decision, operator: Operator, *, ending: bool) -> None:
        """Let `decision` happen where the run stands. `ending`: only notes are taken any more.
        Leaving is no decision about the run, and not taken here."""
        why_not = self._why_not(decision, operator, ending=ending)
        if why_not is not None:
            self._emit(
                ev.DecisionRefused(operator=operator, decision=decision_name(decision), why=why_not)
            )
            return
        match decision:
            case decisions.Answer(text=text):
                self._answer(operator, text)
            case decisions.AddNote(text=text):
                self._emit(ev.NoteAdded(operator=operator, text=text))
            case decisions.Approve() | decisions.Reject():
                self._emit_all(proposals.approval_events(self._state, operator, decision))
            case decisions.Settle():
                self._settle(operator, decision)
            case _:
                self._decide(operator, decision)

    def _why_not(self, decision: Decision, operator: Operator, *, ending: bool) -> str | None:
        if ending and not isinstance(decision, decisions.AddNote):
            return "the run is ending"
        why_not = decision_refusal(self._state, decision) or missing_input(self._state, decision)
        if why_not is None and isinstance(decision, decisions.Approve | decisions.Reject):
            return approval.approver_refusal(self._state, operator, provenance.groups(operator.uid))
        return why_not

    def _decide(self, operator: Operator, decision: Decision) -> None:
        need = proposals.required_approval(self._state, decision)
        if need is not None:
            self._emit(proposals.proposal_event(self._state, decision, operator, need))
            return
        self._emit(_decided(decision, operator))
        self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        """What a decision does at once; the rest follows from the state."""
        at_work = self._state.phase is Phase.RUNNING or self._state.kernel_busy
        match decision:
            case decisions.Interrupt() if at_work:
                self._control.interrupt("the operator pressed Ctrl-C")
            case decisions.KillKernel():
                self._control.kill("the operator asked for it")
            case decisions.Cancel() if at_work:
                self._control.cancel("the operator cancelled the run")
        if self._state.phase is Phase.STOPPED and not isinstance(decision, decisions.Withdraw):
            self._emit(ev.Resumed())

    def _settle(self, operator: Operator, decision: decisions.Settle) -> None:
        asked = self._state.unsettled[0]
        self._emit(
            ev.AttemptSettled(
                step=asked.step,
                attempt=asked.attempt,
                finding=decision.finding,
                operator=operator,
                reason=decision.reason,
            )
        )
        self._emit(ev.Resumed())

    def _answer(self, operator: Operator, text: str) -> None:
        wanted = self._state.input_wanted
        if wanted is None:
            return
        self._emit(
            ev.InputAnswered(
                step=wanted.step,
                attempt=wanted.attempt,
                operator=operator,
                answer=None if wanted.password else text,
            )
        )
        self._answer_kernel(text)


def _decided(decision: Decision, operator: Operator) -> ev.Decided:
    return ev.Decided(
        operator=operator,
        decision=decision_name(decision),
        reason=decision.reason,
        step=getattr(decision, "step", None),
        source=getattr(decision, "source", None),
        typed=getattr(decision, "typed", ""),
    )
