"""`nbrun schema`: print the JSON Schema of the journal, generated from the events."""

from nbrun.cli.commands.console_output import print_json
from nbrun.errors import ExitCode
from nbrun.journal.codec import line_schema


def show() -> ExitCode:
    """Print the schema of one line of a journal."""
    print_json(line_schema(), indent=2)
    return ExitCode.COMPLETED
