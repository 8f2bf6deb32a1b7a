"""The state of a run, computed from its events."""

from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import Outcome
from nbrun.core.model import Step
from nbrun.errors import IllegalEventError

# Decisions that run a step of the runbook, or state that a person has done it.
RUNS_STEP = ("run", "continue", "retry", "edit", "done")


class Phase(Enum):
    """The phases of a run: `reducer.TRANSITIONS` says which event is legal in which."""

    NEW = "new"
    READY = "ready"  # between attempts: `planner.what_next` says what the engine does
    RUNNING = "running"  # an attempt is in flight
    STOPPED = "stopped"  # waiting for a decision
    FINISHED = "finished"

    __hash__ = object.__hash__  # Enum's is written in Python, and every event calls it


@dataclass(slots=True)
class StepState:
    """The state of one step.

    - `passed`: the run need not run the step any more.
    - `rerun_requested`: the operator jumped back before the step, so the run executes it again.
    - `settled_as_happened`: nobody saw its last attempt end, and the operator states that it
      happened.
    - `done`: a person has done it.
    - `ran_to_end`: its last attempt was interrupted, and the kernel replied that it succeeded.
    - `retries_left`: how many automatic retries are left.
    - `checks`: how often its check was run.
    - `check_answer`: whether its check held when it was last run; None since the step's last
      attempt, and where no check was run.
    - `check_waited`: seconds since the step's last attempt in which its check did not hold.
    - `awaits_check`: the step was run, or done by a person, and the result of its check is open.
    - `already_done`: its check held before the step was run, so the step did not run.
    - `undo`: the state of its undo, which is run as a step is; None without one.
    - `may_have_effect`: an attempt or a person may have done something that nobody has undone.
    - `had_effect`: `may_have_effect` before its last attempt.
    - `last_run`: the position among all attempts of steps of the last one, or of `done`, from 1.
    """

    step: Step
    attempts: int = 0
    outcome: Outcome | Literal["indeterminate"] | None = None
    passed: bool = False
    skipped: bool = False
    rerun_requested: bool = False
    settled_as_happened: bool = False
    done: bool = False
    ran_to_end: bool = False
    retries_left: int = 0
    last_source: str | None = None
    checks: int = 0
    check_answer: bool | None = None
    check_waited: float = 0.0
    awaits_check: bool = False
    already_done: bool = False
    undo: "StepState | None" = None
    may_have_effect: bool = False
    had_effect: bool = False
    last_run: int = 0

    @property
    def undone(self) -> bool:
        """Return True if its undo has succeeded since the step last ran."""
        return self.undo is not None and self.undo.succeeded and not self.may_have_effect

    @property
    def declared_skip(self) -> bool:
        """Return True if the runbook says not to execute this cell (nbclient's tag)."""
        return "skip-execution" in self.step.tags

    @property
    def succeeded(self) -> bool:
        """Return True if its last attempt did what the runbook expects of it."""
        return self.settled_as_happened or (self.ran_well and not self.refuted)

    @property
    def ran_well(self) -> bool:
        """Return True if its last attempt succeeded by itself, whatever its check says since."""
        allowed = self.outcome == "error" and "raises-exception" in self.step.tags
        return self.settled_as_happened or self.outcome == "ok" or allowed or self.done

    @property
    def refuted(self) -> bool:
        """Return True if its check says that its effect is not there."""
        return self.check_answer is False

    @property
    def failed(self) -> bool:
        """Return True if its last attempt did not succeed and no other was asked for."""
        if self.passed or self.rerun_requested or self.awaits_check or self.undone:
            return False
        return self.outcome is not None or self.done


@dataclass
class RunState:
    """The state of a run. Only `reducer.apply` and `reducer.apply_record` change it.

    - `seq`: the number of the last record that moved the run; -1 if the state was folded from
      events without their numbers. Notes, outputs and people who come and go do not move a run.
    - `course_seq`: the same, without what only a program has proposed.
    """

    seq: int = -1
    course_seq: int = -1
    phase: Phase = Phase.NEW
    started: ev.RunStarted | None = None
    finished: ev.RunFinished | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    checked: dict[str, StepState] = field(default_factory=dict)  # by the id of its check
    check_due: StepState | None = None  # the step that awaits its check
    undos: dict[str, StepState] = field(default_factory=dict)  # by the id of its undo
    runs: int = 0  # attempts of steps, and steps done by a person
    position: int = 0
    kernel: Literal["none", "alive", "dead"] = "none"
    generation: int = 0  # counts kernels from 1
    kernel_info: ev.KernelStarted | None = None
    process: ev.KernelProcess | None = None
    remote: ev.RemoteKernel | None = None
    kernels: list[ev.KernelProcess] = field(default_factory=list)  # all of the run, ended or not
    attempts_sent: int = 0  # to the current kernel
    kernel_may_run: bool = False  # it counts as dead, since nbrun has lost its way to it
    suspended: bool = False  # something outside nbrun has stopped the kernel's process
    disconnected: bool = False  # the remote kernel can't be reached
    kernel_busy: bool = False  # it can't, or still executes an earlier request since it was found
    kernel_report: str = ""  # what that kernel knows about an attempt whose end nobody saw
    attempt: ev.AttemptStarted | None = None
    last_attempt: ev.AttemptStarted | None = None
    interrupted: bool = False
    timed_out: bool = False
    input_wanted: ev.InputRequested | None = None
    stop: ev.Stopped | None = None
    decision: ev.Decided | None = None
    proposal: ev.DecisionProposed | None = None  # a decision that waits for an approval
    proposals: int = 0  # proposals so far
    approvals: list[ev.ApprovalGranted] = field(default_factory=list)  # that hold, not used up
    approvals_used: Counter[str] = field(default_factory=Counter)  # how often, by step
    step_mode: bool = False  # stop before every step
    paused: bool = False  # stop before the next step
    ran_aside: bool = False  # the last attempt was not of the current step
    jumped: bool = False  # the operator jumped to the current step
    restarted: bool = False  # the kernel was restarted since the last stop
    resumed: bool = False  # the run was resumed, and no kernel has been found or started since
    setup_failed: bool = False  # a setup step failed in a restarted kernel
    setup_queue: deque[str] = field(default_factory=deque)  # setup steps left for a new kernel
    includes: dict[str, model.IncludedRunbook] = field(default_factory=dict)  # by their cells
    prepared: list[str] = field(default_factory=list)  # setup steps of these, latest last
    unsettled: deque[ev.AttemptIndeterminate] = field(default_factory=deque)
    resumed_by: model.Operator | None = None
    offer: ev.HandoverOffered | None = None
    handed_to: model.Operator | None = None  # who operates the run instead of its owner
    operators: list[model.Operator] = field(default_factory=list)  # attached now
    participants: set[int] = field(default_factory=set)  # all uids of all who attached or decided
    cancel: ev.Decided | None = None
    ended_by: str | None = None  # the step that asked for the run to end
    inserted: int = 0  # inserted cells that were run
    deviations: list[ev.Deviated] = field(default_factory=list)
    notified: set[str] = field(default_factory=set)  # the receivers told of the last stop
    notified_at: tuple[str | None, int] | None = None  # its step, and how often that had run

    @property
    def plan(self) -> ev.RunStarted:
        """Return the event that started the run.

        Raises:
            IllegalEventError: the run has not started.
        """
        if self.started is None:
            raise IllegalEventError("the record does not begin with run.started")
        return self.started

    @property
    def owner(self) -> model.Operator:
        """Return whose account the supervisor runs as: who started or last resumed the run."""
        return self.resumed_by or self.plan.operator

    @property
    def may_have_kernel(self) -> bool:
        """Return True if the kernel of the record may be there, reachable or not."""
        return self.kernel == "alive" or self.kernel_may_run

    @property
    def current(self) -> StepState | None:
        """Return the first step not yet passed, which the next stop is about; None at the end."""
        while self.position < len(self.order) and self._at(self.position).passed:
            self.position += 1
        return self._at(self.position) if self.position < len(self.order) else None

    def ordered_steps(self) -> list[Step]:
        """Return the steps in the order in which the run follows them."""
        return [self.steps[id_].step for id_ in self.order]

    @property
    def cancelled(self) -> bool:
        return self.cancel is not None

    @property
    def off_script(self) -> bool:
        return bool(self.deviations)

    def counts(self) -> dict[str, int]:
        """Count attempts, and steps by how they ended, for `run.finished`."""
        steps = self.steps.values()
        return {
            "attempts": sum(map(_attempts, steps)) + self.inserted,
            "steps": len(self.steps),
            "ok": sum(
                step.passed and not step.skipped
                for step in steps
                if step.attempts or step.done or step.already_done
            ),
            "failed": sum(
                not step.passed and step.attempts > 0 and not step.undone for step in steps
            ),
            "skipped": sum(step.skipped for step in steps),
            "not_run": sum(
                not (step.attempts or step.skipped or step.done or step.already_done)
                for step in steps
            ),
        }

    def attempts_of(self, cell: str) -> int:
        """Return how often a cell was run; 0 for an inserted cell, which runs once."""
        found = self.step_of(cell)
        if found is not None:
            return found.attempts
        return self.checked[cell].checks if cell in self.checked else 0

    def owner_of(self, cell: str) -> StepState | None:
        """Return the step whose check or undo `cell` is; None for other cells."""
        return self.checked.get(cell) or self.undos.get(cell)

    def step_of(self, cell: str) -> StepState | None:
        """Return the state of a step, or of an undo, which is one; None for other cells."""
        owner = self.undos.get(cell)
        return owner.undo if owner is not None else self.steps.get(cell)

    def is_unsettled(self, step: StepState) -> bool:
        """Return True if nobody knows yet what came of an attempt of `step`."""
        return any(attempt.step == step.step.id for attempt in self.unsettled)

    def _at(self, position: int) -> StepState:
        return self.steps[self.order[position]]

    def mark_not_passed(self, step: StepState) -> None:
        """Let the run execute `step` again."""
        step.passed = False
        self.position = min(self.position, step.step.number - 1)

    def mark_setup_done(self, step: StepState) -> None:
        """Take `step` off the setup steps that a new kernel still needs."""
        with suppress(ValueError):
            self.setup_queue.remove(step.step.id)


def _attempts(step: StepState) -> int:
    return step.attempts + (step.undo.attempts if step.undo is not None else 0)
