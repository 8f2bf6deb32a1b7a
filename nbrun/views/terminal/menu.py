"""The question at a stop: what may be chosen there, and what a typed line means."""

from collections.abc import Callable
from dataclasses import dataclass

from nbrun.core import decisions
from nbrun.core.decisions import Decision
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import step_label
from nbrun.core.state import RunState


@dataclass(frozen=True)
class Choice:
    """One thing an operator can ask for. `letter` and `words` name it; `sample` is a decision that
    tells, by its refusal, whether it is possible here."""

    name: str
    letter: str
    words: tuple[str, ...]
    help: str
    sample: Decision | None = None


_CODE = "pass"  # any source does, to ask whether one is allowed

CHOICES = (
    Choice("run", "r", ("run",), "run this step", decisions.Run()),
    Choice("retry", "r", ("retry",), "run what failed once more, unchanged", decisions.Retry()),
    Choice(
        "done", "x", ("done",), "say that you have done what this step asks for", decisions.Done()
    ),
    Choice(
        "continue",
        "g",
        ("go", "continue"),
        "run this step, and those after it",
        decisions.Continue(),
    ),
    Choice(
        "edit",
        "e",
        ("edit",),
        "change this step in $EDITOR and run it",
        decisions.Edit(source=_CODE),
    ),
    Choice("skip", "s", ("skip",), "pass over this step", decisions.Skip()),
    Choice("run-other", "r N", (), "run step N as the runbook has it, then come back here"),
    Choice("edit-other", "e N", (), "change step N in $EDITOR and run it, then come back here"),
    Choice("jump", "j N", ("jump",), "move to step N and stop there; nothing is run by it"),
    Choice(
        "insert",
        "i",
        ("insert",),
        "run a cell of your own, then come back here",
        decisions.Insert(source=_CODE),
    ),
    Choice(
        "restart",
        "k",
        ("restart",),
        "restart the kernel, and run its setup steps again",
        decisions.RestartKernel(),
    ),
    Choice(
        "withdraw",
        "w",
        ("withdraw",),
        "take back what waits for an approval",
        decisions.Withdraw(),
    ),
    Choice("note", "n", ("note",), "put a remark into the record"),
    Choice(
        "happened",
        "happened",
        (),
        "what nobody saw end did happen: the run goes on behind it",
        decisions.Settle(finding="happened"),
    ),
    Choice(
        "not",
        "not",
        ("not-happened",),
        "it did not happen: the run stops at it",
        decisions.Settle(finding="did_not_happen"),
    ),
    Choice(
        "unknown",
        "unknown",
        (),
        "nobody knows whether it happened: the run stops at it",
        decisions.Settle(finding="unknown"),
    ),
    Choice("view", "v", ("view",), "look back at this step; also: view N, view source, view left"),
    Choice(
        "detach", "d", ("detach",), "leave; the run waits here for an attach", decisions.Detach()
    ),
    Choice("cancel", "c", ("cancel",), "end the run here", decisions.Cancel()),
    Choice("help", "?", ("help", "h"), "explain these"),
)

_BY_NAME = {choice.name: choice for choice in CHOICES}

# The choices that a step is named after, and the decision that each is.
_OF_STEP: dict[str, Callable[[str], Decision]] = {
    "run-other": lambda step: decisions.Run(step=step),
    "edit-other": lambda step: decisions.Edit(source=_CODE, step=step),
    "jump": lambda step: decisions.Jump(step=step),
}


@dataclass(frozen=True)
class Chosen:
    """A choice and what was typed after it."""

    choice: Choice
    argument: str = ""


def parse(line: str, state: RunState) -> Chosen | str:
    """What a typed line asks for; else, as text, why it asks for nothing.

    Nothing is chosen by an empty line, and a word is never completed by guessing.
    """
    word, _, argument = line.strip().partition(" ")
    argument = argument.strip()
    choice = _choice(word.lower(), argument, state)
    if choice is None:
        return f"{word!r} is not a choice here; ? explains them" if word else "choose; ? explains"
    if argument and choice.name not in (*_OF_STEP, "note", "view"):
        return f"{choice.name} takes nothing after it"
    if choice.name in _OF_STEP:
        return _with_step(choice, argument, state)
    if choice.sample is not None and (why_not := decision_refusal(state, choice.sample)):
        return why_not
    return Chosen(choice, argument)


def _choice(word: str, argument: str, state: RunState) -> Choice | None:
    if argument and word in ("r", "run", "e", "edit"):
        return _BY_NAME["run-other" if word[0] == "r" else "edit-other"]
    if word == "r":
        failed = state.current is not None and state.current.failed
        return _BY_NAME["retry" if failed else "run"]
    for choice in CHOICES:
        if word in choice.words or word == choice.letter.split()[0]:
            return choice
    return None


def _with_step(choice: Choice, argument: str, state: RunState) -> Chosen | str:
    step = step_id(argument, state)
    if step is None:
        return f"{choice.name.partition('-')[0]} which step? There are 1 to {len(state.order)}"
    return decision_refusal(state, _OF_STEP[choice.name](step)) or Chosen(choice, step)


def step_id(typed: str, state: RunState) -> str | None:
    """The step that a number, or an id, names."""
    known = len(typed) < 10 and typed.isascii() and typed.isdigit()  # int() refuses thousands
    if known and 0 < int(typed) <= len(state.order):
        return state.order[int(typed) - 1]
    return typed if typed in state.steps else None


def possible(state: RunState) -> list[Choice]:
    """The choices that are open at this stop."""
    return [choice for choice in CHOICES if _is_open(choice, state)]


def _is_open(choice: Choice, state: RunState) -> bool:
    if choice.name in _OF_STEP and (state.plan.policy.strict or state.unsettled):
        return False
    if choice.name in _OF_STEP and state.proposal is not None:
        return False
    if choice.name in ("run-other", "edit-other"):
        return state.kernel == "alive"
    return choice.sample is None or decision_refusal(state, choice.sample) is None


def menu(state: RunState) -> list[str]:
    """The open choices, each with its letter: `r retry`, `e edit`, …"""
    shown = []
    for choice in possible(state):
        word = choice.words[0] if choice.words else f"{choice.name.removesuffix('-other')} step N"
        shown.append(choice.letter if choice.letter == choice.name else f"{choice.letter} {word}")
    return shown


def explained(state: RunState) -> list[tuple[str, str]]:
    """Each open choice and what it does, and why others are not open."""
    rows = []
    for choice in CHOICES:
        why_not = decision_refusal(state, choice.sample) if choice.sample is not None else None
        name = ", ".join((choice.letter, *choice.words))
        rows.append((name, f"not now: {why_not}" if why_not else choice.help))
    return rows


def question(state: RunState) -> str:
    """The prompt itself, which names the step that the choices act on."""
    current = state.current
    if state.unsettled:
        return f"did {step_label(state, state.unsettled[0].step)} happen? "
    waits = ", waiting" if state.proposal is not None else ""
    return f"{step_label(state, current.step.id)}{waits}> " if current else "> "
