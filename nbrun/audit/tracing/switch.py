"""The standard `OTEL_*` variables: whether a run is traced, and where its trace goes.

Only what has to be known before the kernel starts is read here. OpenTelemetry's own library, which
is slow to import, reads the rest: endpoint, headers, certificates, timeouts, batches, resource.
"""

from collections.abc import Mapping

from nbrun.core import trace_context
from nbrun.core.trace_context import SpanContext

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_DEFAULT_SAMPLER = "parentbased_always_on"


def is_on(environ: Mapping[str, str]) -> bool:
    """Return True if the variables ask for a trace by OTLP."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporters:
        return "otlp" in [name.strip() for name in exporters.split(",")]
    return any(environ.get(name, "").strip() for name in _ENDPOINTS)


def fault(environ: Mapping[str, str]) -> str:
    """Return why no trace can be sent by these variables; empty if it can."""
    name = next((each for each in _PROTOCOLS if environ.get(each, "").strip()), "")
    if name and environ[name].strip() != _PROTOCOL:
        return f"{name} is {environ[name].strip()}, and nbrun sends {_PROTOCOL} only: set that"
    return ""


def is_sampled(environ: Mapping[str, str], run: str, traceparent: str) -> bool:
    """Return True if the trace of `run` is recorded, by `OTEL_TRACES_SAMPLER` and the caller."""
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip() or _DEFAULT_SAMPLER
    parent = trace_context.parse(traceparent)
    if sampler.startswith("parentbased_") and parent is not None:
        return parent.sampled
    match sampler.removeprefix("parentbased_"):
        case "always_off":
            return False
        case "traceidratio":
            low_half = trace_context.trace_of(run, traceparent)[16:]
            return int(low_half, 16) < round(_ratio(environ) * 2**64)
    return True


def _ratio(environ: Mapping[str, str]) -> float:
    """Return the part of traces that is recorded; all of them if the variable is no such number."""
    try:
        return min(1.0, max(0.0, float(environ.get("OTEL_TRACES_SAMPLER_ARG", ""))))
    except ValueError:
        return 1.0


def handed_context(environ: Mapping[str, str], run: str, traceparent: str, span: str) -> str:
    """Return the `TRACEPARENT` that a kernel or a step gets; empty for none.

    It is `span` of the run's trace. If nbrun sends no trace, it is what the caller has handed.
    """
    if not is_on(environ):
        return traceparent if trace_context.parse(traceparent) else ""  # a record may be forged
    sampled = is_sampled(environ, run, traceparent)
    return SpanContext(trace_context.trace_of(run, traceparent), span, sampled).traceparent()


def kernel_variables(environ: Mapping[str, str], run: str, traceparent: str) -> dict[str, str]:
    """Return the variables of trace context that the run's kernels get, under a role too."""
    handed = handed_context(environ, run, traceparent, trace_context.run_span(run))
    state = environ.get(trace_context.STATE_VARIABLE, "") if traceparent else ""
    variables = {trace_context.VARIABLE: handed, trace_context.STATE_VARIABLE: state}
    return {name: value for name, value in variables.items() if value}
