"""Events of operators and approvers: what they decided, and what was refused."""

from nbrun.core.events.base import EventBase
from nbrun.core.model import ApprovalSignature, DeviationKind, Handing, Operator


class Decided(EventBase, frozen=True, kw_only=True, tag="decision"):
    """An operator's decision.

    `step` and `source` are set when the decision names them, `typed` when the step asks for a text
    to be typed.
    """

    operator: Operator
    decision: str
    reason: str = ""
    step: str | None = None
    source: str | None = None
    typed: str = ""


class DecisionRefused(EventBase, frozen=True, kw_only=True, tag="decision.refused"):
    """A decision was not allowed in the current state, or not from where it came.

    `times`: how often this person's decisions were refused for this reason so far. Of refusals that
    need no operator's attention, only some are recorded: the 1st, 2nd, 4th, 8th and so on.
    """

    operator: Operator
    decision: str
    why: str
    times: int = 1


class DecisionProposed(EventBase, frozen=True, kw_only=True, tag="decision.proposed"):
    """An operator's decision that waits for another person's approval.

    - `step`: the step that it is about.
    - `source`: the exact source that it sends.
    - `kinds`: the kinds of deviation that need the approval; empty if the step itself needs it.
    - `group`: the group whose members may approve; empty for anybody else than the operator.
    - `approvals`, `within`: how many people must approve, and for how many seconds each approval
      holds; None for approvals that do not expire.
    - `handing`: of a handover, who is to operate the run.
    """

    operator: Operator
    decision: str
    reason: str = ""
    step: str | None = None
    source: str | None = None
    typed: str = ""
    kinds: tuple[DeviationKind, ...] = ()
    group: str = ""
    approvals: int = 1
    within: float | None = None
    handing: Handing | None = None


class ConnectionRefused(EventBase, frozen=True, kw_only=True, tag="connection.refused"):
    """A process connected to the run's socket, and the supervisor refused to listen to it.

    Recorded for processes that a kernel of this run started, and for those that ended before they
    could be examined. `times` is as in `decision.refused`.
    """

    operator: Operator
    why: str
    times: int = 1


class Deviated(EventBase, frozen=True, kw_only=True, tag="deviation"):
    """The run left the script in one way.

    `diff` is a unified diff, for an edit. `reason` is the reason the operator gave for the decision
    behind it.
    """

    kind: DeviationKind
    step: str | None = None
    diff: str = ""
    reason: str = ""


class OperatorAttached(EventBase, frozen=True, kw_only=True, tag="operator.attached"):
    """An operator's console attached to the run."""

    operator: Operator


class OperatorDetached(EventBase, frozen=True, kw_only=True, tag="operator.detached"):
    """An operator's console left the run.

    `lost`: the operator did not ask for it. An attended run then waits at its next step.
    """

    operator: Operator
    why: str
    lost: bool = False


class ApprovalGranted(EventBase, frozen=True, kw_only=True, tag="approval.granted"):
    """A person other than the operator approved `decision` about `step`.

    `binding`: SHA-256 of what was approved: this run, this decision and step, this source, these
    parameters (see `approval.binding`). `group`: the group whose members may approve.

    `until` and `until_mono`: when the approval expires, by the two clocks of the record (`at` and
    `mono`); the earlier counts. Empty and None if it does not expire.

    `signed`: the signature, if they approved elsewhere. `operator` is then the account with the
    name of the key's owner, with the uid -1 if there is no such account.
    """

    operator: Operator
    step: str | None
    group: str
    binding: str
    reason: str = ""
    decision: str = "run"
    until: str = ""
    until_mono: float | None = None
    signed: ApprovalSignature | None = None


class ApprovalExpired(EventBase, frozen=True, kw_only=True, tag="approval.expired"):
    """An approval was not used in time. `approver` is who gave it, the other fields as there."""

    approver: Operator
    step: str | None
    binding: str
    decision: str = "run"


class ApprovalRejected(EventBase, frozen=True, kw_only=True, tag="approval.rejected"):
    """A person other than the operator rejected `decision` about `step`.

    The operator's pending decision is void; the run still waits.
    """

    operator: Operator
    step: str | None
    reason: str = ""
    decision: str = "run"


class NoteAdded(EventBase, frozen=True, kw_only=True, tag="note.added"):
    """An operator added a note to the record."""

    operator: Operator
    text: str


class HandoverOffered(EventBase, frozen=True, kw_only=True, tag="handover.offered"):
    """The operator offered the run to the account `to`, whose uid is `to_uid`.

    `binding`: of the approval that the offer needed; empty if it needed none. `until` and
    `until_mono`: when the first of these approvals expires, and the offer with it, as in
    `approval.granted`.
    """

    operator: Operator
    to: str
    to_uid: int
    reason: str = ""
    binding: str = ""
    until: str = ""
    until_mono: float | None = None


class HandoverAccepted(EventBase, frozen=True, kw_only=True, tag="handover.accepted"):
    """Whoever the run was offered to accepted it, and operates it from here on."""

    operator: Operator


class HandoverWithdrawn(EventBase, frozen=True, kw_only=True, tag="handover.withdrawn"):
    """The operator withdrew the offer."""

    operator: Operator
    reason: str = ""
