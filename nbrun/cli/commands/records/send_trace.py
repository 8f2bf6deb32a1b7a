"""`nbrun export --otlp`: send the trace of a run, made of its record, to a collector."""

from pathlib import Path

from nbrun import config
from nbrun.audit.tracing.replay import replay
from nbrun.cli.commands.damaged_records import reading
from nbrun.journal import recovery, run_directory


@reading("the run")
def send_trace(run: str, runs_dir: Path | None) -> str:
    """Send the spans of `run`, and return what was sent, in words.

    Raises:
        RunNotFoundError: no run, or more than one, has that name.
        TraceError: the spans can't be sent, or some were not accepted.
        DamagedJournalError: the journal is damaged. Nothing was sent.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    recovery.record_interruption(directory.journal)
    sent, unfinished, target = replay(directory.journal)
    left = f"; {unfinished} have not ended, and were not sent" if unfinished else ""
    return f"{sent} spans sent to {target}{left}"
