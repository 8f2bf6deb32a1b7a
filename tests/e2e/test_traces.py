"""The trace of a whole run, received by a real OTLP receiver."""

import pytest

from nbrun.core import trace_context
from tests.support.build_notebooks import code
from tests.support.otlp_server import collector
from tests.support.terminal import Desk

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHOW = "import os; print('at', os.environ.get('TRACEPARENT'))"
SECRET = "correct-horse-battery"


@pytest.mark.sweep
def test_run_continues_the_trace_of_its_caller_and_hands_it_to_each_step(desk: Desk) -> None:
    desk.book(
        code("token = ''", id="p", tags=["parameters"]),
        code(SHOW, id="a"),
        code(SHOW, id="b"),
        code("raise ValueError(token)", id="c"),
    )
    with collector() as server:
        desk.variables |= {
            "TRACEPARENT": PARENT,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "TOKEN": SECRET,
        }
        desk.unattended("-p", "token=@env:TOKEN")
        root = server.wait_for("RUN runbook")
        live = sorted(server.spans, key=lambda span: span["id"])
        server.spans = []
        replayed = desk.command("export", "last", "--otlp")
        assert replayed.stdout == f"{len(live)} spans sent to {server.endpoint}/v1/traces\n"
        assert sorted(server.spans, key=lambda span: span["id"]) == live
    assert (root["trace"], root["parent"]) == (PARENT[3:35], PARENT[36:52])
    assert server.resources[0]["deployment.environment.name"] == "test"
    for step in ("a", "b"):
        span = trace_context.attempt_span(desk.run.name, step, 1)
        assert desk.printed(step) == f"at 00-{PARENT[3:35]}-{span}-01\n"
        assert span in [each["id"] for each in live]
    assert SECRET not in str(live)
    assert "[secret:token]" in str(live)
    refused = desk.command("export", "last", "report.html", "--otlp")
    assert refused.returncode == 2
    assert "--otlp writes no file" in refused.stderr
