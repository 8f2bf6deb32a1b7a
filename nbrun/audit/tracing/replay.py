"""Send the trace of a record, whenever that was made."""

import os
from pathlib import Path

from nbrun.audit.tracing import switch
from nbrun.audit.tracing.collector import Collector, TraceError
from nbrun.audit.tracing.spans import Span, TraceFold
from nbrun.core.reducer import changes_state
from nbrun.journal.reader import JournalReader


def replay(journal: Path) -> tuple[int, int, str]:
    """Send the spans of a record to the collector that the variables name.

    Whether the run itself was sampled does not matter: the user asks for this trace.

    Returns:
        How many spans were sent, how many have not ended, and where they were sent.

    Raises:
        TraceError: they can't be sent, or some were not accepted.
        JournalError: the record is damaged or empty. Nothing was sent.
    """
    why = switch.fault(os.environ)
    if why:
        raise TraceError(why)
    fold = TraceFold()
    spans: list[Span] = []
    for record in JournalReader(journal):
        if changes_state(record.event):
            spans += fold.take(record)
    collector = Collector(fold.host)
    try:
        collector.send(spans)
    except TraceError as error:
        raise TraceError(f"the trace can't be sent to {collector.target}: {error}") from None
    finally:
        collector.close()
    return len(spans), fold.open_spans, collector.target
