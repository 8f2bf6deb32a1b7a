"""Events of what is made from the record while it grows: seals, the index, forwarding, traces."""

from nbrun.core.events.base import EventBase


class SealFailed(EventBase, frozen=True, kw_only=True, tag="seal.failed"):
    """The record could not be signed up to line `upto`."""

    upto: int
    why: str


class IndexFailed(EventBase, frozen=True, kw_only=True, tag="index.failed"):
    """The start of the run could not be entered into the index of the folder of runs."""

    why: str


class ForwardingFailed(EventBase, frozen=True, kw_only=True, tag="forwarding.failed"):
    """The lines from `since` on could not be sent to `target`.

    nbrun sends them once the sink accepts lines again.
    """

    target: str
    since: int
    why: str


class ForwardingResumed(EventBase, frozen=True, kw_only=True, tag="forwarding.resumed"):
    """All lines up to `upto` have been sent to `target`, including those that had failed."""

    target: str
    upto: int


class TraceFailed(EventBase, frozen=True, kw_only=True, tag="trace.failed"):
    """Spans of the run's trace could not be sent to `target`. Recorded for the first of them.

    nbrun does not send them again by itself: `nbrun export --otlp` makes the trace of the record.
    """

    target: str
    why: str
