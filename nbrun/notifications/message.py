"""A message about one event of a run: as JSON for a hook, as title and text for a person.

It contains only what the record contains, so secrets are redacted. All of it is cut.
"""

import shlex
import socket
from pathlib import Path
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.approval import pending_approval
from nbrun.core.choices.options import may_name_step, options
from nbrun.core.events import Record
from nbrun.core.model import Occasion
from nbrun.core.planner import waits_for_decision
from nbrun.core.state import RunState
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.text import event_summary, phrases, waiting
from nbrun.views.text.sanitize import plain

_LONGEST = 300  # characters of a title, an error or a reason
_LONGEST_FIELD = 2000  # characters of a text in the event
_MOST_NAMES = 20
# The command lines that answer, with the path of the run and the `seq` of where it stands.
_ANSWERS = {
    "stopped": ("nbrun attach {run}", "nbrun decide {run} DECISION --expect-seq {seq}"),
    "proposed": ("nbrun approve {run}",),
    "finished": ("nbrun log {run}",),
    "broken": ("nbrun resume {run}",),
}


class MessageStep(msgspec.Struct, frozen=True, kw_only=True):
    """The step that a message is about: `number` of `of`."""

    id: str
    number: int
    of: int
    title: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message: these fields are the JSON that a hook gets.

    - `record`: the path of the journal. `seq`: the number of its line that the message is about.
    - `outcome`: how the run ended; empty for one that has not.
    - `what`: the event in words. `error`: the last attempt's error; empty if it succeeded.
    - `waits_for`: who has to act; empty if the run does not wait. `attached`: who is there.
    - `choices`: what may be decided. `answer`: the command lines that do it. `expect_seq`: what
      `nbrun decide --expect-seq` takes.
    - `event`: as in the journal, with long texts cut; empty if nbrun itself failed.
    """

    version: int = 1
    on: Occasion
    run: str
    runbook: str
    record: str
    host: str
    operator: str
    seq: int
    at: str
    step: MessageStep | None
    outcome: str
    what: str
    error: str
    waits_for: str
    attached: tuple[str, ...]
    choices: tuple[str, ...]
    expect_seq: int
    answer: tuple[str, ...]
    event: dict[str, Any]

    def json(self) -> bytes:
        """Return the message as a line of JSON."""
        return msgspec.json.encode(self) + b"\n"

    def title(self) -> str:
        """Return `restore.ipynb waits at step 3 (db1)`."""
        where = f" at step {self.step.number}" if self.step else ""
        how = self.outcome
        if not how:
            verb = "needs an approval" if self.on == "proposed" else "waits"
            how = f"{verb if self.waits_for else 'stopped'}{where}"
        return f"{_cut(Path(self.runbook).name)} {how} ({self.host})"

    def text(self) -> str:
        """Return what waits, where and for whom, and how to answer."""
        rows = [self.what, self.error, f"waits for {self.waits_for}" if self.waits_for else ""]
        rows.append(f"run {self.run}, started by {self.operator}")
        rows.append(f"to {'answer' if self.waits_for else 'read it'}, on {self.host}:")
        return "\n".join([*filter(None, rows), *self.answer])


def occasion(state: RunState, record: Record) -> Occasion | None:
    """Return what `record` is an occasion for; None for most. `state` is the state after it."""
    match record.event:
        case ev.Stopped() | ev.DecisionProposed():
            return "proposed" if pending_approval(state) is not None else "stopped"
        case ev.InputRequested():
            return "stopped"
        case ev.RunFinished():
            return "finished"
    return None


def compose(
    on: Occasion, state: RunState, record: Record, directory: RunDirectory, error: str
) -> Message:
    """Return the message about `record`. `state` is the state after it.

    `error` is the line that says why the last attempt did not succeed; "" if it did.
    """
    event, waits = record.event, _waits(state, record)
    return Message(
        **_facts(state, directory, on if waits else "finished"),
        on=on,
        seq=record.seq,
        at=record.at,
        step=_step(state, getattr(event, "step", None)),
        outcome=phrases.run_outcome(event) if isinstance(event, ev.RunFinished) else "",
        what=_cut(_what(state, record)),
        error=_cut(error),
        waits_for=waiting.for_whom(state) if waits else "",
        choices=_choices(state) if waits else (),
        event=_shortened(msgspec.to_builtins(event)),
    )


def compose_broken(
    state: RunState, directory: RunDirectory, seq: int, at: str, error: str
) -> Message:
    """Return the message about a run that nbrun can't go on with, after the line `seq`.

    `at` is the time of that line. `error` says why, without secrets.
    """
    current = state.current
    next_step = current.step.id if current else None
    return Message(
        **_facts(state, directory, "broken"),
        on="stopped",
        seq=seq,
        at=at,
        step=_step(state, state.attempt.step if state.attempt else next_step),
        outcome="",
        what="nbrun can't go on with this run",
        error=_cut(error),
        waits_for=state.plan.operator.name,
        choices=("resume",),
        event={},
    )


def _facts(state: RunState, directory: RunDirectory, answer: str) -> dict[str, Any]:
    """Return what a message says about the run itself. `answer`: the key of its `_ANSWERS`."""
    path = shlex.quote(str(directory.path))  # another user may keep runs elsewhere
    return {
        "run": state.plan.run,
        "runbook": plain(state.plan.runbook),
        "record": str(directory.journal),
        "host": socket.gethostname(),
        "operator": state.plan.operator.name,
        "attached": tuple(each.name for each in state.operators[:_MOST_NAMES]),
        "expect_seq": state.seq,
        "answer": tuple(line.format(run=path, seq=state.seq) for line in _ANSWERS[answer]),
    }


def _waits(state: RunState, record: Record) -> bool:
    """Return False if the run has ended, or is about to because nobody can decide."""
    match record.event:
        case ev.RunFinished():
            return False
        case ev.Stopped() as stop:
            return waits_for_decision(state, stop)
    return True


def _step(state: RunState, id_: str | None) -> MessageStep | None:
    known = state.steps.get(id_ or "")
    if known is None:
        return None
    step = known.step
    return MessageStep(id=step.id, number=step.number, of=len(state.steps), title=_cut(step.title))


def _what(state: RunState, record: Record) -> str:
    match record.event:
        case ev.RunFinished() as event:
            outcome = phrases.run_outcome(event)
            return f"{outcome}: {event.why}" if event.why else outcome
        case ev.InputRequested() as event:
            return f"{phrases.step(state, event.step)}: asks for input: {event.prompt}"
    summary = event_summary.describe(state, record)
    return event_summary.sentence(summary) if summary else ""


def _choices(state: RunState) -> tuple[str, ...]:
    """Return the decisions that are possible, by the names that `nbrun decide` knows."""
    possible = [each.name for each in options(state) if each.refusal is None]
    others = [name for name in ("jump", "undo") if may_name_step(state, name)]
    return tuple(name for name in (*possible, *others) if name != "note")


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    return {
        key: f"{value[:_LONGEST_FIELD]}…"
        if isinstance(value, str) and len(value) > _LONGEST_FIELD
        else value
        for key, value in event.items()
    }


def _cut(text: str) -> str:
    """Return `text` on one line, with controls made visible, and cut."""
    shown = plain(text)
    return f"{shown[:_LONGEST]}…" if len(shown) > _LONGEST else shown
