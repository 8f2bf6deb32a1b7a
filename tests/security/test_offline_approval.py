"""Attacks on approvals that are signed elsewhere: replayed, foreign, expired, edited, untrue."""

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbrun.audit import approval_signatures, ssh_signatures
from nbrun.core import approval, approval_request, decisions, model
from nbrun.core import events as ev
from nbrun.core.approval_request import ApprovalRequest, SignedReply, Statement
from nbrun.core.events import Event, Record
from nbrun.core.guards import decision_refusal
from nbrun.core.model import ApproverFile
from nbrun.core.state import RunState
from nbrun.errors import BrokenRecordError, SignatureError, UsageError
from tests.e2e.test_offline_approval import Approver, hand_in, request_of, waiting_run
from tests.support import ssh_keys
from tests.support.build_events import (
    attempt_finished,
    attempt_started,
    decided,
    kernel_started,
    run_started,
    step,
    stopped,
)
from tests.support.run_states import (
    awaiting_approval,
    state_of,
    stopped_by_failure,
    with_approval,
    with_proposal,
)
from tests.support.terminal import Desk

pytestmark = ssh_keys.needs_ssh_keygen
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
replace = msgspec.structs.replace


def pending(state: RunState) -> approval.PendingApproval:
    found = approval.pending_approval(state)
    assert found is not None
    return found


def request(state: RunState, now: datetime = NOW) -> ApprovalRequest:
    return approval_request.new_request(state, pending(state), now)


def reply(state: RunState, now: datetime = NOW) -> SignedReply:
    return approval_request.reply_with(approval_request.new_statement(request(state), "", now), "")


def refusal(history: list[Event], signed: SignedReply) -> str:
    """Return why the run after `history` refuses a signed approval; empty if it does not."""
    state = state_of(history)
    decision = decisions.Approve(binding=signed.binding, reply=signed)
    return (
        decision_refusal(state, decision)
        or approval_request.time_refusal(signed, pending(state), NOW)
        or ""
    )


# ── what a reply says ────────────────────────────────────────────────────────────────────────


def test_own_reply_is_accepted() -> None:
    history = awaiting_approval()
    assert refusal(history, reply(state_of(history))) == ""


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"run": "20261123-093000-another-ab12"}, "foreign: the signature approves something in"),
        ({"parameters": {"db": "green"}}, "edited since: source or parameters are not those"),
        ({"steps": (step(1, source="drop()", contract=model.Contract(approve="dba")),)}, "edited"),
        ({"steps": (step(7, contract=model.Contract(approve="dba")),)}, "foreign: the signature"),
    ],
)
def test_reply_for_another_run_step_or_source_is_refused(other: dict[str, Any], why: str) -> None:
    history = awaiting_approval()
    plan = history[0]
    assert isinstance(plan, ev.RunStarted)
    others: list[Event] = [replace(plan, **other), kernel_started(), history[-1]]
    if other.get("steps"):
        others[-1] = stopped("approval", other["steps"][0].id)
    assert refusal(history, reply(state_of(others))).startswith(why)


def test_reply_is_refused_once_the_step_has_used_an_approval() -> None:
    """Jumped back before the step, the run asks for the very same again: a second time."""
    contract = model.Contract(approve="dba")
    history: list[Event] = [run_started((step(1, contract=contract), step(2))), kernel_started()]
    history.append(stopped("approval"))
    kept = reply(state_of(history))
    history = [*with_approval(history), attempt_started(), attempt_finished()]
    history += [stopped("step_mode", "s2"), decided("jump", "s1"), ev.Resumed()]
    history += [stopped("approval")]
    assert refusal(history, kept).startswith("replayed: the signature was for attempt 1")


def test_reply_for_a_withdrawn_proposal_does_not_approve_the_next() -> None:
    skip = decisions.Skip()
    history = with_proposal(stopped_by_failure(1, need_approval=("skipped",)), skip)
    kept = reply(state_of(history))
    again = with_proposal([*history, decided("withdraw")], skip)
    assert refusal(again, kept).startswith("replayed: the signature was for attempt 2 (proposal 1)")


@pytest.mark.parametrize(
    ("within", "signed", "why"),
    [
        (None, -86_300, ""),
        (None, -86_401, "expired: the signed approval ended at"),
        (3600.0, -3599, ""),
        (3600.0, -3601, "expired: "),
        (None, 299, ""),
        (None, 301, "not valid yet: it was signed at"),
    ],
)
def test_reply_is_refused_when_too_old_or_in_the_future(
    within: float | None, signed: int, why: str
) -> None:
    state = state_of(awaiting_approval())
    waiting = pending(state)
    rule = approval.ApprovalRule("dba", 1, within)
    waiting = approval.PendingApproval("run", "s1", waiting.source, rule, waiting.binding)
    when = NOW + timedelta(seconds=signed)
    made = replace(reply(state, when), signed=f"{when:%Y-%m-%dT%H:%M:%SZ}")
    made = replace(made, expires=f"{when + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}")
    found = approval_request.time_refusal(made, waiting, NOW) or ""
    assert found.startswith(why)
    assert bool(found) is bool(why)


def test_expired_request_is_not_signed() -> None:
    asked = request(state_of(awaiting_approval()), NOW - timedelta(days=2))
    with pytest.raises(UsageError, match="the request has expired at"):
        approval_request.new_statement(asked, "", NOW)


# ── texts ────────────────────────────────────────────────────────────────────────────────────


def test_text_is_found_among_others_and_quoted() -> None:
    asked = request(state_of(awaiting_approval()))
    mail = "> hi\n" + "".join(
        f"> {line}\r\n" for line in approval_request.to_text(asked).split("\n")
    )
    assert approval_request.from_text(mail, ApprovalRequest) == asked


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text * 2, "it has 2 NBRUN APPROVAL REQUEST"),
        (lambda text: text.replace("BEGIN", "BEGINN"), "it has no NBRUN APPROVAL REQUEST"),
        (lambda text: text.replace("\n", "\nAAAA\n", 1), "is damaged"),
        (lambda text: encoded({"run": "x", "unknown": 1}), "is damaged"),
        (lambda text: encoded([[[[]]]]), "is damaged"),
    ],
)
def test_damaged_text_is_refused(change: Callable[[str], str], why: str) -> None:
    text = approval_request.to_text(request(state_of(awaiting_approval())))
    with pytest.raises(UsageError, match=why):
        approval_request.from_text(change(text), ApprovalRequest)


def test_deeply_nested_text_is_refused() -> None:
    deep = b'{"parameters": ' + b"[" * 100_000
    with pytest.raises(UsageError, match="is damaged"):
        approval_request.from_text(armored(deep), ApprovalRequest)


def encoded(content: object) -> str:
    return armored(msgspec.json.encode(content))


def armored(content: bytes) -> str:
    name = "NBRUN APPROVAL REQUEST"
    body = base64.b64encode(content).decode()
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"


# ── signatures ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def statement() -> Statement:
    return approval_request.new_statement(request(state_of(awaiting_approval())), "", NOW)


def listed(folder: Path, group: str, **signers: Path) -> dict[str, ApproverFile]:
    """Return the file of a group's keys, beside an nbrun.toml."""
    settings = folder / "nbrun.toml"
    settings.touch()
    path = ssh_keys.allow(folder / f"keys-{group}", *signers.items())
    return {group: ApproverFile(path=str(path), settings=str(settings))}


def check(files: dict[str, ApproverFile], signed: Statement, signature: str, group: str) -> Any:
    return approval_signatures.check(files, group, signed, signature, datetime.now(UTC))


def test_listed_key_is_accepted_with_all_names_and_accounts(
    tmp_path: Path, statement: Statement
) -> None:
    bob = ssh_keys.make_key(tmp_path / "bob")
    files = listed(tmp_path, "dba", **{"bob,root@db1": bob})
    signature = approval_signatures.sign(statement, bob)
    found = check(files, statement, signature, "dba")
    assert found.names == ("bob", "root@db1")
    assert found.uids == (0,)
    assert check(files, statement, signature, "").names == found.names  # no group is asked for


def test_key_of_another_group_or_purpose_or_text_is_refused(
    tmp_path: Path, statement: Statement
) -> None:
    bob, eve = ssh_keys.make_key(tmp_path / "bob"), ssh_keys.make_key(tmp_path / "eve")
    files = listed(tmp_path, "dba", bob=bob) | listed(tmp_path, "web", eve=eve)
    of_eve = approval_signatures.sign(statement, eve)
    of_bob = approval_signatures.sign(statement, bob)
    with pytest.raises(SignatureError, match=r"foreign: .* does not list the key SHA256:"):
        check(files, statement, of_eve, "dba")
    with pytest.raises(SignatureError, match=r"foreign: nbrun.toml names no keys for ops"):
        check(files, statement, of_bob, "ops")
    seal = ssh_signatures.sign(bob, statement.text().encode())
    with pytest.raises(SignatureError, match="foreign: the signature was made for another purpose"):
        check(files, statement, seal, "dba")
    lied = Statement(
        request=replace(statement.request, title="Look"), signed=statement.signed, reason=""
    )
    with pytest.raises(SignatureError, match="not what was signed"):
        check(files, lied, of_bob, "dba")


def test_file_of_keys_that_others_can_write_is_not_used(
    tmp_path: Path, statement: Statement
) -> None:
    bob = ssh_keys.make_key(tmp_path / "bob")
    files = listed(tmp_path, "dba", bob=bob)
    (tmp_path / "keys-dba").chmod(0o666)
    with pytest.raises(SignatureError, match="is not used: others can write"):
        check(files, statement, approval_signatures.sign(statement, bob), "dba")
    with pytest.raises(UsageError, match=r"nbrun.toml: \[approvers\] dba: .* others can write"):
        approval_signatures.check_files(files)


@pytest.mark.parametrize(
    ("signer", "why"),
    [
        ({"uids": (1000,)}, "who has a hand in this run"),
        ({"names": ("ada",)}, "who has a hand in this run"),
        ({"key": "SHA256:operator"}, "signs this run's record"),
        ({"names": ("postgres",)}, "is the unix_user of a role"),
        ({}, None),
    ],
)
def test_person_of_the_run_can_not_approve_with_a_key(
    signer: dict[str, Any], why: str | None
) -> None:
    policy = model.Policy(role_users=("postgres",))
    state = state_of(awaiting_approval(policy=policy, sign_key="SHA256:operator"))
    fields: dict[str, Any] = {"key": "SHA256:k", "names": ("bob",), "uids": (1001,)} | signer
    who = approval.Signer(**fields, approvers="", approvers_sha256="")
    found = approval.signer_refusal(state, who)
    assert found is None if why is None else why in str(found)


def test_account_and_key_of_one_person_count_once() -> None:
    contract = model.Contract(approve="dba", approvals=2)
    history: list[Event] = [run_started((step(1, contract=contract),)), kernel_started()]
    state = state_of(with_approval([*history, stopped("approval")]))  # grace, uid 1001
    key = approval.Signer("SHA256:k", ("g@x",), (1001,), "", "")
    assert approval.repeated_approval_refusal(state, key.operator(), key) is not None
    other = approval.Signer("SHA256:k", ("h@x",), (), "", "")
    assert approval.repeated_approval_refusal(state, other.operator(), other) is None


def test_record_with_a_signature_that_was_used_before_is_not_verified(tmp_path: Path) -> None:
    """Whoever can write the record could have the same signature approve every later attempt."""
    contract = model.Contract(approve="dba")
    plan = run_started((step(1, contract=contract), step(2)), parameters={"db": "blue", "n": 1.5})
    first: list[Event] = [plan, kernel_started(), stopped("approval")]
    bob = ssh_keys.make_key(tmp_path / "bob")
    made = approval_request.new_statement(request(state_of(first)), "", NOW)
    signature = approval_signatures.sign(made, bob)
    key = ssh_signatures.fingerprint(bob)
    signer = approval.Signer(key, ("bob",), (), "", "")
    granted = ev.ApprovalGranted(
        operator=signer.operator(),
        step="s1",
        group="dba",
        binding=made.request.binding,
        signed=approval.signature_of(made.text(), signature, signer, signer.operator()),
    )

    def check_after(history: list[Event]) -> None:
        at = "2026-11-23T10:00:00.000000Z"
        record = Record(seq=3, at=at, mono=0, event=granted, prev="", hash="")
        approval_signatures.ApprovalCheck(None).check(state_of(history), record)

    check_after(first)
    again = [*with_approval(first), attempt_started(), attempt_finished()]
    again += [stopped("step_mode", "s2"), decided("jump", "s1"), ev.Resumed(), stopped("approval")]
    with pytest.raises(BrokenRecordError, match="was given for another occasion"):
        check_after(again)


# ── the whole way ────────────────────────────────────────────────────────────────────────────


@pytest.mark.sweep
def test_run_refuses_what_was_not_signed_by_another_person_for_it(
    desk: Desk, tmp_path: Path
) -> None:
    bob, eve = Approver(desk, tmp_path, "bob"), Approver(desk, tmp_path, "eve")
    operator = Approver(desk, tmp_path, "root")
    waiting_run(desk, bob, operator, group="dba")
    asked = request_of(desk)
    honest = approval_request.from_text(asked, ApprovalRequest)
    harmless = approval_request.to_text(replace(honest, source="print('looked')"))
    retitled = approval_request.to_text(replace(honest, title="Look"))
    for approver, text, why in (
        (eve, asked, "does not list the key"),
        (operator, asked, "the key of root, who has a hand in this run"),
        (bob, harmless, "edited since: source or parameters are not those that were signed"),
        (bob, retitled, "not what was signed: what waits differs from what the approver"),
    ):
        handed = hand_in(desk, approver.sign(text))
        assert handed.returncode == 2
        assert why in handed.stderr
    assert desk.events(ev.ApprovalGranted) == []
    assert os.getuid() in {each.operator.uid for each in desk.events(ev.DecisionRefused)}
