"""Attacks on the approval by another person, by real users of the machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.config.settings import FoundFile, merge
from nbrun.core import events as ev
from nbrun.core.model import SettingsFile
from nbrun.kernel.roles.roles import Role
from tests.support.build_notebooks import code
from tests.support.other_users import OtherUsers
from tests.support.terminal import Desk, wait_until

ROLE = '[roles.dba]\nunix_user = "{user}"\n'
# Approves what waits, as any program can that follows the protocol, and prints the refusal.
APPROVE = """
import sys
from pathlib import Path
from nbrun.core import approval, decisions
from nbrun.core.reducer import fold
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.client import SocketClient
directory = RunDirectory(Path(sys.argv[1]))
state = fold(each.event for each in JournalReader(directory.journal))
client = SocketClient(directory, "follow")
client.send(decisions.Approve(binding=approval.pending_approval(state).binding))
while not client.closed:
    for record in client.receive():
        if record.event.__struct_config__.tag in ("decision.refused", "approval.granted"):
            print(record.event.__struct_config__.tag, getattr(record.event, "why", ""))
            sys.exit()
"""


class SharedDesk(Desk):
    """A desk of an operator whose runs the group of the operator may reach; `user` is in it."""

    def __init__(self, folder: Path, users: OtherUsers) -> None:
        super().__init__(folder)
        self.users = users
        self.nbrun = [*users.as_operator(), users.python, "-m", "nbrun"]
        self.variables = dict(users.variables)
        (folder / "attack.py").write_text(APPROVE)
        self.runs.mkdir()
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, users.operator, users.operator)
        self.runs.chmod(0o3770)

    def approve(self, become: list[str]) -> str:
        """Approve as another user, whom the operator becomes by the command `become`."""
        attack = [self.users.python, str(self.folder / "attack.py"), str(self.run)]
        variables = [f"{name}={value}" for name, value in self.users.variables.items()]
        done = subprocess.run(
            [*become, "env", *variables, *attack],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def desk(other_users: OtherUsers) -> Iterator[SharedDesk]:
    subprocess.run(["usermod", "-aG", other_users.operator, other_users.user], check=True)
    folder = Path(tempfile.mkdtemp(prefix="nbrun-desk-", dir="/tmp"))
    folder.chmod(0o755)
    made = SharedDesk(folder, other_users)
    yield made
    made.close()
    shutil.rmtree(folder)
    subprocess.run(["gpasswd", "-d", other_users.user, other_users.operator], check=True)


def waiting_run(desk: SharedDesk) -> None:
    desk.book(code("print('dropped')", id="drop", metadata={"nbrun": {"approve": True}}))
    operator = desk.users.operator
    desk.start("--group", operator, "--runs-dir", str(desk.runs)).prompted("step 1>")


def test_role_account_can_not_approve(desk: SharedDesk) -> None:
    """The sudo rule of docs/roles.md lets the operator run Python as the role's account."""
    (desk.folder / "nbrun.toml").write_text(ROLE.format(user=desk.users.user))
    waiting_run(desk)
    as_user = ["setpriv", f"--reuid={desk.users.user}", f"--regid={desk.users.user}"]
    told = desk.approve([*as_user, "--init-groups"])
    assert f"decision.refused {desk.users.user} is the unix_user of a role" in told
    assert desk.events(ev.ApprovalGranted) == []


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


def test_operator_can_not_approve_as_an_account_that_they_became(desk: SharedDesk) -> None:
    """The login uid stays, although no process of the operator is among the ancestors."""
    waiting_run(desk)
    login = f'echo {desk.folder.stat().st_uid} >/proc/self/loginuid && exec "$@"'
    if subprocess.run(["sh", "-c", "echo 0 >/proc/self/loginuid"], check=False).returncode:
        pytest.skip("this system has no login uids")
    as_user = ["setpriv", f"--reuid={desk.users.user}", f"--regid={desk.users.user}"]
    told = desk.approve(["sh", "-c", login, "sh", *as_user, "--init-groups"])
    assert "has a hand in this run: another person has to approve it" in told
    (refused,) = desk.events(ev.DecisionRefused)
    assert refused.operator.login_uid == desk.folder.stat().st_uid
    assert refused.operator.ancestor_uids == ()


def _paths(desk: SharedDesk) -> list[str]:
    return desk.users.variables["PYTHONPATH"].split(os.pathsep)[::-1]


def test_another_person_can_approve(desk: SharedDesk) -> None:
    waiting_run(desk)
    as_user = ["setpriv", f"--reuid={desk.users.user}", f"--regid={desk.users.user}"]
    assert "approval.granted" in desk.approve([*as_user, "--init-groups"])
    wait_until(lambda: desk.printed("drop"))


def test_roles_of_any_file_count_trusted_or_not() -> None:
    """The operator can leave the file untrusted: its accounts may not approve all the same."""
    file = SettingsFile(path="/srv/nbrun.toml", sha256="0" * 64)
    role = Role("dba", unix_user="postgres")
    found = FoundFile(file, {"roles": {"dba": role}}, is_trusted=False)
    assert merge([found]).role_users == {"postgres"}
