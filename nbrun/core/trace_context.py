"""The trace of a run by the W3C's Trace Context, and the ids of its spans.

Every id follows from the run's id and from what the span is about. So a trace that is sent while
the run goes on and one that is made of its record later have the same ids.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

VARIABLE = "TRACEPARENT"
STATE_VARIABLE = "TRACESTATE"
_SAMPLED = 1  # the flag by which a caller says that it records the trace
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)


@dataclass(frozen=True)
class SpanContext:
    """A place in a trace: the ids in hexadecimal, and whether the trace is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def traceparent(self) -> str:
        """Return this place as the value of `TRACEPARENT`."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse(traceparent: str) -> SpanContext | None:
    """Return the place that `traceparent` names; None if it is not valid, as the W3C defines."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return SpanContext(found["trace"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))


def incoming(environ: Mapping[str, str]) -> str:
    """Return the caller's `TRACEPARENT`; empty if there is none, or none that is valid."""
    value = environ.get(VARIABLE, "").strip()
    return value if parse(value) else ""


def trace_of(run: str, traceparent: str) -> str:
    """Return the id of a run's trace: the caller's, or one of its own."""
    parent = parse(traceparent)
    return parent.trace_id if parent else _digest(run, "trace")[:32]


def run_span(run: str) -> str:
    """Return the id of the span of the whole run."""
    return _digest(run, "run")[:16]


def attempt_span(run: str, cell: str, attempt: int) -> str:
    """Return the id of the span of an attempt. nbrun knows it before the attempt is recorded."""
    return _digest(run, "attempt", cell, str(attempt))[:16]


def span_since(run: str, seq: int, kind: str) -> str:
    """Return the id of a span of another kind, which began with record `seq`."""
    return _digest(run, kind, str(seq))[:16]


def _digest(*names: str) -> str:
    digest = sha256("\0".join(names).encode()).hexdigest()
    # An id of zeros alone is not valid. That nobody has seen one of SHA-256 is no proof.
    return digest if digest.strip("0") else "1" * 64
