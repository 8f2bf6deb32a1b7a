"""`nbrun schema`: print the JSON Schema of the journal, generated from the events."""

import msgspec

from nbrun.errors import ExitCode
from nbrun.journal.codec import line_schema


def show() -> ExitCode:
    """Print the schema of one line of a journal."""
    print(msgspec.json.format(msgspec.json.encode(line_schema()), indent=2).decode())  # noqa: T201
    return ExitCode.COMPLETED
