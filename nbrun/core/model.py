"""Data inside events: operators, steps and their contracts, the run's policy, roles.

Everything here is frozen and is written to the journal as part of an event.
"""

from typing import Any, Literal

import msgspec

from nbrun.core.run_options import NestedErrors, OnFailure, ShellErrors

DeviationKind = Literal[
    "retried",
    "edited",
    "reran",
    "out_of_order",
    "skipped",
    "inserted",
    "kernel_restarted",
    "runbook_replaced",
    "by_hand",
    "undone",
]
PARAMETER_TAGS = frozenset({"parameters", "injected-parameters"})
SETUP_TAGS = PARAMETER_TAGS | {"setup"}  # of the steps that a new kernel needs
Impact = Literal["none", "changes", "destructive"]
# What hooks and notifications are about: the run waits for its operator, an operator's decision
# waits for an approval, the run has ended.
Occasion = Literal["stopped", "proposed", "finished"]
# How somebody's decisions reach the run: a person's, or those of a program that acts for them.
Channel = Literal["terminal", "program"]
NO_TERMINAL = "no terminal"  # `Operator.via` of a process that has none


class EventPart(msgspec.Struct, frozen=True, kw_only=True):
    """A struct that is a field of an event."""


class SettingsFile(EventPart, frozen=True, kw_only=True):
    """An `nbrun.toml` that applied to the run, with the SHA-256 of its content."""

    path: str
    sha256: str


class IncludedRunbook(EventPart, frozen=True, kw_only=True):
    """A runbook whose steps are part of the plan.

    - `cell`: the id of the cell that includes it, unique in the run.
    - `path`: from the folder of the run's own runbook.
    - `sha256`: of the file's bytes, as the including cell pins them.
    - `parameters`: the values that are known before the run, without secrets.
    - `names`: of all its parameters. Its cells assign them in the kernel that all steps share.
    """

    cell: str
    path: str
    sha256: str
    parameters: dict[str, Any] = {}
    names: tuple[str, ...] = ()


class Inclusion(EventPart, frozen=True, kw_only=True):
    """The included runbook that has a step: its `cell` and `path`, as in `IncludedRunbook`."""

    cell: str
    path: str


class RunbookProof(EventPart, frozen=True, kw_only=True):
    """Why a runbook satisfied a rule of `[runbooks]` in the file `settings`.

    - `require_signed`: `against` is the file of allowed signers; `signer` is the name there, and
      `key` the fingerprint, of who signed the runbook.
    - `require_commit_on`: `against` is the branch, `commit` a commit on it that has the runbook.
    """

    rule: Literal["require_signed", "require_commit_on"]
    settings: str
    against: str
    signer: str = ""
    key: str = ""
    commit: str = ""


class Operator(EventPart, frozen=True, kw_only=True, omit_defaults=True):
    """A person who decides, as the operating system reports the person's process.

    - `uid`: the real uid of the process; `name`: the name of its account.
    - `via`: the terminal of the process, or `no terminal`.
    - `pid`, `program`: the process itself; 0 and empty in records that do not have them.
    - `login_uid`: the uid that the person logged in as, which `su` and `sudo` do not change; None
      if the system does not tell.
    - `ancestor_uids`: the other users, except root, whose processes started this one.
    - `channel`: `program` if the process said that it is a program that acts for the account. The
      system can't tell: a program that does not say so passes for a person.

    The fields with defaults are left out where they have them, so that a record without them is
    encoded as it was written.
    """

    uid: int
    name: str
    via: str
    pid: int = 0
    program: str = ""
    login_uid: int | None = None
    ancestor_uids: tuple[int, ...] = ()
    channel: Channel = "terminal"

    @property
    def is_program(self) -> bool:
        return self.channel == "program"

    @property
    def label(self) -> str:
        """The account, as `ada`, or `ada via program` for a program that acts for it."""
        return f"{self.name} via {self.channel}" if self.is_program else self.name

    @property
    def person_uids(self) -> frozenset[int]:
        """Return every uid under which this person is known to act."""
        login = () if self.login_uid is None else (self.login_uid,)
        return frozenset((self.uid, *login, *self.ancestor_uids))


class ApprovalSignature(EventPart, frozen=True, kw_only=True):
    """The signature of an approval that somebody gave elsewhere, and the text that they signed.

    - `statement`: the text; `signature`: OpenSSH's armored signature of it.
    - `key`, `names`, `uids`, `approvers`, `approvers_sha256`: as in `approval.Signer`.
    - `handed_in_by`: who brought it to the run.
    """

    statement: str
    signature: str
    key: str
    names: tuple[str, ...]
    uids: tuple[int, ...]
    approvers: str
    approvers_sha256: str
    handed_in_by: Operator


class Handing(EventPart, frozen=True, kw_only=True):
    """A handover that needs an approval: `to` is to operate a kernel that acts as `acts_as`.

    Both are accounts; `to_uid` is the uid of `to`.
    """

    to: str
    to_uid: int
    acts_as: str


class ApproverFile(EventPart, frozen=True, kw_only=True):
    """The file of the keys of a group's members, and the nbrun.toml that names it."""

    path: str
    settings: str


class Narration(EventPart, frozen=True, kw_only=True):
    """A Markdown or raw cell of the runbook, shown before the step that follows it."""

    id: str
    kind: Literal["markdown", "raw"]
    source: str
    attachments: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class Contract(EventPart, frozen=True, kw_only=True):
    """The conditions that the runbook sets for one step.

    - `manual`: a person does what the step's Markdown says.
    - `confirm`: the question to answer before the step runs; None for no question.
    - `typed`: the text that the operator must type to confirm.
    - `timeout`, `retry_delay`: in seconds.
    - `retries`: how often nbrun runs the step again by itself after it failed or timed out.
    - `approve`: the group whose members may approve the step; an empty string for anybody except
      the operator; None when no approval is needed.
    - `approvals`: how many people must approve it.
    - `approve_within`: seconds after which an approval is void if the step has not started; None
      for an approval that does not expire.
    """

    manual: bool = False
    confirm: str | None = None
    typed: str = ""
    timeout: float | None = None
    retries: int = 0
    retry_delay: float = 0.0
    impact: Impact | None = None
    approve: str | None = None
    approvals: int = 1
    approve_within: float | None = None


_ASKS_NOTHING = Contract()


class Check(EventPart, frozen=True, kw_only=True):
    """A cell that reads whether the effect of its step is there, and changes nothing.

    It holds if it raises nothing and its last value is not False.

    - `interval`, `timeout`: after the step, the check runs every `interval` seconds until it holds,
      for at most `timeout` seconds. `timeout` also limits each of its executions.
    - `settles`: what it says of an attempt that nobody saw end is taken as the answer, without
      asking the operator.
    """

    id: str
    source: str
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    interval: float = 5.0
    timeout: float = 60.0
    settles: bool = False


class Step(EventPart, frozen=True, kw_only=True):
    """A code cell of the runbook that the run executes, or a Markdown cell that a person acts on.

    `number` counts from 1 in runbook order. `undo` is the cell that takes back the step's effect: a
    step of its own, with the same number, which runs only when an operator asks for it.
    `included`: the included runbook that has the step; None for a step of the run's own.
    """

    id: str
    number: int
    title: str
    source: str
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    narration: tuple[Narration, ...] = ()
    contract: Contract = _ASKS_NOTHING
    check: Check | None = None
    undo: "Step | None" = None
    included: Inclusion | None = None

    @property
    def sets_parameters(self) -> bool:
        """Return True if it declares or assigns parameters."""
        return not PARAMETER_TAGS.isdisjoint(self.tags)

    @property
    def is_setup(self) -> bool:
        """Return True if it sets parameters, or prepares the kernel in another way."""
        return not SETUP_TAGS.isdisjoint(self.tags)

    def __post_init__(self) -> None:
        """Share equal values between steps to save memory: a runbook may have thousands."""
        if self.contract == _ASKS_NOTHING:
            msgspec.structs.force_setattr(self, "contract", _ASKS_NOTHING)
        if self.title == self.source:
            msgspec.structs.force_setattr(self, "title", self.source)


class ProgramPolicy(EventPart, frozen=True, kw_only=True):
    """The rules for programs that act for the operator's account (see `core.choices.programs`).

    - `propose`: they may propose decisions, which a person of the account approves.
    - `decide`: the names of the decisions that they may make without a person.
    - `impact`: the highest impact of a step that such a decision may be about.
    - `one_step`: they see the steps up to the one where the run stands, and none after it.
    """

    propose: bool = True
    decide: tuple[str, ...] = ()
    impact: Impact = "none"
    one_step: bool = False


class Policy(EventPart, frozen=True, kw_only=True):
    """The options that control a run.

    - `wait_for`: seconds that a stop waits with nobody attached before the run ends as failed; None
      to wait for ever.
    - `max_output`: bytes of output kept per step, its automatic retries included; 0 for no limit.
    - `sign`: path of the key that signs the record; empty for no signature.
    - `forward`: the sinks that receive each line of the record (see `audit.sinks`).
    - `yes`: confirm the questions before steps in advance, except before destructive steps.
    - `yes_destructive`: confirm the questions before destructive steps in advance.
    - `allow`: the kinds of deviation that are allowed; None for all.
    - `need_reason`: the kinds of deviation that need a reason.
    - `need_approval`: the kinds of deviation that need another person's approval, given by a member
      of the group `approvers` unless that is empty.
    - `approvals`, `approve_within`: how many people must approve at least, and for how many seconds
      an approval holds at most, as in `Contract`.
    - `approver_keys`: the keys whose signatures approve, by the group of those who have them.
    - `group`: the Unix group whose members may watch and approve; empty for none.
    - `operators`: the Unix group whose members the run may be handed over to; empty for nobody.
    - `role_users`: the accounts that roles of nbrun.toml act as, which may not approve.
    - `by_hand`: a person does every step; nbrun starts no kernel.
    - `programs`: what programs may do.
    """

    attended: bool = True
    on_failure: OnFailure = "ask"
    step: bool = False
    strict: bool = False
    shell_errors: ShellErrors = "fail"
    nested_errors: NestedErrors = "fail"
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
    role_users: tuple[str, ...] = ()
    by_hand: bool = False
    approvals: int = 1
    approve_within: float | None = None
    programs: ProgramPolicy = ProgramPolicy()
    approver_keys: dict[str, ApproverFile] = {}
    operators: str = ""


class Identity(EventPart, frozen=True, kw_only=True):
    """The identity that a kernel acts under in one system.

    `who` is the name in that system: a Unix user, an AWS ARN, a Kubernetes user. `detail` tells it
    from others of that name. `until` is when its credentials expire, RFC 3339 UTC; empty when they
    do not expire or do not say.
    """

    kind: Literal["unix", "aws", "kubernetes"]
    who: str
    detail: str = ""
    until: str = ""


class RoleTaken(EventPart, frozen=True, kw_only=True):
    """The role that a run's kernels have, without its secrets.

    `inherit`, `env` and `env_from_cmd` name the environment variables that the role inherits, sets,
    and obtains from commands. The values of the last are secrets. `keys` holds the role's other
    keys as written in nbrun.toml, `identities` the identities that they led to when the role was
    taken.
    """

    name: str
    inherit: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_from_cmd: tuple[str, ...] = ()
    keys: dict[str, Any] = {}
    identities: tuple[Identity, ...] = ()
