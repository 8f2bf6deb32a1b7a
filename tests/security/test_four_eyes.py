"""Attacks on the approval by another person, by real users of the machine."""

import os
import subprocess

import pytest

from nbrun.config.settings import FoundFile, merge
from nbrun.core import events as ev
from nbrun.core.model import SettingsFile
from nbrun.kernel.roles.roles import Role
from tests.support.build_notebooks import code
from tests.support.shared_desk import SharedDesk
from tests.support.terminal import wait_until

ROLE = '[roles.dba]\nunix_user = "{user}"\n'


@pytest.fixture
def desk(shared_desk: SharedDesk) -> SharedDesk:
    return shared_desk


def waiting_run(desk: SharedDesk) -> None:
    desk.book(code("print('dropped')", id="drop", metadata={"nbrun": {"approve": True}}))
    desk.share().prompted("step 1>")


@pytest.mark.sweep
def test_role_account_can_not_approve(desk: SharedDesk) -> None:
    """The sudo rule of docs/roles.md lets the operator run Python as the role's account."""
    (desk.folder / "nbrun.toml").write_text(ROLE.format(user=desk.users.user))
    waiting_run(desk)
    as_user = desk.become(desk.users.user)
    told = desk.approve(as_user)
    assert f"decision.refused {desk.users.user} is the unix_user of a role" in told
    assert desk.events(ev.ApprovalGranted) == []


@pytest.mark.sweep
def test_operator_can_not_approve_as_another_account(desk: SharedDesk) -> None:
    """No role is known here; the operator's session is among the ancestors of the approver."""
    waiting_run(desk)
    python = desk.users.python
    line = f"import runpy, sys; sys.argv = ['a', '{desk.run}']; "
    paths = "; ".join(f"sys.path.insert(0, {path!r})" for path in _paths(desk))
    program = f"{line}{paths}; exec(open('{desk.folder}/attack.py').read())"
    become = ["sudo", "-n", "-u", desk.users.user, "--", python, "-c", program]
    # A shell in between: as with an interactive one, the operator's process stays the parent.
    done = subprocess.run(
        [*desk.users.as_operator(), "/bin/sh", "-c", '"$@"; exit $?', "sh", *become],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    operator_uid = desk.folder.stat().st_uid
    assert f"comes from a session of uid {operator_uid}" in done.stdout, done
    (refused,) = desk.events(ev.DecisionRefused)
    assert operator_uid in refused.operator.ancestor_uids
    assert refused.operator.name == desk.users.user
    assert refused.operator.pid > 0
    assert desk.events(ev.ApprovalGranted) == []


@pytest.mark.sweep
def test_operator_can_not_approve_as_an_account_that_they_became(desk: SharedDesk) -> None:
    """The login uid stays, although no process of the operator is among the ancestors."""
    waiting_run(desk)
    login = f'echo {desk.folder.stat().st_uid} >/proc/self/loginuid && exec "$@"'
    if subprocess.run(["sh", "-c", "echo 0 >/proc/self/loginuid"], check=False).returncode:
        pytest.skip("this system has no login uids")
    as_user = desk.become(desk.users.user)
    told = desk.approve(["sh", "-c", login, "sh", *as_user])
    assert "has a hand in this run: another person has to approve it" in told
    (refused,) = desk.events(ev.DecisionRefused)
    assert refused.operator.login_uid == desk.folder.stat().st_uid
    assert refused.operator.ancestor_uids == ()


def _paths(desk: SharedDesk) -> list[str]:
    return desk.users.variables["PYTHONPATH"].split(os.pathsep)[::-1]


@pytest.mark.sweep
def test_another_person_can_approve(desk: SharedDesk) -> None:
    waiting_run(desk)
    as_user = desk.become(desk.users.user)
    assert "approval.granted" in desk.approve(as_user)
    wait_until(lambda: desk.printed("drop"))


def test_roles_of_any_file_count_trusted_or_not() -> None:
    """The operator can leave the file untrusted: its accounts may not approve all the same."""
    file = SettingsFile(path="/srv/nbrun.toml", sha256="0" * 64)
    role = Role("dba", unix_user="postgres")
    found = FoundFile(file, {"roles": {"dba": role}}, is_trusted=False)
    assert merge([found]).role_users == {"postgres"}
