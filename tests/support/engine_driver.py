"""Random runs for property tests: the engine's loop without journal and kernel.

Whatever the runbook, the policy and the choices, `RandomRun.run` records what an engine would.
"""

import random
from copy import deepcopy
from datetime import timedelta
from typing import Any, get_args

import msgspec

from nbrun.core import decisions, undo
from nbrun.core import events as ev
from nbrun.core.approval import Moment, expired, pending_approval, repeated_approval_refusal
from nbrun.core.decisions import Decision, decision_name
from nbrun.core.deviations import deviations_of, implied_deviations
from nbrun.core.events import Event
from nbrun.core.guards import decision_refusal, missing_input
from nbrun.core.model import Check, Contract, DeviationKind, Policy, Step
from nbrun.core.planner import (
    NextAttempt,
    NextFinish,
    NextRestart,
    NextSettle,
    NextStop,
    attempt_started_event,
    unattended_end,
    waits_for_decision,
    what_next,
)
from nbrun.core.proposals import approval_events, proposal_event, required_approval
from nbrun.core.reducer import apply, check_transition
from nbrun.core.state import Phase, RunState
from tests.support.build_events import (
    BEGAN,
    OPERATOR,
    attempt_settled,
    begun,
    crashed,
    kernel_died,
    kernel_disconnected,
    kernel_idle,
    kernel_interrupted,
    kernel_reattached,
    kernel_restarted,
    operator,
    run_resumed,
    step,
)

TAGS = (
    "skip-execution",
    "raises-exception",
    "setup",
    "parameters",
    "fill",
    "shell-errors-ok",
)
ALL_KINDS = get_args(DeviationKind)
APPROVERS = [operator("grace", 1001, "socket"), operator("heidi", 1002, "socket")]
MAX_TURNS = 400  # turns of the loop: more than any of these runs needs


class RandomRun:
    """One run. `chance` makes every choice that a kernel or an operator would make.

    The operator cancels after `max_decisions` decisions.
    """

    def __init__(
        self, steps: tuple[Step, ...], policy: Policy, chance: random.Random, max_decisions: int
    ) -> None:
        self.state = RunState()
        self.events: list[Event] = []
        self.refusals = 0
        self.chance = chance
        self.decisions_left = max_decisions  # then the operator cancels
        for event in begun(steps, policy):
            if not (policy.by_hand and isinstance(event, ev.KernelStarted)):
                self.emit(event)

    def emit(self, event: Event) -> None:
        check_transition(self.state, event)
        for each in (event, *deviations_of(self.state, event)):
            apply(self.state, each)
            self.events.append(each)

    def happens(self, percent: int) -> bool:
        """Return True in `percent` of 100 calls."""
        return self.chance.randrange(100) < percent

    def now(self) -> Moment:
        """Return a time that each event takes a minute to reach."""
        elapsed = 60.0 * len(self.events)
        return Moment(BEGAN + timedelta(seconds=elapsed), elapsed)

    def expire(self) -> None:
        """Record the approvals that have expired, as the engine does before it acts."""
        for event in expired(self.state, self.now()):
            self.emit(event)

    def run(self) -> "RandomRun":
        for _ in range(MAX_TURNS):
            self.between_attempts()
            self.expire()
            next_action = what_next(self.state)
            match next_action:
                case NextAttempt():
                    self.attempt(next_action)
                case NextRestart():
                    self.restart(next_action)
                case NextStop():
                    ended = self.stop(next_action)
                    if ended is not None:
                        return self.finish(ended)
                case NextSettle():
                    self.settle_by_check(next_action)
                case NextFinish():
                    return self.finish(next_action)
        raise AssertionError("the run does not end")

    def between_attempts(self) -> None:
        """Let happen what can happen between two attempts."""
        if self.happens(3) and self.state.kernel == "alive":
            self.emit(kernel_died(self.state.generation))
        if self.happens(3):
            self.decide(decisions.Interrupt())
        if self.happens(1):
            self.decide(decisions.Cancel())
        if self.happens(2):
            self.crash()
        if self.happens(3) and self.state.kernel == "alive":
            self.lose_connection()

    def lose_connection(self) -> None:
        """Lose the connection to the kernel; find it again, or give it up."""
        generation = self.state.generation
        self.emit(kernel_disconnected(generation))
        if self.happens(20):
            self.emit(kernel_died(generation))
            return
        self.emit(kernel_reattached(generation))
        self.emit(kernel_idle(generation))

    def crash(self) -> None:
        """Let the process die and another resume the run, with the kernel or without it."""
        running = self.state.attempt
        if running is None:
            events = crashed()
        else:
            events = crashed(running=running.step, attempt=running.attempt)
        for event in (*events, run_resumed()):
            self.emit(event)
        if self.state.kernel == "alive" and self.happens(50):
            self.emit(kernel_reattached(self.state.generation))
            self.emit(kernel_idle(self.state.generation))
        elif self.state.kernel == "alive":
            self.emit(kernel_died(self.state.generation))

    def attempt(self, planned: NextAttempt) -> None:
        started = attempt_started_event(self.state, planned)
        self.emit(started)
        if self.happens(10):
            self.decide(
                self.chance.choice(
                    (decisions.Interrupt(), decisions.KillKernel(), decisions.AddNote(text="!"))
                )
            )
        if self.happens(3):
            self.decide(decisions.Cancel())
        outcome = self.outcome()
        if outcome == "kernel_died":
            self.emit(kernel_died(self.state.generation))
        if self.happens(3):
            self.crash()
            return
        self.emit(
            ev.AttemptFinished(
                step=started.step,
                attempt=started.attempt,
                outcome=outcome,
                duration=0.5,
                ended_run=outcome == "ok" and self.happens(2),
                holds=outcome == "ok" and self.happens(50) if planned.cause == "check" else None,
            )
        )

    def settle_by_check(self, settle: NextSettle) -> None:
        finding = "happened" if settle.happened else "did_not_happen"
        event = attempt_settled(settle.attempt.step, settle.attempt.attempt, finding)
        self.emit(msgspec.structs.replace(event, by_check=True))

    def outcome(self) -> Any:
        if self.state.interrupted:
            return self.chance.choice(("interrupted", "kernel_died"))
        return self.chance.choices(("ok", "error", "kernel_died", "timed_out"), (70, 20, 5, 5))[0]

    def restart(self, restart: NextRestart) -> None:
        generation = self.state.generation + 1
        if self.happens(20):
            self.emit(kernel_died(generation, "it did not start"))
        else:
            self.emit(kernel_restarted(generation, restart.why))

    def stop(self, stop: NextStop) -> NextFinish | None:
        current = self.state.current
        can_wait = waits_for_decision(self.state, stop)
        where = stop.step or (current.step.id if current else None)
        self.emit(ev.Stopped(reason=stop.reason, step=where, detail=stop.detail))
        if not can_wait:
            return unattended_end(self.state, stop)
        while self.state.phase is Phase.STOPPED:
            if self.happens(3) and self.state.kernel == "alive":
                self.emit(kernel_died(self.state.generation))
            if self.happens(2):
                self.crash()
                break
            self.decisions_left -= 1
            self.decide(self.choice() if self.decisions_left > 0 else decisions.Cancel())
        return None

    def choice(self) -> Decision:
        can_be_undone = undo.offered(self.state)
        if can_be_undone and self.state.kernel == "alive" and self.happens(30):
            return decisions.Undo(step=can_be_undone[0].step.id, typed="db1")
        target = self.chance.choice((*self.state.order, "no such step"))
        return self.chance.choice(
            (
                decisions.Run(),
                decisions.Run(),
                decisions.Run(step=target),
                decisions.Run(typed="db1"),
                decisions.Continue(),
                decisions.Continue(typed="db1"),
                decisions.Done(typed="db1"),
                decisions.Approve(binding=self.binding()),
                decisions.Approve(binding=self.binding()),
                decisions.Approve(binding="of another"),
                decisions.Reject(),
                decisions.Withdraw(),
                decisions.Done(typed="db1", reason="once more"),
                decisions.Retry(reason="again"),
                decisions.Retry(),
                decisions.Edit(source=self.chance.choice(("other()", "", "step_1()"))),
                decisions.Edit(source="other()", step=target),
                decisions.Skip(reason="done by hand"),
                decisions.Jump(step=target),
                decisions.Insert(source=self.chance.choice(("look()", "  "))),
                decisions.Undo(step=target),
                decisions.RestartKernel(reason="lost"),
                decisions.AddNote(text=self.chance.choice(("seen", ""))),
                decisions.Interrupt(),
                decisions.KillKernel(),
                decisions.Answer(text="yes"),
                *(decisions.Settle(finding=each) for each in get_args(decisions.Settlement) * 2),
            )
        )

    def decide(self, decision: Decision) -> None:
        """Record an allowed decision as `Engine._decide` does; a refused one changes nothing."""
        if self.state.phase is not Phase.RUNNING:
            self.expire()
        before = deepcopy(self.state)
        refusal = decision_refusal(self.state, decision) or missing_input(self.state, decision)
        if refusal is None:
            self.check_foreseeable(decision)
        assert comparable(self.state) == comparable(before), "asking alone changed the state"
        if refusal is not None:
            self.refusals += 1
            self.emit(
                ev.DecisionRefused(operator=OPERATOR, decision=decision_name(decision), why=refusal)
            )
            assert comparable(self.state) == comparable(before), (
                "a refused decision changed the state"
            )
            return
        if isinstance(decision, decisions.AddNote):
            self.emit(ev.NoteAdded(operator=OPERATOR, text=decision.text))
            return
        if isinstance(decision, decisions.Approve | decisions.Reject):
            self.approve(decision)
            return
        if isinstance(decision, decisions.Settle):
            asked = self.state.unsettled[0]
            self.emit(attempt_settled(asked.step, asked.attempt, decision.finding))
            self.emit(ev.Resumed())
            return
        required = required_approval(self.state, decision)
        if required is not None:
            self.emit(proposal_event(self.state, decision, OPERATOR, required))
            return
        self.emit(decided_event(decision))
        if self.state.phase is Phase.RUNNING:
            kill = isinstance(decision, decisions.KillKernel)
            self.emit(kernel_interrupted(self.state.generation, kill=kill))
        if self.state.phase is Phase.STOPPED and not isinstance(decision, decisions.Withdraw):
            self.emit(ev.Resumed())

    def approve(self, decision: decisions.Approve | decisions.Reject) -> None:
        who = self.chance.choice(APPROVERS)
        if repeated_approval_refusal(self.state, who) is None:
            for event in approval_events(self.state, who, decision, self.now()):
                self.emit(event)

    def binding(self) -> str:
        waiting = pending_approval(self.state)
        return waiting.binding if waiting else ""

    def check_foreseeable(self, decision: Decision) -> None:
        """Check that the deviations of an allowed decision can be computed in advance."""
        implied_deviations(self.state, decision)

    def finish(self, finish: NextFinish) -> "RandomRun":
        self.emit(
            ev.RunFinished(
                outcome=finish.outcome,
                off_script=self.state.off_script,
                counts={},
                duration=1.0,
                why=finish.why,
            )
        )
        return self


def decided_event(decision: Decision) -> ev.Decided:
    return ev.Decided(
        operator=OPERATOR,
        decision=decision_name(decision),
        reason=decision.reason,
        step=getattr(decision, "step", None),
        source=getattr(decision, "source", None),
        typed=getattr(decision, "typed", ""),
    )


def comparable(state: RunState) -> dict[str, Any]:
    """Return the fields of `state` to compare.

    `position` is left out: it only caches where the search for the current step begins.
    """
    return {name: value for name, value in vars(state).items() if name != "position"}


def random_steps(chance: random.Random) -> tuple[Step, ...]:
    """Return one to six steps, each with a few tags."""
    count = chance.randint(1, 6)
    steps = [
        step(
            number,
            [tag for tag in TAGS if chance.random() < 0.15],
            contract=random_contract(chance),
        )
        for number in range(1, count + 1)
    ]
    return tuple(
        each
        if each.is_setup
        else msgspec.structs.replace(
            each, check=random_check(chance, each.id), undo=random_undo(chance, each)
        )
        for each in steps
    )


def random_check(chance: random.Random, step: str) -> Check | None:
    if chance.random() < 0.7:
        return None
    return Check(
        id=f"check-{step}",
        source="ready()",
        interval=chance.choice((0.0, 5.0)),
        timeout=chance.choice((1.0, 12.0)),
        settles=chance.random() < 0.5,
    )


def random_undo(chance: random.Random, of: Step) -> Step | None:
    if chance.random() < 0.6:
        return None
    contract = msgspec.structs.replace(random_contract(chance), manual=False, retries=0)
    return msgspec.structs.replace(of, id=f"undo-{of.id}", source="back()", contract=contract)


def random_contract(chance: random.Random) -> Contract:
    asked = "sure?" if chance.random() < 0.15 else None
    return Contract(
        manual=chance.random() < 0.1,
        confirm=asked,
        typed="db1" if asked and chance.random() < 0.5 else "",
        retries=chance.choice((0, 0, 0, 1, 2)),
        retry_delay=chance.choice((0.0, 5.0)),
        approve="" if chance.random() < 0.08 else None,
        approvals=chance.choice((1, 1, 2)),
        approve_within=chance.choice((None, None, 120.0, 600.0)),
        impact=chance.choice((None, "none", "changes", "destructive")),
    )


def random_policy(chance: random.Random) -> Policy:
    return Policy(
        attended=chance.random() < 0.8,
        on_failure="stop" if chance.random() < 0.15 else "ask",
        step=chance.random() < 0.4,
        strict=chance.random() < 0.25,
        yes=chance.random() < 0.2,
        yes_destructive=chance.random() < 0.2,
        allow=chance.choice((None, None, None, ("retried", "skipped"))),
        need_reason=chance.choice(((), (), ("skipped", "reran"))),
        need_approval=chance.choice(((), (), ("skipped", "edited", "retried"), ALL_KINDS)),
        approvals=chance.choice((1, 1, 1, 2)),
        by_hand=chance.random() < 0.1,
    )
