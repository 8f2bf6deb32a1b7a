"""`nbrun mcp`: offer runbooks and runs to a program that speaks the Model Context Protocol."""

from pathlib import Path

from nbrun import config
from nbrun.errors import ExitCode, UsageError
from nbrun.integrations.mcp_server.tools import Tools
from nbrun.integrations.mcp_server.visible import Visible


def serve(folder: Path, runs_dir: Path | None) -> ExitCode:
    """Serve one client on stdin and stdout, until it closes stdin.

    Raises:
        UsageError: `folder` is no folder, or the extra is not installed.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder")
    try:
        from nbrun.integrations.mcp_server import server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise UsageError("nbrun mcp needs the MCP SDK: pip install 'nbrun-cli[mcp]'") from None
    server.serve(Tools(Visible(folder.absolute(), config.runs_dir(runs_dir))))
    return ExitCode.COMPLETED
