"""Where a run stands, as its events so far tell it."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from nbrun.core import events as ev
from nbrun.core import model
from nbrun.core.events import Outcome
from nbrun.core.model import Step
from nbrun.errors import IllegalEventError

# The decisions that run a step of the runbook, or say that a person has done it.
RUNS_STEP = ("run", "continue", "retry", "edit", "done")


class Phase(Enum):
    NEW = "new"
    READY = "ready"  # between attempts: the engine does what comes next
    RUNNING = "running"  # an attempt is in flight
    STOPPED = "stopped"  # waiting for a decision
    FINISHED = "finished"

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for at every event


@dataclass(slots=True)
class StepState:
    """What has become of one step. `passed`: the run need not run it any more.

    `redo`: the operator asked for it to be run again when the run comes by; `vouched`: nobody saw
    its last attempt end, and the operator says that it happened; `done`: a person
    has done it; `retries_left`: how often the runbook itself would have it run again now;
    `approved`: what another person said of it last.
    """

    step: Step
    attempts: int = 0
    outcome: Outcome | Literal["indeterminate"] | None = None
    passed: bool = False
    skipped: bool = False
    redo: bool = False
    vouched: bool = False
    done: bool = False
    retries_left: int = 0
    approved: ev.ApprovalGranted | None = None
    last_source: str | None = None

    @property
    def declared_skip(self) -> bool:
        """The runbook itself says that this cell is not executed (nbclient's tag)."""
        return "skip-execution" in self.step.tags

    @property
    def succeeded(self) -> bool:
        """Its last attempt did what the runbook expects of it."""
        allowed = self.outcome == "error" and "raises-exception" in self.step.tags
        return self.outcome == "ok" or allowed or self.vouched or self.done

    @property
    def failed(self) -> bool:
        """Its last attempt did not succeed, and nobody has asked for another."""
        return self.outcome is not None and not self.passed and not self.redo


@dataclass
class RunState:
    """A run as its events so far tell it. Changed by `reducer.apply` alone."""

    phase: Phase = Phase.NEW
    started: ev.RunStarted | None = None
    finished: ev.RunFinished | None = None
    steps: dict[str, StepState] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    position: int = 0
    kernel: Literal["none", "alive", "dead"] = "none"
    generation: int = 0
    kernel_info: ev.KernelStarted | None = None
    process: ev.KernelProcess | None = None
    sent: int = 0  # attempts that this kernel was given
    suspended: bool = False  # something outside has stopped its process
    busy: bool = False  # a kernel that was reattached to is still at what it did before
    told: str = ""  # what such a kernel says of the attempt that nobody saw end
    attempt: ev.AttemptStarted | None = None
    last_attempt: ev.AttemptStarted | None = None
    interrupted: bool = False
    timed_out: bool = False
    input_wanted: ev.InputRequested | None = None
    stop: ev.Stopped | None = None
    decision: ev.Decided | None = None
    proposal: ev.DecisionProposed | None = None  # what was decided here waits for an approval
    stepping: bool = False
    paused: bool = False
    aside: bool = False
    moved: bool = False
    restarted: bool = False
    resumed: bool = False  # and what the run needs of a kernel is yet to be found or made
    setup_failed: bool = False
    rebuild: deque[str] = field(default_factory=deque)  # what a new kernel has yet to run again
    unsettled: deque[ev.AttemptIndeterminate] = field(default_factory=deque)
    operators: list[model.Operator] = field(default_factory=list)  # attached now
    hands: set[int] = field(default_factory=set)  # the uids of all who were attached or decided
    cancel: ev.Decided | None = None
    ended_by: str | None = None
    inserted: int = 0
    deviations: list[ev.Deviated] = field(default_factory=list)

    @property
    def plan(self) -> ev.RunStarted:
        """What was started.

        Raises:
            IllegalEventError: nothing was.
        """
        if self.started is None:
            raise IllegalEventError("the record does not begin with run.started")
        return self.started

    @property
    def current(self) -> StepState | None:
        """The first step not yet passed, which the next stop is about; None at the end."""
        while self.position < len(self.order) and self._at(self.position).passed:
            self.position += 1
        return self._at(self.position) if self.position < len(self.order) else None

    def order_of_steps(self) -> list[Step]:
        """The steps as the run follows them, in order."""
        return [self.steps[id_].step for id_ in self.order]

    @property
    def cancelled(self) -> bool:
        return self.cancel is not None

    @property
    def off_script(self) -> bool:
        return bool(self.deviations)

    def counts(self) -> dict[str, int]:
        """Attempts, and steps by how they ended, as `run.finished` has them."""
        steps = self.steps.values()
        return {
            "attempts": sum(step.attempts for step in steps) + self.inserted,
            "steps": len(self.steps),
            "ok": sum(
                step.passed and not step.skipped for step in steps if step.attempts or step.done
            ),
            "failed": sum(not step.passed and step.attempts > 0 for step in steps),
            "skipped": sum(step.skipped for step in steps),
            "not_run": sum(not (step.attempts or step.skipped or step.done) for step in steps),
        }

    def _at(self, position: int) -> StepState:
        return self.steps[self.order[position]]

    def unpass(self, step: StepState) -> None:
        """Let the run come by `step` again."""
        step.passed = False
        self.position = min(self.position, step.step.number - 1)
