"""`nbrun mcp` as a program starts it: a failing run up to its end, and bytes that are junk."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import TIMEOUT, Desk

CHECK = "import os; assert os.path.exists('checked'), 'not yet'; print('che' + 'cked')"

Call = Callable[..., Awaitable[dict[str, Any]]]


def with_client(desk: Desk, act: Callable[[Call], Awaitable[None]]) -> None:
    """Run `act` with a function that calls a tool and returns its data."""
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "nbrun", "mcp", "."],
        env=desk.environment(),
        cwd=desk.folder,
    )

    async def connected() -> None:
        async with Client(command, read_timeout_seconds=TIMEOUT) as client:

            async def call(tool: str, **arguments: Any) -> dict[str, Any]:
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result.content
                found = result.structured_content
                assert found is not None
                return found["data"] | {"told": found}

            await act(call)

    anyio.run(connected)


def approve(desk: Desk) -> None:
    """Approve what the program has proposed, as a person at a terminal."""
    terminal = desk.open("approve", "last", "--reason", "looked at it")
    terminal.answer("approve this? [y/N]", "y")
    assert terminal.wait() == 0, terminal.text()


@pytest.mark.sweep
def test_client_takes_a_failing_run_through_proposals_to_its_end(desk: Desk) -> None:
    desk.book(code("print('one')", id="one"), code(CHECK, id="check"))

    async def operate(call: Call) -> None:
        assert (await call("list_runbooks"))["runbooks"] == ["runbook.ipynb"]
        started = await call("start", runbook="runbook.ipynb", reason="nightly")
        run = started["run"]
        seen = await call("status", run=run, after_seq=0, wait_seconds=30)
        assert (seen["waiting"]["reason"], seen["step"]["number"]) == ("step_mode", 1)
        assert desk.attempts() == []  # nothing runs before a person has agreed
        told = await call("decide", run=run, decision="continue", expect_seq=seen["seq"])
        assert told["told"]["result"] == "proposed"
        approve(desk)
        seen = await call("status", run=run, after_seq=told["seq"], wait_seconds=30)
        assert seen["step"]["number"] == 2
        assert "not yet" in seen["failure"]["how"]
        assert "not yet" in (await call("outputs", run=run))["printed"]
        (desk.folder / "checked").touch()
        again = {
            "run": run,
            "decision": "retry",
            "expect_seq": seen["seq"],
            "reason": "it is there",
        }
        told = await call("decide", **again)
        assert told["told"]["result"] == "proposed"
        assert (await call("decide", **again))["told"]["result"] == "refused"  # sent twice
        approve(desk)
        seen = await call("status", run=run, after_seq=told["seq"], wait_seconds=30)
        assert seen["outcome"] == "completed, off script"

    with_client(desk, operate)
    assert desk.attempts() == [("one", 1, "ok"), ("check", 1, "error"), ("check", 2, "ok")]
    assert all(event.operator.is_program for event in desk.events(ev.Decided))
    assert not any(event.operator.is_program for event in desk.events(ev.ApprovalGranted))
    assert desk.events(ev.RunStarted)[0].operator.is_program


@pytest.mark.sweep
def test_bytes_that_are_no_messages_end_neither_the_server_nor_a_call(desk: Desk) -> None:
    desk.book(code("1", id="one"))
    client = {"name": "hostile", "version": "1"}
    opening = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "rm", "arguments": {}},
        },
        {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "tools/call",
            "params": {"name": "list_runbooks", "arguments": {}},
        },
    ]
    first, *others = [json.dumps(each).encode() + b"\n" for each in messages]
    junk = b"\xff\xfe{]\n" + b"[" * 5000 + b"\n" + b"x" * 3_000_000 + b"\n"
    server = subprocess.Popen(
        [*desk.nbrun, "mcp", "."],
        cwd=desk.folder,
        env=desk.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(junk + first + junk)
    server.stdin.flush()
    answers = [json.loads(server.stdout.readline())]
    server.stdin.write(b"".join(others) + junk)
    server.stdin.flush()
    while {answer.get("id") for answer in answers} < {1, 2, 3}:
        answers.append(json.loads(server.stdout.readline()))
    server.stdin.close()
    assert server.wait(TIMEOUT) == 0
    by_id = {answer.get("id"): answer for answer in answers}
    assert by_id[1]["result"]["serverInfo"]["name"] == "nbrun"
    assert "runbook.ipynb" in str(by_id[3]["result"])
