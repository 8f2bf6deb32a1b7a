"""A run told event by event, for tests of views: the state's own rules check and complete it."""

from pathlib import Path
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event, Record
from nbrun.core.model import Narration, Step
from nbrun.core.reducer import apply, check_transition
from nbrun.core.state import RunState
from tests.support import build_events
from tests.support.build_events import OPERATOR, display, stream

__all__ = ["OPERATOR", "Tale", "at", "display", "step", "stream", "told"]


def at(seq: int) -> str:
    """The time of the record of that number."""
    return build_events.record(build_events.resumed(), seq).at


def step(id: str, source: str = "pass", **fields: Any) -> Step:
    """A step without its number, which `Tale` gives it."""
    return build_events.step(0, source=source, id=id, **{"title": f"Title of {id}"} | fields)


def told(id: str, source: str, kind: Any = "markdown", **fields: Any) -> Narration:
    return build_events.narration(source, id, kind, **fields)


class Tale:
    """The records of a run, one second between two, and the state that they lead to."""

    def __init__(self, *steps: Step, policy: Any = None, **fields: Any) -> None:
        self.records: list[Record] = []
        self.state = RunState()
        numbered = [
            msgspec.structs.replace(each, number=number) for number, each in enumerate(steps, 1)
        ]
        self.add(
            build_events.run_started(numbered, policy, **fields), build_events.kernel_started()
        )

    def add(self, *events: Event) -> "Tale":
        """Let `events` happen, each with the deviations that it entails."""
        for event in events:
            check_transition(self.state, event)
            for each in (event, *deviations_of(self.state, event)):
                apply(self.state, each)
                self.records.append(build_events.record(each, len(self.records)))
        return self

    def begin(self, step: str, source: str | None = None, cause: Any = "script") -> "Tale":
        known = self.state.steps.get(step)
        planned = known.step.source if known else ""
        attempt = known.attempts + 1 if known else 1
        edited = known is not None and source not in (None, planned)
        sent = planned if source is None else source
        return self.add(build_events.attempt_started(step, attempt, sent, edited, cause))

    def output(self, output: dict[str, Any], **fields: Any) -> "Tale":
        """An output of what runs, or ran last."""
        return self.add(ev.Output(**self._last() | {"output": output} | fields))

    def update(self, display_id: str, data: dict[str, Any]) -> "Tale":
        return self.add(ev.OutputUpdated(**self._last(), display_id=display_id, data=data))

    def clear(self, *, wait: bool) -> "Tale":
        return self.add(ev.OutputCleared(**self._last(), wait=wait))

    def end(self, outcome: Any = "ok", **fields: Any) -> "Tale":
        return self.add(build_events.attempt_finished(**self._last(), outcome=outcome, **fields))

    def attempt(self, step: str, *outputs: dict[str, Any], **how: Any) -> "Tale":
        """A whole attempt; `source` and `cause` are of its start, the rest of its end."""
        self.begin(step, how.pop("source", None), how.pop("cause", "script"))
        for output in outputs:
            self.output(output)
        return self.end(**how)

    def failure(self, step: str, **how: Any) -> "Tale":
        """An attempt that fails with a ValueError, and the stop after it."""
        self.attempt(step, outcome="error", ename="ValueError", evalue="no such host", **how)
        return self.stop("step_failed")

    def stop(self, reason: Any) -> "Tale":
        current = self.state.current
        return self.add(build_events.stopped(reason, current.step.id if current else None))

    def decide(self, decision: str, **fields: Any) -> "Tale":
        """A decision that ends the stop."""
        return self.add(build_events.decided(decision, **fields), build_events.resumed())

    def note(self, text: str) -> "Tale":
        return self.add(build_events.note_added(text))

    def finish(self, outcome: Any = "completed", **fields: Any) -> "Tale":
        return self.add(self.ending(outcome, **fields))

    def ending(self, outcome: Any = "completed", **fields: Any) -> ev.RunFinished:
        return build_events.run_finished(outcome, self.state.off_script, **fields)

    def write(self, path: Path) -> Path:
        """A journal at `path` that holds these records."""
        return build_events.write(path, [record.event for record in self.records])

    def _last(self) -> dict[str, Any]:
        last = self.state.last_attempt
        assert last is not None
        return {"step": last.step, "attempt": last.attempt}
