"""A message for the tests of those who send it."""

from nbrun.core.model import Occasion
from nbrun.notifications.message import Message, MessageStep

RECORD = "/srv/runs/20261123-093000-restore-ab12"


def message(
    error: str = "ValueError: no such host", on: Occasion = "stopped", seq: int = 6
) -> Message:
    return Message(
        on=on,
        run="20261123-093000-restore-ab12",
        runbook="/srv/runbooks/restore.ipynb",
        record=f"{RECORD}/journal.jsonl",
        host="db1",
        operator="ada",
        seq=seq,
        at="2026-11-23T09:30:06.000000Z",
        step=MessageStep(id="stop", number=2, of=2, title="Stop it"),
        outcome="",
        what="step 2 of 2 · Stop it: this step failed",
        error=error,
        waits_for="ada",
        attached=(),
        choices=("retry",),
        expect_seq=6,
        answer=(f"nbrun attach {RECORD}",),
        event={"event": "stopped"},
    )
