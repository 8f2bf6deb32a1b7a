"""Build the records of a run event by event. The reducer checks each, and deviations are added."""

from pathlib import Path
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.deviations import deviations_of
from nbrun.core.events import Event, Record
from nbrun.core.model import Narration, Step
from nbrun.core.reducer import apply_record, check_transition
from nbrun.core.state import RunState
from tests.support import build_events
from tests.support.build_events import OPERATOR, display, stream

__all__ = ["OPERATOR", "Run", "at", "display", "narrate", "step", "stream"]


def at(seq: int) -> str:
    """Return the time of the record with this number."""
    return build_events.record(build_events.resumed(), seq).at


def step(id: str, source: str = "pass", **fields: Any) -> Step:
    """Build a step; `Run` sets its number."""
    return build_events.step(0, source=source, id=id, **{"title": f"Title of {id}"} | fields)


def narrate(id: str, source: str, kind: Any = "markdown", **fields: Any) -> Narration:
    """Build a cell that is not run."""
    return build_events.narration(source, id, kind, **fields)


class Run:
    """The records of a run, one second apart, and the state after them."""

    def __init__(self, *steps: Step, policy: Any = None, **fields: Any) -> None:
        self.records: list[Record] = []
        self.state = RunState()
        numbered = [
            msgspec.structs.replace(each, number=number) for number, each in enumerate(steps, 1)
        ]
        self.add(
            build_events.run_started(numbered, policy, **fields), build_events.kernel_started()
        )

    def add(self, *events: Event) -> "Run":
        """Add `events`, each followed by the deviations that it implies."""
        for event in events:
            check_transition(self.state, event)
            for each in (event, *deviations_of(self.state, event)):
                self.records.append(build_events.record(each, len(self.records)))
                apply_record(self.state, self.records[-1])
        return self

    def begin(self, step: str, source: str | None = None, cause: Any = "script") -> "Run":
        known = self.state.steps.get(step)
        planned = known.step.source if known else ""
        attempt = known.attempts + 1 if known else 1
        edited = known is not None and source not in (None, planned)
        sent = planned if source is None else source
        return self.add(build_events.attempt_started(step, attempt, sent, edited, cause))

    def output(self, output: dict[str, Any], **fields: Any) -> "Run":
        """Add an output of the attempt that is running, or ran last."""
        return self.add(ev.Output(**self._last() | {"output": output} | fields))

    def update(self, display_id: str, data: dict[str, Any]) -> "Run":
        return self.add(ev.OutputUpdated(**self._last(), display_id=display_id, data=data))

    def clear(self, *, wait: bool) -> "Run":
        return self.add(ev.OutputCleared(**self._last(), wait=wait))

    def end(self, outcome: Any = "ok", **fields: Any) -> "Run":
        return self.add(build_events.attempt_finished(**self._last(), outcome=outcome, **fields))

    def attempt(self, step: str, *outputs: dict[str, Any], **how: Any) -> "Run":
        """Add a whole attempt. `source` and `cause` are of its start, other fields of its end."""
        self.begin(step, how.pop("source", None), how.pop("cause", "script"))
        for output in outputs:
            self.output(output)
        return self.end(**how)

    def failure(self, step: str, **how: Any) -> "Run":
        """Add an attempt that fails with a ValueError, and the stop after it."""
        self.attempt(step, outcome="error", ename="ValueError", evalue="no such host", **how)
        return self.stop("step_failed")

    def stop(self, reason: Any) -> "Run":
        current = self.state.current
        return self.add(build_events.stopped(reason, current.step.id if current else None))

    def decide(self, decision: str, **fields: Any) -> "Run":
        """Add a decision that ends the stop."""
        return self.add(build_events.decided(decision, **fields), build_events.resumed())

    def note(self, text: str) -> "Run":
        return self.add(build_events.note_added(text))

    def finish(self, outcome: Any = "completed", **fields: Any) -> "Run":
        return self.add(self.ending(outcome, **fields))

    def ending(self, outcome: Any = "completed", **fields: Any) -> ev.RunFinished:
        return build_events.run_finished(outcome, self.state.off_script, **fields)

    def write(self, path: Path) -> Path:
        """Write these records to a journal at `path`."""
        return build_events.write(path, [record.event for record in self.records])

    def _last(self) -> dict[str, Any]:
        last = self.state.last_attempt
        assert last is not None
        return {"step": last.step, "attempt": last.attempt}
