"""Traces that are sent to a real OTLP receiver on loopback."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun.audit.tracing import exporter as exporting
from nbrun.audit.tracing.collector import TraceError
from nbrun.audit.tracing.exporter import TraceExporter
from nbrun.audit.tracing.replay import replay
from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.journal.run_directory import RunDirectory
from tests.support.otlp_server import OtlpServer, collector
from tests.support.run_builder import Run, step

DEAD = "http://ada:hunter2-token@127.0.0.1:9/v1/traces?key=hunter2-token"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpServer]:
    with collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        monkeypatch.setattr(exporting, "GATHER", 0.05)
        yield server


class Traced:
    """An exporter, and what it has reported."""

    def __init__(self, folder: Path) -> None:
        self.directory = RunDirectory(folder)
        self.reports: list[Event] = []
        self.exporter = TraceExporter(self.directory, self.reports.append)


def run_of_two() -> Run:
    return Run(step("a", title="Drain"), step("b", title="Upgrade")).attempt("a")


def test_spans_are_sent_while_the_run_goes_on(server: OtlpServer, tmp_path: Path) -> None:
    traced, run = Traced(tmp_path), run_of_two()
    traced.exporter.receive(run.records)
    server.wait_for("attempt 1")
    assert not server.named("RUN restore")
    before = len(run.records)
    traced.exporter.receive(run.attempt("b").finish().records[before:])
    traced.exporter.close()
    root = server.wait_for("RUN restore")
    assert (root["kind"], root["status"]) == (2, 0)  # SERVER, unset
    assert root["end"] - root["begin"] == 6 * 10**9
    assert server.resources[0]["service.name"] == "nbrun"
    assert server.resources[0]["host.name"] == "db1"
    assert not traced.reports


def test_replayed_record_has_the_same_spans(server: OtlpServer, tmp_path: Path) -> None:
    traced, run = Traced(tmp_path), run_of_two().failure("b").finish("failed", why="it failed")
    traced.exporter.receive(run.records)
    traced.exporter.close()
    server.wait_for("RUN restore")
    live, server.spans = sorted(server.spans, key=lambda span: span["id"]), []
    sent, unfinished, target = replay(run.write(tmp_path / "journal.jsonl"))
    again = sorted(server.spans, key=lambda span: span["id"])
    assert (sent, unfinished, target) == (len(live), 0, f"{server.endpoint}/v1/traces")
    for span in (*live, *again):  # `write` gives the records other times
        del span["begin"], span["end"]
    assert again == live
    failed = next(span for span in again if span["name"] == "RUN restore")
    assert (failed["status"], failed["message"]) == (2, "it failed")
    assert failed["events"] == [
        ("exception", {"exception.type": "ValueError", "exception.message": "it failed"})
    ]


def test_standard_variables_configure_the_exporter(
    server: OtlpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=hunter2-token")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "runbooks")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=dba")
    replay(run_of_two().write(tmp_path / "journal.jsonl"))
    assert server.headers["x-token"] == "hunter2-token"
    resource = server.resources[0]
    assert (resource["service.name"], resource["team"]) == ("runbooks", "dba")


def test_resumed_run_ends_the_span_that_the_process_before_began(
    server: OtlpServer, tmp_path: Path
) -> None:
    run = run_of_two()
    run.write(tmp_path / "journal.jsonl")
    before, traced = len(run.records), Traced(tmp_path)
    traced.exporter.receive(run.attempt("b").finish().records[before:])
    traced.exporter.close()
    root = server.wait_for("RUN restore")
    assert server.named("Drain")[0]["parent"] == root["id"]
    assert len(server.named("attempt 1")) == 1  # the one of before is not sent again


def test_dead_collector_is_recorded_once_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", DEAD)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setattr(exporting, "GATHER", 0.05)
    traced, run = Traced(tmp_path), run_of_two()
    began = time.monotonic()
    traced.exporter.receive(run.records)
    assert time.monotonic() - began < 0.1
    deadline = time.monotonic() + 30
    while not traced.reports:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    traced.exporter.receive(run.attempt("b").finish().records[-3:])
    traced.exporter.close()
    (report,) = traced.reports
    assert isinstance(report, ev.TraceFailed)
    assert report.target == "http://127.0.0.1:9/v1/traces"
    assert "Connection refused" in report.why
    assert "hunter2" not in report.why


def test_refusal_of_the_collector_is_the_reason(server: OtlpServer, tmp_path: Path) -> None:
    server.status = 401
    with pytest.raises(
        TraceError, match=r"can't be sent to http://127.*the collector answered 401"
    ):
        replay(run_of_two().write(tmp_path / "journal.jsonl"))


def test_collector_that_hangs_does_not_hold_the_end_of_a_run(
    server: OtlpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PATIENCE", 0.2)
    monkeypatch.setattr(exporting, "LAST_PATIENCE", 0.2)
    monkeypatch.setattr(OtlpServer, "receive", lambda *_: time.sleep(3))
    traced = Traced(tmp_path)
    traced.exporter.receive(run_of_two().attempt("b").finish().records)
    began = time.monotonic()
    traced.exporter.close()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("variables", "missing", "message"),
    [
        (
            {},
            "opentelemetry.exporter.otlp.proto.http.trace_exporter",
            r"pip install 'nbrun-cli\[otel",
        ),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "", "PROTOCOL is grpc"),
    ],
)
def test_trace_that_can_not_be_sent_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    missing: str,
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if missing:
        monkeypatch.setitem(sys.modules, missing, None)
    journal = run_of_two().write(tmp_path / "journal.jsonl")
    with pytest.raises(TraceError, match=message):
        replay(journal)
    traced: Any = Traced(tmp_path)
    traced.exporter.receive(run_of_two().records)
    traced.exporter.close()
    (report,) = traced.reports
    assert isinstance(report, ev.TraceFailed)
