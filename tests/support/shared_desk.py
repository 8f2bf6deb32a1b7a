"""The desk of an operator whose runs a group may reach, and commands of the other people."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.other_users import OtherUsers
from tests.support.terminal import Desk, Terminal

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
        self.nbrun = self.command_of(users.operator)
        self.variables = dict(users.variables)
        (folder / "attack.py").write_text(APPROVE)
        self.runs.mkdir()
        self.give_to_operator()
        self.runs.chmod(0o3770)

    def give_to_operator(self) -> None:
        """Let the operator own all files of the desk."""
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, self.users.operator, self.users.operator)

    def command_of(self, account: str) -> list[str]:
        """Return the words of `nbrun` for an account; empty for root, a third person."""
        return [*self.become(account), self.users.python, "-m", "nbrun"]

    def become(self, account: str) -> list[str]:
        """Return the words before a command of an account, or none for root."""
        if not account:
            return []
        return ["setpriv", f"--reuid={account}", f"--regid={account}", "--init-groups", "--"]

    def run_as(self, account: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `nbrun` as an account, or as root if it is empty, and wait for its end."""
        home = self.home_of(account)
        return subprocess.run(
            [*self.command_of(account), *arguments],
            env={**self.environment(), **self.users.variables, "HOME": str(home)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def home_of(self, account: str) -> Path:
        """Return a home for the account, which the operator can't read."""
        home = self.folder / f"home-{account or 'root'}"
        if not home.exists():
            home.mkdir(mode=0o700)
            shutil.chown(home, account or "root", account or "root")
        return home

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

    def share(self, *options: str) -> Terminal:
        """Start the runbook for the operator's group on a new terminal."""
        return self.start("--group", self.users.operator, "--runs-dir", str(self.runs), *options)


@pytest.fixture
def shared_desk(other_users: OtherUsers) -> Iterator[SharedDesk]:
    """Return the desk of an operator, whose group the other user is in."""
    subprocess.run(["usermod", "-aG", other_users.operator, other_users.user], check=True)
    folder = Path(tempfile.mkdtemp(prefix="nbrun-desk-", dir="/tmp"))
    folder.chmod(0o755)
    made = SharedDesk(folder, other_users)
    yield made
    made.close()
    shutil.rmtree(folder)
    subprocess.run(["gpasswd", "-d", other_users.user, other_users.operator], check=True)
