"""The server: the tools, described for a client of the protocol, on stdin and stdout.

The MCP SDK enters here. It checks each call against the signature of the tool, runs the tools on
threads, and reports an `NbrunError` as the tool's error.
"""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import IO, Annotated, Any, TypeVar, cast

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.stdio import stdio_server
from mcp.types import ToolAnnotations
from pydantic import Field

from nbrun import __version__
from nbrun.core.choices.options import Arguments
from nbrun.errors import NbrunError
from nbrun.integrations.mcp_server.lines import BoundedLines
from nbrun.integrations.mcp_server.tools import NOTE, Tools

INSTRUCTIONS = f"""Operate Jupyter notebooks as runbooks. A run stops before its first step, and
wherever something needs a decision. `status` says where it stands, which decisions are possible,
and what becomes of each: `decides` is carried out, `proposes` waits until a person approves it.
Pass `seq` of the last `status` as `expect_seq`: a decision about a place where the run no longer
stands is refused. You can't approve your own proposals. {NOTE}"""

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_ACTS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True)

Name = Annotated[str, Field(max_length=1_000)]
Text = Annotated[str, Field(max_length=10_000)]
Source = Annotated[str | None, Field(max_length=500_000)]
Seconds = Annotated[float, Field(ge=0, le=30)]
Parameters = Annotated[dict[str, Any], Field(max_length=1_000)]

Returned = TypeVar("Returned")


def serve(tools: Tools) -> None:
    """Serve one client on stdin and stdout until it closes stdin."""
    logging.getLogger("mcp").setLevel(logging.WARNING)
    anyio.run(_serve, build(tools))


async def _serve(server: MCPServer) -> None:
    lines = anyio.wrap_file(cast("IO[str]", BoundedLines(sys.stdin.buffer)))
    async with stdio_server(stdin=lines) as (read, write):
        low_level = server._lowlevel_server  # `run_stdio_async` would read lines of any length
        await low_level.run(read, write, low_level.create_initialization_options())


def build(tools: Tools) -> MCPServer:
    """Return the server with its tools. `tools` checks everything that the SDK does not."""
    server = MCPServer(
        "nbrun",
        version=__version__,
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        subscriptions=False,
    )
    _add_readers(server, tools)
    _add_actors(server, tools)
    return server


def _add_readers(server: MCPServer, tools: Tools) -> None:
    @server.tool(annotations=_READS)
    @_told
    def list_runbooks() -> dict[str, Any]:
        """List the runbooks that can be planned and started."""
        return tools.list_runbooks()

    @server.tool(annotations=_READS)
    @_told
    def plan(runbook: Name, parameters: Parameters | None = None) -> dict[str, Any]:
        """Show the steps of a runbook and check parameters. Nothing runs."""
        return tools.plan(runbook, parameters or {})

    @server.tool(annotations=_READS)
    @_told
    def list_runs() -> dict[str, Any]:
        """List the newest runs of these runbooks."""
        return tools.list_runs()

    @server.tool(annotations=_READS)
    @_told
    def status(
        run: Name, after_seq: int | None = None, wait_seconds: Seconds = 0
    ) -> dict[str, Any]:
        """Say where a run stands: the step, what broke, and what each decision would need.

        With `after_seq` and `wait_seconds`, first wait until the run has moved on and waits again.
        """
        return tools.status(run, after_seq, wait_seconds)

    @server.tool(annotations=_READS)
    @_told
    def outputs(run: Name) -> dict[str, Any]:
        """Show the end of what the last attempt printed, without secrets."""
        return tools.outputs(run)


def _add_actors(server: MCPServer, tools: Tools) -> None:
    @server.tool(annotations=_ACTS)
    @_told
    def start(
        runbook: Name, parameters: Parameters | None = None, reason: Text = ""
    ) -> dict[str, Any]:
        """Start a run. It stops before its first step; decide `continue` or `run` there."""
        return tools.start(runbook, parameters or {}, reason)

    @server.tool(annotations=_ACTS)
    @_told
    def decide(
        *,
        run: Name,
        decision: Name,
        expect_seq: int,
        argument: Text = "",
        source: Source = None,
        reason: Text = "",
        typed: Name = "",
        confirmed: bool = False,
    ) -> dict[str, Any]:
        """Decide, or propose to a person: `retry`, `skip`, `edit`, as `status` names them.

        `argument`: a step, a finding or a text. `source`: the code of `edit` and `insert`.
        `typed`, `confirmed`: the answers to what `status` says that the decision asks.
        """
        arguments = Arguments(argument, source, reason, typed, confirmed)
        return tools.decide(run, decision, expect_seq, arguments)


def _told(tool: Callable[..., Returned]) -> Callable[..., Returned]:
    """Report what nbrun refuses in its own words. The SDK hides the text of other exceptions."""

    @wraps(tool)
    def call(*args: Any, **kwargs: Any) -> Returned:
        try:
            return tool(*args, **kwargs)
        except (NbrunError, OSError) as error:
            raise ToolError(str(error)) from error

    return call
