"""Approval by other people: what waits for it, what it covers, who may give it, when it ends."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from nbrun.core import events as ev
from nbrun.core.model import (
    NO_TERMINAL,
    ApprovalSignature,
    Contract,
    Handing,
    Identity,
    Operator,
    Policy,
)
from nbrun.core.state import RUNS_STEP, RunState, StepState

# Seconds before its time at which an approval is void: the start of a step is recorded a moment
# after the check, and no step starts on an approval that has expired by the record's own clocks.
_MARGIN = 1.0
_encoder = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True)
class Moment:
    """A time by the two clocks of the record: `at` in UTC, `mono` in seconds since the start."""

    at: datetime
    mono: float


@dataclass(frozen=True)
class ApprovalRule:
    """The people who have to approve something.

    - `group`: the group whose members may approve; empty for anybody except the operator.
    - `count`: how many people have to.
    - `within`: seconds for which each approval holds; None if it does not expire.
    """

    group: str = ""
    count: int = 1
    within: float | None = None


@dataclass(frozen=True)
class PendingApproval:
    """A decision, or the step that the run stopped at, that waits for an approval.

    - `decision`: the decision's name.
    - `step`, `source`: the step that it is about and the source that it sends; None for neither.
    - `rule`: who has to approve it.
    - `binding`: what the approval will cover (see `binding`).
    - `handing`: of a handover, who is to operate the run.
    """

    decision: str
    step: str | None
    source: str | None
    rule: ApprovalRule
    binding: str
    handing: Handing | None = None


def rule_for(state: RunState, step: StepState | None) -> ApprovalRule:
    """Return who has to approve what is about `step`, or about no step."""
    return combined_rule(state.plan.policy, step.step.contract if step is not None else None)


def combined_rule(policy: Policy, contract: Contract | None) -> ApprovalRule:
    """Return who has to approve by the policy of a run and the contract of a step.

    A group in the contract takes precedence. Of the two, the higher number of people and the
    shorter time count.
    """
    if contract is None:
        return ApprovalRule(policy.approvers, policy.approvals, policy.approve_within)
    limits = [each for each in (contract.approve_within, policy.approve_within) if each is not None]
    return ApprovalRule(
        contract.approve or policy.approvers,
        max(contract.approvals, policy.approvals),
        min(limits, default=None),
    )


def pending_approval(state: RunState) -> PendingApproval | None:
    """Return what waits for an approval now; None if nothing does.

    An operator's proposed decision comes first, then the step that the run has stopped at.
    """
    proposal, current = state.proposal, state.current
    if proposal is not None:
        subject = (proposal.decision, proposal.step, proposal.source)
        rule = ApprovalRule(proposal.group, proposal.approvals, proposal.within)
        bound = binding(state, *subject, proposal.handing)
        return PendingApproval(*subject, rule, bound, proposal.handing)
    if state.stop is None or state.stop.reason != "approval" or current is None:
        return None
    subject = ("run", current.step.id, current.step.source)
    return PendingApproval(*subject, rule_for(state, current), binding(state, *subject))


def binding(
    state: RunState,
    decision: str,
    step: str | None,
    source: str | None,
    handing: Handing | None = None,
) -> str:
    """Return the SHA-256, in hexadecimal, of everything that an approval covers.

    It covers this run, this decision, this step, this exact source, the given parameters, and the
    other parameters cells as they ran. Secrets count by their placeholders, as they are recorded.
    Of a handover, it covers both accounts.
    """
    subject = (state.plan.run, decision, step, source)
    return binding_of(subject, state.plan.parameters, parameter_cells(state, step), handing)


def parameter_cells(state: RunState, step: str | None) -> tuple[str | None, ...]:
    """Return the sources of the parameters cells as they ran, except that of `step`."""
    return tuple(
        each.last_source
        for each in state.steps.values()
        if each.step.sets_parameters and each.step.id != step
    )


def binding_of(
    subject: tuple[str, str, str | None, str | None],
    parameters: Mapping[str, Any],
    cells: Sequence[str | None],
    handing: Handing | None = None,
) -> str:
    """Return the binding of an approval (see `binding`).

    `subject`: the run, the decision, the step and the source.
    """
    covered = [*subject, parameters, cells, *([handing] if handing is not None else [])]
    return hashlib.sha256(_encoder.encode(covered)).hexdigest()


def is_approved(state: RunState, step: StepState, source: str) -> bool:
    """Return True if the contract of `step` lets `source` be run, or the step be done.

    That is so if the step needs no approval, or has those that it needs for this source. An
    approval covers every way to run the step: `run`, `retry`, `edit` and the others of `RUNS_STEP`.
    """
    if step.step.contract.approve is None:
        return True
    if not state.approvals:
        return False
    needed = rule_for(state, step).count
    bindings = (binding(state, decision, step.step.id, source) for decision in RUNS_STEP)
    return any(len(approvals_of(state, bound)) >= needed for bound in bindings)


# ── people ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Signer:
    """The signer of an approval given elsewhere: a key that `[approvers]` of nbrun.toml lists.

    - `key`: its fingerprint.
    - `names`: the names that the list gives it, the first first.
    - `uids`: the accounts of this machine with these names.
    - `approvers`, `approvers_sha256`: the file that lists the key, and the SHA-256 of its content.
    """

    key: str
    names: tuple[str, ...]
    uids: tuple[int, ...]
    approvers: str
    approvers_sha256: str

    def operator(self) -> Operator:
        """Return the signer as a person of the run. -1 stands for no account."""
        uid = self.uids[0] if self.uids else -1
        return Operator(uid=uid, name=self.names[0], via=f"signed with {self.key}")


def signature_of(
    statement: str, signature: str, signer: Signer, carrier: Operator
) -> ApprovalSignature:
    """Return the signature of `statement` as the event of the approval keeps it."""
    return ApprovalSignature(
        statement=statement,
        signature=signature,
        key=signer.key,
        names=signer.names,
        uids=signer.uids,
        approvers=signer.approvers,
        approvers_sha256=signer.approvers_sha256,
        handed_in_by=carrier,
    )


def approvals_of(state: RunState, bound: str) -> list[ev.ApprovalGranted]:
    """Return the approvals of what has the binding `bound` that hold, one of each person."""
    return _distinct(each for each in state.approvals if each.binding == bound)


def _distinct(approvals: Iterable[ev.ApprovalGranted]) -> list[ev.ApprovalGranted]:
    """Leave out each approval by a person who has given an earlier one."""
    found: list[ev.ApprovalGranted] = []
    for approval in approvals:
        marks = _marks(approval)
        if not any(marks & _marks(each) for each in found):
            found.append(approval)
    return found


Mark = tuple[str, int | str]


def _marks(approval: ev.ApprovalGranted) -> frozenset[Mark]:
    """Return what tells who gave an approval. Two that share a mark are by one person."""
    if approval.signed is None:
        return person_marks(approval.operator)
    signed = approval.signed
    return person_marks(approval.operator, signed.key, signed.names, signed.uids)


def person_marks(
    who: Operator, key: str = "", names: Iterable[str] = (), uids: Iterable[int] = ()
) -> frozenset[Mark]:
    """Return the uids, names and the key that a person is known by."""
    known: list[Mark] = [("uid", uid) for uid in (*who.person_uids, *uids) if uid >= 0]
    known += [("name", name) for name in (who.name, *names)]
    return frozenset([*known, ("key", key)] if key else known)


def _refusal_of_program(state: RunState, program: Operator, who: Operator) -> str | None:
    """Return why `who` may not approve what `program` has proposed; None if they may.

    The person may whom the program acts for, and who operates the run. A program has no terminal by
    chance: it can get one, but must take the trouble (see docs/guarantees.md).
    """
    if who.is_program:
        return "a program has proposed it: a person has to approve it"
    if who.uid != program.uid and who not in state.operators:
        return f"a program of {program.name} has proposed it: {program.name} has to approve it"
    if who.via == NO_TERMINAL:
        return "a program has proposed it: a person has to approve it, at a terminal"
    return None


def approver_refusal(state: RunState, who: Operator, groups: Collection[str]) -> str | None:
    """Return why `who`, a member of `groups`, may not approve; None if they may.

    What a program has proposed is approved by the person whom it acts for. For the rest:

    Nobody may approve who takes part in the run: who started it, has attached to it or has decided
    in it, under whichever account. Nor may an account that cells act as, in this run or by any role
    of the team.
    """
    pending = pending_approval(state)
    if pending is None:
        return "nothing waits for an approval"
    if state.proposal is not None and state.proposal.operator.is_program:
        return _refusal_of_program(state, state.proposal.operator, who)
    taking_part = _taking_part(state)
    if who.uid in taking_part:
        return f"{who.name} has a hand in this run: another person has to approve it"
    if pending.handing is not None and pending.handing.to_uid in who.person_uids:
        return f"this run is to be handed to {pending.handing.to}: another person has to approve it"
    if any(each.kind == "unix" and each.who == who.name for each in _identities(state)):
        return f"this run's own cells act as {who.name}: another person has to approve it"
    if who.name in state.plan.policy.role_users:
        return f"{who.name} is the unix_user of a role, and no person: a person has to approve it"
    if also := sorted(who.person_uids & taking_part):
        return (
            f"{who.name} (process {who.pid}) comes from a session of uid {also[0]}, who has a hand "
            "in this run: another person has to approve it"
        )
    if pending.rule.group and pending.rule.group not in groups:
        return f"{who.name} is not in the group {pending.rule.group}, which has to approve it"
    return None


def signer_refusal(state: RunState, signer: Signer) -> str | None:
    """Return why whoever signed may not approve what waits; None if they may.

    The rules are those of `approver_refusal`, by the accounts that the key's names stand for.
    """
    plan, name = state.plan, signer.names[0]
    if state.proposal is not None and state.proposal.operator.is_program:
        return "a program has proposed it: whoever operates the run approves it, at a terminal"
    if _taking_part(state).intersection(signer.uids) or plan.operator.name in signer.names:
        return f"the key of {name}, who has a hand in this run: another person has to approve it"
    handing = state.proposal.handing if state.proposal is not None else None
    if handing is not None and (handing.to_uid in signer.uids or handing.to in signer.names):
        return (
            f"the key of {name}, to whom this run is to be handed: another person has to approve it"
        )
    if signer.key == plan.sign_key:
        return f"the key of {name} signs this run's record: another person has to approve it"
    roles = {each.who for each in _identities(state) if each.kind == "unix"}
    if (roles | {*plan.policy.role_users}).intersection(signer.names):
        return f"{name} is the unix_user of a role, and no person: a person has to approve it"
    return None


def repeated_approval_refusal(
    state: RunState, who: Operator, signer: Signer | None = None
) -> str | None:
    """Return why `who`, who may approve what waits, can't do it again; None if they have not."""
    pending = pending_approval(state)
    marks = person_marks(who)
    if signer is not None:
        marks = person_marks(who, signer.key, signer.names, signer.uids)
    for each in approvals_of(state, pending.binding) if pending is not None else ():
        if marks & _marks(each):
            return (
                f"{each.operator.name} has approved this already, and is the same person as "
                f"{who.name}: another person has to approve it, too"
            )
    return None


def _taking_part(state: RunState) -> set[int]:
    """Return the uids of whoever has a part in the run, under whichever account."""
    return state.participants | state.plan.operator.person_uids | state.owner.person_uids


def _identities(state: RunState) -> tuple[Identity, ...]:
    role = state.plan.role
    return role.identities if role else ()


# ── time ─────────────────────────────────────────────────────────────────────────────────────


def expiry(rule: ApprovalRule, now: Moment, signed: datetime) -> tuple[str, float | None]:
    """Return `until` and `until_mono` of an approval that is recorded at `now`.

    `signed`: when it was given, if that was earlier.
    """
    if rule.within is None:
        return "", None
    left = rule.within - max(0.0, (now.at - signed).total_seconds())
    until = now.at + timedelta(seconds=left)
    return f"{until:%Y-%m-%dT%H:%M:%S.%fZ}", round(now.mono + left, 6)


def seconds_left(approval: ev.ApprovalGranted | ev.HandoverOffered, now: Moment) -> float | None:
    """Return the seconds until `approval`, or an approved offer, is void.

    Return 0 or less if it is, and None if it never will be.

    The clock that comes first counts: neither setting the system's time nor suspending the machine
    makes an approval last longer.
    """
    if approval.until_mono is None:
        return None
    left = (datetime.fromisoformat(approval.until) - now.at).total_seconds()
    return min(left, approval.until_mono - now.mono) - _MARGIN


def expired(state: RunState, now: Moment) -> list[ev.ApprovalExpired]:
    """Return an event for each approval that is void at `now`."""
    return [
        ev.ApprovalExpired(
            approver=each.operator, step=each.step, binding=each.binding, decision=each.decision
        )
        for each in state.approvals
        if (left := seconds_left(each, now)) is not None and left <= 0
    ]
