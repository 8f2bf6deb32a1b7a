"""The console script `nbrun`: what has to happen before the command line is imported.

This module imports almost nothing, since `nbrun --version` waits for each of its imports.
"""

import gc
import sys

from nbrun import __version__
from nbrun.system import python_settings, standard_streams

TYPE_CHECKING = False  # not typing's: to import typing doubles the time of `nbrun --version`
if TYPE_CHECKING:
    from nbrun.supervisor.spawn import SupervisorProcess

_HELP_OPTIONS = {"-h", "--help", "--help-parameters"}  # with these, `nbrun start` runs nothing


def main() -> None:
    """Run `nbrun`, `jupyter nbrun` or `python -m nbrun`."""
    python_settings.ignore_warnings()
    standard_streams.protect()
    code = 0
    try:
        _run(sys.argv[1:])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        # Python's last garbage collection takes a fifth of the time of a short command, and all
        # memory is freed with the process anyway. Frozen objects are not collected.
        gc.freeze()
    code = standard_streams.finish(code)
    if code:
        sys.exit(code)


def _run(arguments: list[str]) -> None:
    if arguments == ["--version"]:
        sys.stdout.write(f"nbrun {__version__}\n")
        return
    supervisor = _prestart(arguments)
    from nbrun.cli.main import main as run_command_line

    run_command_line(supervisor)


def _prestart(arguments: list[str]) -> "SupervisorProcess | None":
    """Start the supervisor of a run now, if `arguments` will start one.

    The supervisor then imports its modules while this process imports Typer and parses the command
    line. Without this, the first output of a run takes an eighth longer (3.4 s instead of 3.0 s:
    medians of 12 alternating turns on a busy machine). A supervisor that receives no request, for
    example after a usage error, exits with this process.
    """
    if arguments[:1] != ["start"] or _HELP_OPTIONS.intersection(arguments):
        return None
    from nbrun.supervisor.spawn import spawn

    return spawn()
