"""An in-toto statement about a run: which runbook ran, with what, how it ended, and its record.

Source of the format: in-toto Attestation Framework v1.1, spec/v1/statement.md. The predicate is
nbrun's own: that of SLSA describes how an artifact was built, and a run has an outcome instead.
"""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.reducer import apply, changes_state
from nbrun.core.state import RunState
from nbrun.errors import JournalError

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://pypi.org/project/nbrun-cli/#run-v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def statement(records: Iterable[Record], journal_sha256: str, notebook: str) -> bytes:
    """Return the statement about a run that has ended, as JSON. The same records give the same.

    `journal_sha256`: of the journal's file. `notebook`: the name of the output notebook.

    Raises:
        JournalError: the run has not ended.
    """
    state, runbooks, last = RunState(), [], None
    started_on = ""
    for record in records:
        if changes_state(record.event):
            apply(state, record.event)
        if isinstance(record.event, ev.RunStarted | ev.RunbookReplaced):
            runbooks.append(_runbook(record.event, state.plan.runbook, record))
        started_on, last = started_on or record.at, record
    finished = state.finished
    if last is None or finished is None:
        raise JournalError("the run has not ended")
    return msgspec.json.encode(
        {
            "_type": STATEMENT,
            "subject": _subjects(finished, journal_sha256, notebook),
            "predicateType": PREDICATE,
            "predicate": {
                "run": state.plan.run,
                "runbooks": runbooks,
                "parameters": state.plan.parameters,
                "secrets": state.plan.secrets,
                "operator": state.plan.operator,
                "host": state.plan.host,
                "kernel": state.plan.kernelspec,
                "reason": state.plan.reason,
                "ticket": state.plan.ticket,
                "versions": state.plan.versions,
                "startedOn": started_on,
                "finishedOn": last.at,
                "outcome": _outcome(state, finished),
                "record": {"lines": last.seq + 1, "head": last.hash},
            },
        }
    )


def _subjects(finished: ev.RunFinished, journal_sha256: str, notebook: str) -> list[dict[str, Any]]:
    """Return what the run produced: the journal, and the notebook if it could be written."""
    files = {"journal.jsonl": journal_sha256}
    if finished.notebook_sha256 is not None:
        files[notebook] = finished.notebook_sha256
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in files.items()]


def _runbook(
    event: ev.RunStarted | ev.RunbookReplaced, path: str, record: Record
) -> dict[str, Any]:
    """Return the descriptor of a runbook that the run followed from the line `record` on."""
    return {
        "name": PurePath(path).name,
        "digest": {"sha256": event.runbook_sha256},
        "annotations": {
            "path": path,
            "line": record.seq + 1,
            "gitCommit": event.git_commit,
            "proofs": event.proofs,
        },
    }


def _outcome(state: RunState, finished: ev.RunFinished) -> dict[str, Any]:
    return {
        "result": finished.outcome,
        "offScript": finished.off_script,
        "why": finished.why,
        "counts": finished.counts,
        "deviations": [
            {"kind": each.kind, "step": each.step, "reason": each.reason}
            for each in state.deviations
        ],
    }
