"""The request for an approval that somebody gives elsewhere, and the reply that they sign.

Both travel as short texts, by mail or chat. Nobody on the way is trusted. The signature covers a
statement that contains the whole request, so an approver signs exactly what they were shown.
"""

import base64
import binascii
import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from nbrun.core import approval
from nbrun.core.approval import PendingApproval
from nbrun.core.decisions import SignedReply
from nbrun.core.model import Handing
from nbrun.core.state import RunState
from nbrun.errors import UsageError

LARGEST = 2**22  # characters of a text
LONGEST = 86_400.0  # seconds from a request, or from a signature, to its use
CLOCK_SKEW = 300.0  # seconds by which the clocks of two machines may differ
_LINE = 64  # characters
_FIRST_LINE = b"nbrun-approval 1\n"  # of a statement; the number is the version of its form


class ApprovalRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A decision or step that waits for an approval, for a reader who has nothing else of the run.

    - `operator`, `why`, `kinds`: of the proposed decision; empty if the step itself waits.
    - `attempt`: the number of the next attempt of the step, 0 without a step. `occasion` tells
      apart the times at which the same is asked again.
    - `recorded`: what the runbook has in place of `source`; None if that is not in the runbook.
    - `parameters`, `cells`: the given parameters, and the parameters cells as they ran. Secrets are
      placeholders.
    - `issued`, `expires`: RFC 3339 UTC.
    - `handing`: of a handover, who is to operate the run. Left out of other requests.
    """

    run: str
    host: str
    runbook: str
    started_by: str
    reason: str
    ticket: str
    decision: str
    operator: str
    why: str
    kinds: tuple[str, ...]
    step: str | None
    number: int
    steps: int
    title: str
    impact: str
    manual: bool
    attempt: int
    occasion: str
    language: str
    source: str | None
    recorded: str | None
    parameters: dict[str, Any]
    cells: tuple[str | None, ...]
    group: str
    count: int
    within: float | None
    issued: str
    expires: str
    handing: Handing | None = None

    @property
    def binding(self) -> str:
        """Return what the approval covers, computed from what this request says."""
        subject = (self.run, self.decision, self.step, self.source)
        return approval.binding_of(subject, self.parameters, self.cells, self.handing)


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text that an approver signs. `signed`: when, by their clock, RFC 3339 UTC."""

    request: ApprovalRequest
    signed: str
    reason: str

    def text(self) -> str:
        """Return the text, the same for equal statements."""
        return (_FIRST_LINE + _encoder.encode(self) + b"\n").decode()


_encoder = msgspec.json.Encoder(order="deterministic")
_Message = TypeVar("_Message", ApprovalRequest, SignedReply)


def request_for(
    state: RunState, pending: PendingApproval, issued: str, expires: str
) -> ApprovalRequest:
    """Return the request for an approval of `pending`, which waits in `state`."""
    plan, proposal = state.plan, state.proposal
    step = state.steps.get(pending.step or "")
    runs = step.undo if step and pending.decision == "undo" else step  # whose contract counts
    return ApprovalRequest(
        run=plan.run,
        host=plan.host,
        runbook=plan.runbook,
        started_by=f"{plan.operator.name} (uid {plan.operator.uid})",
        reason=plan.reason,
        ticket=plan.ticket,
        decision=pending.decision,
        operator=f"{proposal.operator.name} (uid {proposal.operator.uid})" if proposal else "",
        why=proposal.reason if proposal else "",
        kinds=proposal.kinds if proposal else (),
        step=pending.step,
        number=step.step.number if step else 0,
        steps=len(state.steps),
        title=step.step.title if step else "",
        impact=(runs.step.contract.impact or "") if runs else "",
        manual=runs.step.contract.manual if runs else False,
        attempt=runs.attempts + 1 if runs else 0,
        occasion=_occasion(state, pending),
        language=state.kernel_info.language if state.kernel_info else "",
        source=pending.source,
        recorded=runs.step.source if runs and pending.source is not None else None,
        parameters=plan.parameters,
        cells=approval.parameter_cells(state, pending.step),
        group=pending.rule.group,
        count=pending.rule.count,
        within=pending.rule.within,
        issued=issued,
        expires=expires,
        handing=pending.handing,
    )


def _occasion(state: RunState, pending: PendingApproval) -> str:
    """Return what tells this time from others at which the same is asked in this run."""
    if state.proposal is not None:
        return f"proposal {state.proposals}"
    return f"after {state.approvals_used.get(pending.step or '', 0)} used"


def new_request(state: RunState, pending: PendingApproval, now: datetime) -> ApprovalRequest:
    """Return a request that is issued at `now`."""
    lasts = min(pending.rule.within or LONGEST, LONGEST)
    return request_for(state, pending, _time(now), _time(now + timedelta(seconds=lasts)))


def new_statement(request: ApprovalRequest, reason: str, now: datetime) -> Statement:
    """Return the statement to sign at `now`.

    Raises:
        UsageError: the request has expired.
    """
    if now >= _parsed(request.expires):
        raise UsageError(
            f"the request has expired at {request.expires}: ask for a new one, made with nbrun "
            f"approve {request.run} --request"
        )
    return Statement(request=request, signed=_time(now), reason=reason)


def reply_with(statement: Statement, signature: str) -> SignedReply:
    """Return the reply that carries the signature of `statement`."""
    request = statement.request
    return SignedReply(
        run=request.run,
        decision=request.decision,
        step=request.step,
        attempt=request.attempt,
        occasion=request.occasion,
        binding=request.binding,
        issued=request.issued,
        expires=request.expires,
        signed=statement.signed,
        reason=statement.reason,
        signature=signature,
    )


def replied_statement(state: RunState, pending: PendingApproval, reply: SignedReply) -> Statement:
    """Return the statement that `reply` must be a signature of, if it approves `pending`.

    The text is made from the run's own record, not from what the reply says of it.
    """
    return Statement(
        request=request_for(state, pending, reply.issued, reply.expires),
        signed=reply.signed,
        reason=reply.reason,
    )


def read_statement(text: str) -> Statement:
    """Read the text of a signed statement, as a record keeps it.

    Raises:
        ValueError: it is not one.
    """
    first, line, rest = text.encode().partition(b"\n")
    if first + line != _FIRST_LINE:
        raise ValueError("it does not begin as a statement does")
    try:
        found = msgspec.json.decode(rest, type=Statement)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if found.text() != text:
        raise ValueError("it has another form than nbrun writes")
    return found


# ── refusals ─────────────────────────────────────────────────────────────────────────────────


def mismatch(state: RunState, pending: PendingApproval, reply: SignedReply) -> str | None:
    """Return why `reply` does not approve what waits now; None if it does, by what it says."""
    again = f"ask again with nbrun approve {state.plan.run} --request"
    if reply.run != state.plan.run:
        return f"foreign: the signature approves something in the run {reply.run}, not in this one"
    if (reply.decision, reply.step) != (pending.decision, pending.step):
        return (
            f"foreign: the signature approves {reply.decision} of {reply.step or 'the run'}, and "
            f"{pending.decision} of {pending.step or 'the run'} waits: {again}"
        )
    asked = request_for(state, pending, "", "")
    if (reply.attempt, reply.occasion) != (asked.attempt, asked.occasion):
        return (
            f"replayed: the signature was for attempt {reply.attempt} ({reply.occasion}), and "
            f"attempt {asked.attempt} ({asked.occasion}) waits: {again}"
        )
    if reply.binding != pending.binding:
        return (
            "edited since: source or parameters are not those that were signed: look at them, and "
            f"{again}"
        )
    return None


def time_refusal(reply: SignedReply, pending: PendingApproval, now: datetime) -> str | None:
    """Return why `reply` is too old at `now`, or not believable; None if it is neither."""
    try:
        expires, signed = _parsed(reply.expires), _parsed(reply.signed)
    except ValueError:
        return "the times in the signed text can't be read: hand in the text that nbrun printed"
    if (signed - now).total_seconds() > CLOCK_SKEW:
        return (
            f"not valid yet: it was signed at {reply.signed}, which is to come: the clock of the "
            "approver's machine is ahead. Set it, and sign again"
        )
    lasts = min(pending.rule.within or LONGEST, LONGEST)
    ends = min(expires, signed + timedelta(seconds=lasts))
    if now >= ends:
        return f"expired: the signed approval ended at {_time(ends)}: ask and sign again"
    return None


def signed_at(reply: SignedReply) -> datetime:
    """Return when `reply`, which `time_refusal` has accepted, was signed."""
    return _parsed(reply.signed)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def _parsed(text: str) -> datetime:
    """Return a time that `_time` has written. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"not a time: {text!r}")
    return datetime.fromisoformat(text)


# ── texts that any channel carries ───────────────────────────────────────────────────────────

_NAMES: dict[type, str] = {
    ApprovalRequest: "NBRUN APPROVAL REQUEST",
    SignedReply: "NBRUN SIGNED APPROVAL",
}


def to_text(message: ApprovalRequest | SignedReply) -> str:
    """Return `message` as lines of ASCII that mail and chat leave as they are."""
    name = _NAMES[type(message)]
    body = textwrap.wrap(base64.b64encode(_encoder.encode(message)).decode(), _LINE)
    return "\n".join((f"-----BEGIN {name}-----", *body, f"-----END {name}-----"))


def from_text(text: str, kind: type[_Message]) -> _Message:
    """Return the message of this kind in `text`. Whatever stands around it is ignored.

    Raises:
        UsageError: there is none, or more than one, or it is damaged.
    """
    name = _NAMES[kind]
    found = list(_bodies(text, name))
    if len(found) != 1:
        others = [each for each in _NAMES.values() if each != name and list(_bodies(text, each))]
        instead = f", but a {others[0]}" if others else ""
        raise UsageError(
            f"it has {len(found) or 'no'} {name}{instead}: save the text that nbrun printed, from "
            "BEGIN to END, in a file"
        )
    try:
        content = base64.b64decode("".join(found[0].split()), validate=True)
        message = msgspec.json.decode(content, type=kind)
    except (binascii.Error, msgspec.DecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"the {name} is damaged ({error}): get it again") from error
    if _encoder.encode(message) != content:
        raise UsageError(f"the {name} is damaged (it has another form than nbrun writes)")
    return message


def _bodies(text: str, name: str) -> Iterator[str]:
    pattern = f"-----BEGIN {name}-----([A-Za-z0-9+/=\\s>]*)-----END {name}-----"
    for match in re.finditer(pattern, text, re.ASCII):
        yield match[1].replace(">", "")  # quoted in a mail
