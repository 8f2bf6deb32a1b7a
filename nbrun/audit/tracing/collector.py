"""Send spans to a collector by OTLP. The only importer of OpenTelemetry's library.

Its library reads the `OTEL_*` variables, batches spans, and retries. It is slow to import: make a
`Collector` on a thread on which nobody waits.
"""

import logging
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nbrun import __version__
from nbrun.audit.tracing.spans import Span
from nbrun.core import addresses
from nbrun.errors import NbrunError
from nbrun.system.faults import root_cause

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from requests import Session

_LIBRARY_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_MAX_REASON = 300  # characters
_BATCH = 256  # spans of one request
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TraceError(NbrunError):
    """Spans can't be sent."""


class Collector:
    """The collector that the variables name. `target` is its address, without credentials."""

    def __init__(self, host: str) -> None:
        """Send nothing yet. `host`: the machine of the run.

        Raises:
            TraceError: the library is not installed.
        """
        self._fault = "the collector did not accept them"
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError:
            raise TraceError("a trace needs: pip install 'nbrun-cli[otel]'") from None
        self._exporter = OTLPSpanExporter(session=_session(self._note))
        self._resource = _resource(host)
        # It repeats itself with each batch. `TraceError` has the reason.
        logging.getLogger(_LIBRARY_LOGGER).disabled = True
        self._address = _address()
        self.target = addresses.without_credentials(self._address)

    def send(self, spans: Sequence[Span]) -> None:
        """Send `spans`, with the library's retries.

        Raises:
            TraceError: some were not accepted.
        """
        from opentelemetry.sdk.trace.export import SpanExportResult

        for first in range(0, len(spans), _BATCH):
            batch = [_readable(span, self._resource) for span in spans[first : first + _BATCH]]
            if self._exporter.export(batch) is not SpanExportResult.SUCCESS:
                raise TraceError(self._fault)

    def _note(self, fault: str) -> None:
        self._fault = addresses.hide_credentials(fault, self._address)[:_MAX_REASON]

    def close(self) -> None:
        """Give up on what is being sent. Any thread may call this."""
        exporter: Any = self._exporter
        exporter.shutdown()


def _session(note: Callable[[str], None]) -> "Session":
    """Return a session that notes why a request failed. The exporter's results do not say it."""
    from requests import Response, Session

    class NotingSession(Session):
        def request(self, *args: Any, **named: Any) -> Response:
            try:
                response = super().request(*args, **named)
            except Exception as error:
                note(str(root_cause(error)))
                raise
            if not response.ok:
                note(f"the collector answered {response.status_code} {response.reason}")
            return response

    return NotingSession()


def _address() -> str:
    """Return where spans are sent, as OpenTelemetry's specification derives it."""
    own = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or "http://localhost:4318"
    return own or f"{base.rstrip('/')}/v1/traces"


def _resource(host: str) -> "Resource":
    """Return what all spans have in common. The variables take precedence."""
    from opentelemetry.sdk.resources import Resource

    own = {"service.name": "nbrun", "service.version": __version__, "host.name": host}
    given = Resource.create({}).attributes
    is_named = not str(given.get("service.name", "")).startswith("unknown_service")
    kept = {name: value for name, value in given.items() if name != "service.name" or is_named}
    return Resource({**own, **kept})


def _readable(span: Span, resource: "Resource") -> "ReadableSpan":
    """Return a span as OpenTelemetry's exporters take it."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    def context(span_id: str, *, is_remote: bool = False) -> SpanContext:
        trace_id = int(span.trace_id, 16)
        flags = TraceFlags(TraceFlags.SAMPLED)
        return SpanContext(trace_id, int(span_id, 16), is_remote, flags)

    end = _nanoseconds(span.end)
    fault = span.fault
    events: list[Any] = []
    if fault is not None:
        facts = {"exception.type": fault.type, "exception.message": fault.message}
        events = [Event("exception", facts, end)]
    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=context(span.parent, is_remote=span.is_root) if span.parent else None,
        resource=resource,
        attributes=dict(span.attributes),
        events=events,
        kind=SpanKind.SERVER if span.is_root else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR, fault.message or fault.type) if fault else Status(),
        start_time=_nanoseconds(span.begin),
        end_time=end,
        instrumentation_scope=InstrumentationScope("nbrun", __version__),
    )


def _nanoseconds(at: str) -> int:
    """Return RFC 3339 as nanoseconds since 1970, exactly."""
    passed = datetime.fromisoformat(at) - _EPOCH
    return ((passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000
