"""What the standard variables say of a run's trace."""

from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from nbrun.audit.tracing import switch
from nbrun.core import trace_context

RUN = "20261123-093000-restore-ab12"
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SAMPLED[:-1] + "0"
ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        (ON, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, True),
        (ON | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ON | {"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_trace_is_on_only_if_the_variables_ask_for_it(
    environ: Mapping[str, str], expected: bool
) -> None:
    assert switch.is_on(environ) is expected


def test_protocol_that_nbrun_does_not_send_is_named() -> None:
    assert switch.fault(ON) == ""
    assert switch.fault({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) == ""
    why = switch.fault({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert why.startswith("OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and nbrun sends http/protobuf only")


@pytest.mark.parametrize(
    ("sampler", "parent", "expected"),
    [
        ("", "", True),
        ("", SAMPLED, True),
        ("", UNSAMPLED, False),
        ("always_on", UNSAMPLED, True),
        ("always_off", SAMPLED, False),
        ("parentbased_always_off", SAMPLED, True),
        ("parentbased_always_off", "", False),
    ],
)
def test_sampler_and_caller_decide_whether_a_trace_is_recorded(
    sampler: str, parent: str, expected: bool
) -> None:
    assert switch.is_sampled({"OTEL_TRACES_SAMPLER": sampler}, RUN, parent) is expected


@pytest.mark.parametrize("ratio", ["0", "0.3", "0.5", "0.9", "1", "7", "half"])
def test_ratio_samples_the_traces_that_the_library_would(ratio: str) -> None:
    environ = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    valid = float(ratio) if ratio in ("0", "0.3", "0.5", "0.9", "1") else 1.0
    library = TraceIdRatioBased(valid)
    for number in range(50):
        run = f"{RUN}{number}"
        trace = int(trace_context.trace_of(run, ""), 16)
        expected = library.should_sample(None, trace, "RUN").decision.is_sampled()
        assert switch.is_sampled(environ, run, "") is expected


def test_kernel_gets_the_runs_place_in_the_trace() -> None:
    given = ON | {"TRACESTATE": "vendor=1"}
    variables = switch.kernel_variables(given, RUN, SAMPLED)
    span = trace_context.run_span(RUN)
    assert variables == {"TRACEPARENT": f"{SAMPLED[:36]}{span}-01", "TRACESTATE": "vendor=1"}
    own = switch.kernel_variables(given, RUN, "")
    assert own == {"TRACEPARENT": f"00-{trace_context.trace_of(RUN, '')}-{span}-01"}


def test_kernel_gets_the_callers_place_if_no_trace_is_sent() -> None:
    assert switch.kernel_variables({}, RUN, SAMPLED) == {"TRACEPARENT": SAMPLED}
    assert switch.kernel_variables({}, RUN, "") == {}
    assert switch.kernel_variables({}, RUN, "$(forged)") == {}
