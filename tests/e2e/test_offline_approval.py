"""Approvals that are signed on a machine without the run, with real keys and real accounts."""

import os
import subprocess
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.support import ssh_keys
from tests.support.build_notebooks import code
from tests.support.terminal import Desk, Terminal, wait_until

pytestmark = ssh_keys.needs_ssh_keygen


class Approver:
    """Somebody with a key, whose machine does not have the run."""

    def __init__(self, desk: Desk, folder: Path, name: str) -> None:
        self.desk, self.folder, self.name = desk, folder / name, name
        self.key = ssh_keys.make_key(self.folder, name)

    def sign(self, request: str, *options: str) -> Path:
        """Sign a request without a question, and return the file with the signed approval."""
        path = self.folder / "request.txt"
        path.write_text(request)
        done = self.desk.command(
            "approve", "--offline", str(path), "--key", str(self.key), "--yes", *options
        )
        assert done.returncode == 0, done.stderr
        signed = self.folder / "signed.txt"
        signed.write_text(f"here it is:\n> {done.stdout}")
        return signed


@pytest.fixture
def bob(desk: Desk, tmp_path: Path) -> Approver:
    return Approver(desk, tmp_path, "bob")


def waiting_run(desk: Desk, *approvers: Approver, **approve: object) -> Terminal:
    """Start a run that waits at its first step; the keys of `approvers` count."""
    ssh_keys.allow(desk.folder / "keys", *((each.name, each.key) for each in approvers))
    desk.configure('[approvers]\ndba = "keys"\n')
    desk.book(code("print('dropped')", id="drop", metadata={"nbrun": {"approve": approve or True}}))
    terminal = desk.start()
    terminal.prompted("step 1>")
    return terminal


def request_of(desk: Desk) -> str:
    asked = desk.command("approve", "last", "--request")
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


def hand_in(desk: Desk, signed: Path) -> "subprocess.CompletedProcess[str]":
    return desk.command("approve", "last", "--signature", str(signed))


@pytest.mark.sweep
def test_step_runs_after_an_approval_signed_elsewhere(desk: Desk, bob: Approver) -> None:
    terminal = waiting_run(desk, bob, group="dba")
    signed = bob.sign(request_of(desk), "--reason", "read it twice")
    handed = hand_in(desk, signed)
    assert handed.returncode == 0, handed.stderr
    assert terminal.wait() == 0
    assert desk.printed("drop") == "dropped\n"
    (granted,) = desk.events(ev.ApprovalGranted)
    assert (granted.operator.name, granted.reason) == ("bob", "read it twice")
    assert granted.signed is not None
    assert granted.signed.handed_in_by.uid == os.getuid()
    assert granted.signed.names == ("bob",)
    assert not desk.finish().off_script
    keys = str(desk.folder / "keys")
    assert "give --approvers" in " ".join(desk.command("verify", "last").stdout.split())
    assert desk.command("verify", "last", "--approvers", keys).returncode == 0
    others = ssh_keys.allow(desk.folder / "others", ("eve", ssh_keys.make_key(desk.folder, "eve")))
    refused = desk.command("verify", "last", "--approvers", str(others))
    assert refused.returncode == 7
    assert "was not signed by one of the approvers" in " ".join(refused.stdout.split())


@pytest.mark.sweep
def test_approver_sees_the_step_and_is_asked_before_signing(desk: Desk, bob: Approver) -> None:
    waiting_run(desk, bob, group="dba", within="2h")
    path = desk.folder / "request.txt"
    path.write_text(request_of(desk))
    terminal = desk.open("approve", "--offline", str(path), "--key", str(bob.key))
    terminal.prompted("sign this approval? [y/N]")
    words = terminal.words()
    assert "print('dropped')" in words
    assert f"run {desk.run.name}" in words
    assert "of the group dba" in words
    assert "to be given at most 2 h 00 min before it starts" in words
    terminal.type("n")
    assert terminal.wait() == 2
    assert "nothing was signed" in terminal.words()
    assert "BEGIN NBRUN SIGNED APPROVAL" not in terminal.text()


@pytest.mark.sweep
def test_two_keys_of_two_people_count_and_one_does_not_count_twice(
    desk: Desk, tmp_path: Path, bob: Approver
) -> None:
    carol = Approver(desk, tmp_path, "carol")
    terminal = waiting_run(desk, bob, carol, group="dba", min=2)
    request = request_of(desk)
    assert hand_in(desk, bob.sign(request)).returncode == 0
    again = hand_in(desk, bob.sign(request))
    assert again.returncode == 2
    assert "bob has approved this already" in again.stderr
    terminal.until("1 of 2 approvals, by bob")
    assert hand_in(desk, carol.sign(request)).returncode == 0
    assert terminal.wait() == 0
    wait_until(lambda: desk.printed("drop"))
