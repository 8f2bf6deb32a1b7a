"""The menu at a stop: the choices, which of them are possible, and the parsing of a typed line."""

import re
from dataclasses import dataclass
from textwrap import dedent

from nbrun.core import decisions, undo
from nbrun.core.choices.options import OF_STEP, SAMPLES, find_step, may_name_step
from nbrun.core.decisions import Decision
from nbrun.core.guards import decision_refusal
from nbrun.core.planner import step_label
from nbrun.core.state import RunState
from nbrun.views.text.sanitize import plain


@dataclass(frozen=True)
class Choice:
    """One thing that an operator can choose, by its `letter` or one of its `words`.

    `sample` is a decision of that kind: if it would be refused, the choice is not possible.
    """

    name: str
    letter: str
    words: tuple[str, ...]
    help: str
    sample: Decision | None = None


# Words that a step may follow
_WITH_STEP = (
    "v",
    "view",
    "r",
    "run",
    "e",
    "edit",
    "j",
    "jump",
    "u",
    "undo",
)
_OF_LINES = ("insert", "note")  # what several lines may follow
_WORD = re.compile(r"(\S*)(?:[^\S\n]|\n)?(.*)", re.DOTALL)

CHOICES = (
    Choice("run", "r", ("run",), "run this step", SAMPLES["run"]),
    Choice("retry", "r", ("retry",), "run again what ran last of this step", SAMPLES["retry"]),
    Choice(
        "done",
        "x",
        ("done",),
        "say that you did this step by hand; nothing runs",
        SAMPLES["done"],
    ),
    Choice(
        "continue",
        "g",
        ("go", "continue"),
        "run this step and the following ones, without stopping before each",
        SAMPLES["continue"],
    ),
    Choice(
        "edit",
        "e",
        ("edit",),
        "edit this step in $EDITOR and run it",
        SAMPLES["edit"],
    ),
    Choice("skip", "s", ("skip",), "skip this step", SAMPLES["skip"]),
    Choice("run-other", "r N", (), "run step N as the runbook has it, then return here"),
    Choice("edit-other", "e N", (), "edit step N in $EDITOR and run it, then return here"),
    Choice("jump", "j N", ("jump",), "move to step N and stop there; runs nothing"),
    Choice(
        "insert",
        "i",
        ("insert",),
        "run a cell of your own, then return here; i CODE: without the editor",
        SAMPLES["insert"],
    ),
    Choice(
        "undo",
        "u",
        ("undo",),
        "run the undo of the step that ran last; u N: of step N",
    ),
    Choice(
        "restart",
        "k",
        ("restart",),
        "restart the kernel and run its setup steps again",
        SAMPLES["restart"],
    ),
    Choice(
        "withdraw",
        "w",
        ("withdraw",),
        "withdraw the decision that waits for an approval",
        SAMPLES["withdraw"],
    ),
    Choice("approve", "a", ("approve",), "approve what a program has proposed"),
    Choice(
        "reject",
        "reject",
        (),
        "reject what a program has proposed",
        decisions.Reject(),
    ),
    Choice("note", "n", ("note",), "add a note to the record"),
    Choice(
        "happened",
        "happened",
        (),
        "the step happened: the run continues after it",
        decisions.Settle(finding="happened"),
    ),
    Choice(
        "not",
        "not",
        ("not-happened",),
        "the step did not happen: the run stops at it",
        decisions.Settle(finding="did_not_happen"),
    ),
    Choice(
        "unknown",
        "unknown",
        (),
        "nobody knows whether the step happened: the run stops at it",
        decisions.Settle(finding="unknown"),
    ),
    Choice("view", "v", ("view",), "show this step again; also: view N, view source, view left"),
    Choice(
        "detach",
        "d",
        ("detach",),
        "leave the run, which waits here for nbrun attach",
        decisions.Detach(),
    ),
    Choice("cancel", "c", ("cancel",), "end the run here", SAMPLES["cancel"]),
    Choice("help", "?", ("help", "h"), "explain the choices"),
)

_BY_NAME = {choice.name: choice for choice in CHOICES}

# The choices that take a step, and the decision that each makes.
_OF_STEP = {
    "run-other": OF_STEP["run"],
    "edit-other": OF_STEP["edit"],
    "jump": OF_STEP["jump"],
    "undo": OF_STEP["undo"],
}
_ABOUT_PROGRAM = ("approve", "reject")  # about what a program has proposed


@dataclass(frozen=True)
class Selection:
    """A choice and what was typed after it."""

    choice: Choice
    argument: str = ""


def parse(line: str, state: RunState) -> Selection | str:
    """Return the choice that a typed line makes, or why it makes none.

    An empty line chooses nothing, and a word is never completed by guessing.
    """
    word, argument = _split(line)
    choice = _choice(word.lower(), argument, state)
    if "\n" in line.strip() and (choice is None or choice.name not in _OF_LINES):
        return "several lines are not a choice here; ? explains the choices"
    if choice is None:
        what = f"{word!r} is not a choice here" if word else "type a choice"
        return f"{what}; ? explains the choices"
    if argument and choice.name not in (*_OF_STEP, "insert", "note", "view"):
        return f"{choice.name} takes nothing after it"
    if choice.name in _OF_STEP:
        return _with_step(choice, argument, state)
    if choice.name in _ABOUT_PROGRAM and not _is_program_waiting(state):
        return _NOTHING_PROPOSED
    if choice.sample is not None and (why_not := decision_refusal(state, choice.sample)):
        return why_not
    return Selection(choice, argument)


def _split(line: str) -> tuple[str, str]:
    """Return the first word, and what follows it: a cell keeps its lines and their indentation."""
    word, rest = _WORD.fullmatch(line.strip()).groups()  # type: ignore[union-attr]  # matches all
    return word, dedent(rest).strip()


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


def _with_step(choice: Choice, argument: str, state: RunState) -> Selection | str:
    step = find_step(state, argument or _default_step(choice, state))
    if step is None and choice.name == "undo" and not argument:
        return "nothing that ran has an undo that is left to run"
    if step is None:
        return f"{choice.name.partition('-')[0]} which step? There are 1 to {len(state.order)}"
    return decision_refusal(state, _OF_STEP[choice.name](step)) or Selection(choice, step)


def _default_step(choice: Choice, state: RunState) -> str:
    """Return the step that a choice means if none is typed: to undo, the one that ran last."""
    offered = undo.offered(state) if choice.name == "undo" else []
    return offered[0].step.id if offered else ""


def possible(state: RunState) -> list[Choice]:
    """Return the choices that are possible at this stop."""
    return [choice for choice in CHOICES if _is_possible(choice, state)]


def _is_possible(choice: Choice, state: RunState) -> bool:
    if choice.name in _OF_STEP:
        return may_name_step(state, choice.name.removesuffix("-other"))
    if choice.name in _ABOUT_PROGRAM:
        return _is_program_waiting(state)
    return choice.sample is None or decision_refusal(state, choice.sample) is None


def is_possible(name: str, state: RunState) -> bool:
    """Return True if the choice called `name` is possible at this stop."""
    return _is_possible(_BY_NAME[name], state)


def _is_program_waiting(state: RunState) -> bool:
    return state.proposal is not None and state.proposal.operator.is_program


_NOTHING_PROPOSED = "no program has proposed anything"


def labels(state: RunState) -> list[str]:
    """Return the possible choices with their letters: `r retry`, `u undo step 3`, …"""
    shown = []
    for choice in possible(state):
        word = choice.words[0] if choice.words else f"{choice.name.removesuffix('-other')} step N"
        if choice.name == "undo":
            word += f" {step_label(state, _default_step(choice, state))}"
        shown.append(choice.letter if choice.letter == choice.name else f"{choice.letter} {word}")
    return shown


def completions(text: str, state: RunState) -> list[tuple[str, str]]:
    """Return the words that may follow in a typed line, each with what it means."""
    word, space, argument = text.lstrip().partition(" ")
    if not space:
        words = ((name, choice) for choice in possible(state) for name in _names(choice))
        found = {name: choice.help for name, choice in words if name.startswith(word.lower())}
        return list(found.items())
    if word.lower() not in _WITH_STEP:
        return []
    titles = {str(n): state.steps[id_].step.title for n, id_ in enumerate(state.order, 1)}
    if word.lower() in _WITH_STEP[:2]:
        titles |= {"source": "what the runbook has", "left": "the steps that are left"}
    return [(name, plain(of)) for name, of in titles.items() if name.startswith(argument)]


def _names(choice: Choice) -> tuple[str, ...]:
    """Return the words of a choice: its letter if it has no other, none for `r N` and `e N`."""
    return choice.words or (() if " " in choice.letter else (choice.letter,))


def help_rows(state: RunState) -> list[tuple[str, str]]:
    """Return each choice and what it does, or why it is not possible now."""
    rows = []
    for choice in CHOICES:
        why_not = decision_refusal(state, choice.sample) if choice.sample is not None else None
        if choice.name in _ABOUT_PROGRAM and not _is_program_waiting(state):
            why_not = _NOTHING_PROPOSED
        name = ", ".join((choice.letter, *choice.words))
        rows.append((name, f"not now: {why_not}" if why_not else choice.help))
    return rows


def prompt(state: RunState) -> str:
    """Return the prompt, which names the step that the choices act on."""
    current = state.current
    if state.unsettled:
        return f"did {step_label(state, state.unsettled[0].step)} happen? "
    is_blocked = state.proposal is not None and not _is_program_waiting(state)
    waits = ", waiting" if is_blocked else ""
    return f"{step_label(state, current.step.id)}{waits}> " if current else "> "
