"""Events of the run as a whole."""

from typing import Any

from nbrun.core.events.base import EventBase, RunOutcome, StopReason
from nbrun.core.model import (
    IncludedRunbook,
    Narration,
    Operator,
    Policy,
    RoleTaken,
    RunbookProof,
    SettingsFile,
    Step,
)


class RunStarted(EventBase, frozen=True, kw_only=True, tag="run.started"):
    """A run began. The event holds the whole plan, so that the journal needs no other file.

    - `metadata`: the notebook's own metadata.
    - `epilogue`: the Markdown and raw cells after the last step.
    - `git_commit`: the commit checked out in the runbook's folder; None outside a checkout.
    - `boot_id`: the machine's boot, from which `mono` counts the seconds.
    - `sign_key`: fingerprint of the key that will sign the record; empty for no signature.
    - `secrets`: names of the parameters whose values are not recorded.
    - `role`: None when the kernels have nbrun's own environment.
    - `index`: hash of the last line of the operator's index of runs, before this run was entered;
      empty if it could not be read.
    - `settings`: the `nbrun.toml` files that applied, the nearest last.
    - `traceparent`: the trace that the run continues, as its caller has named it in the W3C's form;
      empty for none.
    - `gateway`: URL of the gateway that runs the kernels, without credentials; empty if they run
      on this machine.
    - `proofs`: how the runbook satisfied the rules of `[runbooks]`; empty if there are none.
    - `undoes`: the run whose steps this run undoes; empty for a run of a runbook file.
    - `includes`: the runbooks whose steps are part of the plan, on all levels.
    """

    run: str
    runbook: str
    runbook_sha256: str
    git_commit: str | None = None
    metadata: dict[str, Any] = {}
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...] = ()
    parameters: dict[str, Any] = {}
    kernelspec: str
    cwd: str
    operator: Operator
    host: str
    versions: dict[str, str] = {}
    policy: Policy = Policy()
    reason: str = ""
    ticket: str = ""
    notices: tuple[str, ...] = ()
    boot_id: str = ""
    sign_key: str = ""
    secrets: tuple[str, ...] = ()
    role: RoleTaken | None = None
    index: str = ""
    settings: tuple[SettingsFile, ...] = ()
    gateway: str = ""
    proofs: tuple[RunbookProof, ...] = ()
    traceparent: str = ""
    undoes: str = ""
    includes: tuple[IncludedRunbook, ...] = ()


class RunInterrupted(EventBase, frozen=True, kw_only=True, tag="run.interrupted"):
    """A later command found that the process writing the journal is gone.

    `cut`: length in bytes of a torn last line. It was moved to `kept_in`, a file beside the
    journal.
    """

    why: str
    cut: int = 0
    kept_in: str = ""


class RunResumed(EventBase, frozen=True, kw_only=True, tag="run.resumed"):
    """A new process continues an interrupted run and has taken the run's role again.

    `boot_id`: the machine's boot from which `mono` counts from here on. `secrets`: the parameters
    whose values were entered again; they are redacted from here on. `settings`: the `nbrun.toml`
    files that apply from here on.
    """

    operator: Operator
    host: str
    versions: dict[str, str] = {}
    reason: str = ""
    boot_id: str = ""
    role: RoleTaken | None = None
    secrets: tuple[str, ...] = ()
    settings: tuple[SettingsFile, ...] = ()


class RunbookReplaced(EventBase, frozen=True, kw_only=True, tag="runbook.replaced"):
    """The run follows these steps from here on.

    Steps that were run stay as recorded; the others come from the runbook as it is now. `diff` is a
    unified diff. `proofs`: how the runbook satisfied the rules of `[runbooks]`.
    `includes`: as in `RunStarted`.
    """

    operator: Operator
    runbook_sha256: str
    git_commit: str | None = None
    steps: tuple[Step, ...]
    epilogue: tuple[Narration, ...] = ()
    diff: str
    proofs: tuple[RunbookProof, ...] = ()
    includes: tuple[IncludedRunbook, ...] = ()


class Stopped(EventBase, frozen=True, kw_only=True, tag="stopped"):
    """The run waits for a decision about `step`.

    `step` is the first step not yet passed, or the step of an indeterminate attempt.
    """

    reason: StopReason
    step: str | None
    detail: str = ""


class Resumed(EventBase, frozen=True, kw_only=True, tag="resumed"):
    """A decision ended the stop."""


class RunFinished(EventBase, frozen=True, kw_only=True, tag="run.finished"):
    """The run ended.

    - `counts`: attempts, and steps by how they ended.
    - `notebook_sha256`: of the output notebook; None if it could not be written.
    - `why`: one sentence for a person.
    """

    outcome: RunOutcome
    off_script: bool
    counts: dict[str, int]
    duration: float
    why: str = ""
    notebook_sha256: str | None = None
