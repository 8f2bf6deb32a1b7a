"""The command line: the commands in their groups, and exit codes for errors."""

import io
import os
import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from nbrun import __version__
from nbrun.cli import completion_scripts, operate, records, write
from nbrun.cli.error_output import CommandGroup, print_error
from nbrun.errors import ExitCode, NbrunError
from nbrun.system import faults
from nbrun.system.standard_streams import OutputLostError
from nbrun.views.text import encoding

if TYPE_CHECKING:
    from nbrun.supervisor.spawn import SupervisorProcess

app = typer.Typer(
    name="nbrun",
    cls=CommandGroup,
    help="Run a Jupyter notebook as an operations runbook, and keep a record of what was done.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nbrun {__version__}")
        raise typer.Exit


@app.callback()
def _nbrun(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


_GROUPS = {
    "Operate runs": (
        operate.start,
        operate.attach,
        operate.watch,
        operate.resume,
        operate.cancel,
        operate.undo,
        operate.status,
        operate.decide,
        operate.mcp,
        operate.approve,
        operate.reject,
        operate.handover,
        operate.trust,
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
    encoding.register()
    completion_scripts.register()
    _write_any_text(sys.stdout)
    _write_any_text(sys.stderr)
    if "_NBRUN_COMPLETE" in os.environ:
        from nbrun.cli import completion_words

        completion_scripts.skip_value_conversion()
        completion_words.separate_value(os.environ)
    try:
        app(prog_name="nbrun", obj=supervisor)
    except NbrunError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except OutputLostError:
        sys.exit(ExitCode.COMPLETED)  # `standard_streams.finish` knows whether this is a failure
    except (OSError, UnicodeEncodeError) as fault:
        reported = faults.as_error(fault)
        print_error(reported)
        sys.exit(reported.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("nbrun: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)


def _write_any_text(stream: TextIO) -> None:
    """Make `stream` replace the characters that the locale can't encode by plainer ones."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=encoding.ERRORS)
