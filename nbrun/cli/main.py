"""The command line as a whole, and the one place that maps errors to exit codes."""

import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from nbrun import __version__
from nbrun.cli import completion_scripts, operate, records, write
from nbrun.errors import ExitCode, NbrunError
from nbrun.views.text import encoding as spelling

if TYPE_CHECKING:
    from nbrun.supervisor.spawn import SupervisorProcess

app = typer.Typer(
    name="nbrun",
    help="Run a Jupyter notebook as an operations runbook, and keep a record of what was done.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nbrun {__version__}")
        raise typer.Exit


@app.callback()
def _nbrun(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


_GROUPS = {
    "Make and operate runs": (
        operate.start,
        operate.attach,
        operate.watch,
        operate.resume,
        operate.cancel,
        operate.approve,
        operate.reject,
    ),
    "Write runbooks": (write.plan, write.check, write.new),
    "Read records": (
        records.log,
        records.runs,
        records.review,
        records.export,
        records.verify,
        records.seal,
        records.schema,
    ),
}
for _group, _commands in _GROUPS.items():
    for _command in _commands:
        app.command(rich_help_panel=_group)(_command)


def main(supervisor: "SupervisorProcess | None" = None) -> None:
    """Run the command line. `nbrun start` uses `supervisor`, if `entry` has started one."""
    spelling.register()
    completion_scripts.register()
    sys.stdout, sys.stderr = _mended(sys.stdout), _mended(sys.stderr)
    if "_NBRUN_COMPLETE" in os.environ:
        from nbrun.cli import completion_words

        completion_scripts.leave_values_alone()
        completion_words.leave_the_value(os.environ)
    try:
        app(prog_name="nbrun", obj=supervisor)
    except NbrunError as error:
        sys.stderr.write(f"nbrun: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("nbrun: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)


def _mended(stream: TextIO) -> TextIO:
    """`stream`, where what the locale can't write is written plainer, and nothing is lost: with
    PYTHONUNBUFFERED Python takes no notice of a write that a signal (Ctrl-Z and back, a resize)
    has cut short, and drops the rest."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors=spelling.ERRORS)
    if not isinstance(stream.buffer, io.RawIOBase):
        return stream
    encoding = stream.encoding
    buffered = io.BufferedWriter(stream.detach())
    return io.TextIOWrapper(buffered, encoding, spelling.ERRORS, line_buffering=True)
