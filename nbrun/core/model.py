"""On what terms a run is made, as frozen data within its events: who operates it, the steps and
what they ask for, how it is to behave, and under which role."""

from typing import Any, Literal

import msgspec

from nbrun.core.run_options import OnFailure, ShellErrors

DeviationKind = Literal[
    "retried",
    "edited",
    "reran",
    "out_of_order",
    "skipped",
    "inserted",
    "kernel_restarted",
    "runbook_replaced",
]
Impact = Literal["none", "changes", "destructive"]


class EventPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an event."""


class Operator(EventPart, frozen=True, kw_only=True):
    """Who decides: the real uid of the process, its account name, and how it is attached."""

    uid: int
    name: str
    via: str


class Narration(EventPart, frozen=True, kw_only=True):
    """A Markdown or raw cell of the runbook, shown before the step that it precedes."""

    id: str
    kind: Literal["markdown", "raw"]
    source: str
    attachments: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class Contract(EventPart, frozen=True, kw_only=True):
    """What the runbook asks of whoever runs a step.

    `manual`: a person does what its Markdown says; `confirm`: the question before it, None for
    none; `typed`: what the operator has to type then; `timeout` and `retry_delay` in seconds;
    `retries`: how often it is run again by itself when it has failed or timed out; `approve`: the
    group of those who may approve it, empty for anybody but the operator, None when nobody has to.
    """

    manual: bool = False
    confirm: str | None = None
    typed: str = ""
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    impact: Impact | None = None
    approve: str | None = None


_ASKS_NOTHING = Contract()


class Step(EventPart, frozen=True, kw_only=True):
    """A code cell of the runbook that the run passes, or a Markdown cell that a person acts on.
    `number` counts from 1 in runbook order."""

    id: str
    number: int
    title: str
    source: str
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    narration: tuple[Narration, ...] = ()
    contract: Contract = _ASKS_NOTHING

    def __post_init__(self) -> None:
        """What steps have in common they share: a runbook may have very many."""
        if self.contract == _ASKS_NOTHING:
            msgspec.structs.force_setattr(self, "contract", _ASKS_NOTHING)
        if self.title == self.source:
            msgspec.structs.force_setattr(self, "title", self.source)


class Policy(EventPart, frozen=True, kw_only=True):
    """How this run was asked to behave. `wait_for`: seconds that a stop waits with nobody
    attached before the run ends as failed; None for ever. `max_output`: bytes of output that
    are kept of a step, with its own retries; 0 for all. `sign`: the file of the key that signs
    the record; `forward`: where each line of the record is sent (see `targets`); empty for
    neither. `yes`: questions before steps are answered beforehand, but for destructive steps,
    which `yes_destructive` answers. `allow`: the ways in which the run may leave the script,
    None for all; `need_reason`: those that need a reason; `need_approval`: those that need the
    approval of another person, of the group `approvers` if it is not empty. `group`: whose
    members may look on and approve; empty for nobody."""

    attended: bool = True
    on_failure: OnFailure = "ask"
    step: bool = False
    strict: bool = False
    shell_errors: ShellErrors = "fail"
    wait_for: float | None = None
    max_output: int = 0
    sign: str = ""
    forward: tuple[str, ...] = ()
    yes: bool = False
    yes_destructive: bool = False
    allow: tuple[DeviationKind, ...] | None = None
    need_reason: tuple[DeviationKind, ...] = ()
    group: str = ""
    need_approval: tuple[DeviationKind, ...] = ()
    approvers: str = ""


class Identity(EventPart, frozen=True, kw_only=True):
    """As whom a kernel acts: `kind` says where, and `who` is the name there: a Unix user, an AWS
    ARN, a Kubernetes user. `detail` is what else tells it from others. `until`: when its
    credentials end, RFC 3339 UTC; empty where they do not, or do not say."""

    kind: Literal["unix", "aws", "kubernetes"]
    who: str
    detail: str = ""
    until: str = ""


class RoleTaken(EventPart, frozen=True, kw_only=True):
    """The role that a run's kernels have: the names of the variables that it takes over, sets, and
    has commands print. The values of the last are secrets. `keys` are its other keys, as they stand
    in nbrun.toml, and `identities` what these came to when the role was taken."""

    name: str
    inherit: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_from_cmd: tuple[str, ...] = ()
    keys: dict[str, Any] = {}
    identities: tuple[Identity, ...] = ()
