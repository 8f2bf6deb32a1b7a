"""The decisions that can be made where a run stands: for the menu, `nbrun status` and programs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from nbrun.core import decisions, undo
from nbrun.core.approval import pending_approval
from nbrun.core.choices.needs import Needs, needs_of
from nbrun.core.choices.programs import may_decide, program_refusal
from nbrun.core.decisions import Decision
from nbrun.core.guards import decision_refusal
from nbrun.core.state import RunState
from nbrun.errors import UsageError

_CODE = "pass"  # whether an edit is allowed does not depend on its source

# A decision of each kind: if it is refused, so is every other of its kind here.
SAMPLES: Mapping[str, Decision] = {
    "run": decisions.Run(),
    "retry": decisions.Retry(),
    "done": decisions.Done(),
    "continue": decisions.Continue(),
    "edit": decisions.Edit(source=_CODE),
    "skip": decisions.Skip(),
    "insert": decisions.Insert(source=_CODE),
    "restart": decisions.RestartKernel(),
    "withdraw": decisions.Withdraw(),
    "settle": decisions.Settle(finding="unknown"),
    "note": decisions.AddNote(text="…"),
    "answer": decisions.Answer(text=""),
    "interrupt": decisions.Interrupt(),
    "kill": decisions.KillKernel(),
    "cancel": decisions.Cancel(),
}

# The decisions that can name a step.
OF_STEP: Mapping[str, Callable[[str], Decision]] = {
    "run": lambda step: decisions.Run(step=step),
    "edit": lambda step: decisions.Edit(source=_CODE, step=step),
    "jump": lambda step: decisions.Jump(step=step),
    "undo": lambda step: decisions.Undo(step=step),
}


@dataclass(frozen=True)
class Option:
    """A decision that can be named where a run stands.

    - `step`: the id of the step that it names; None if it names none.
    - `refusal`: why it is not allowed now; None if it is.
    - `needs`: what it needs, if it is allowed.
    - `program`: what becomes of it if a program makes it: it is carried out (`decides`), or waits
      for a person's approval (`proposes`); empty if it is refused.
    - `program_refusal`: why it is refused if a program makes it; None if it is not.
    """

    name: str
    step: str | None
    refusal: str | None
    needs: Needs
    program: str
    program_refusal: str | None


@dataclass(frozen=True)
class Arguments:
    """The arguments given with the name of a decision.

    - `argument`: a step's number or id, a finding, a text; empty for none.
    - `source`: the code of an edit or of an inserted cell; None for none.
    """

    argument: str = ""
    source: str | None = None
    reason: str = ""
    typed: str = ""
    confirmed: bool = False


_FINDINGS: Mapping[str, decisions.Settlement] = {
    "happened": "happened",
    "did-not-happen": "did_not_happen",
    "did_not_happen": "did_not_happen",
    "unknown": "unknown",
}
_STEP_OPTIONAL, _STEP_REQUIRED = ("run", "edit"), ("jump", "undo")
_TEXTS = ("note", "answer")
_SOURCES = ("edit", "insert")
NAMES = (*SAMPLES, "jump", "undo", "approve", "reject")


def named_decision(state: RunState, name: str, given: Arguments) -> Decision:
    """Return the decision `name` with its arguments. Numbers are those of the steps of `state`.

    Raises:
        UsageError: there is no such decision, or its arguments are wrong.
    """
    if name not in NAMES:
        raise UsageError(f"{name!r} is not a decision: one of {', '.join(NAMES)}")
    fields: dict[str, object] = {"decision": name, "reason": given.reason}
    fields |= {"typed": given.typed, "confirmed": given.confirmed}
    fields |= _argument(state, name, given.argument) | _source(name, given.source)
    pending = pending_approval(state)
    if name == "approve":
        fields["binding"] = pending.binding if pending is not None else ""
    made: Decision = msgspec.convert(fields, Decision)
    return made


def _argument(state: RunState, name: str, argument: str) -> dict[str, object]:
    if name in _TEXTS:
        return {"text": argument}
    if name == "settle":
        if argument not in _FINDINGS:
            raise UsageError("settle what? happened, did-not-happen or unknown")
        return {"finding": _FINDINGS[argument]}
    if name not in (*_STEP_OPTIONAL, *_STEP_REQUIRED):
        if argument:
            raise UsageError(f"{name} takes nothing after it, not {argument!r}")
        return {}
    if not argument and name in _STEP_OPTIONAL:
        return {}
    if not argument:
        raise UsageError(f"{name} needs a step: 1 to {len(state.order)}, or an id")
    step = find_step(state, argument)
    if step is None:
        raise UsageError(
            f"{name}: there is no step {argument!r}: 1 to {len(state.order)}, or an id"
        )
    return {"step": step}


def _source(name: str, source: str | None) -> dict[str, object]:
    if name in _SOURCES and source is None:
        raise UsageError(f"{name} needs the code to run: name its file with --source")
    if name not in _SOURCES and source is not None:
        raise UsageError(f"{name} runs no code of yours")
    return {"source": source} if source is not None else {}


def find_step(state: RunState, called: str) -> str | None:
    """Return the id of the step that a number or an id names, or None."""
    # int() raises an error for thousands of digits.
    is_number = len(called) < 10 and called.isascii() and called.isdigit()
    if is_number and 0 < int(called) <= len(state.order):
        return state.order[int(called) - 1]
    return called if called in state.steps else None


def may_name_step(state: RunState, name: str) -> bool:
    """Return True if the decision `name` about another step than the current one may be allowed."""
    policy = state.plan.policy
    if policy.strict or state.unsettled or (name == "undo" and not undo.offered(state)):
        return False
    if state.proposal is not None and not state.proposal.operator.is_program:
        return False
    return name == "jump" or state.kernel == "alive"


def options(state: RunState, step: str | None = None) -> list[Option]:
    """Return all decisions, about `step` where they can name one, and what each would need.

    Without a step, an undo is about the step that ran last, as in the operator's menu.
    """
    return [_option(state, name, sample) for name, sample in _samples(state, step)]


def _samples(state: RunState, step: str | None) -> Iterator[tuple[str, Decision]]:
    of_step = {name: make(step) for name, make in OF_STEP.items()} if step is not None else {}
    yield from {**SAMPLES, **of_step}.items()
    if step is None and (undoable := undo.offered(state)):
        yield "undo", decisions.Undo(step=undoable[0].step.id)
    pending = pending_approval(state)
    yield "approve", decisions.Approve(binding=pending.binding if pending else "")
    yield "reject", decisions.Reject()


def _option(state: RunState, name: str, sample: Decision) -> Option:
    refusal = decision_refusal(state, sample)
    step = getattr(sample, "step", None)
    if refusal is not None:
        return Option(name, step, refusal, Needs(), "", refusal)
    by_program = program_refusal(state, sample)
    program = "" if by_program else "decides" if may_decide(state, sample) else "proposes"
    return Option(name, step, None, needs_of(state, sample), program, by_program)
