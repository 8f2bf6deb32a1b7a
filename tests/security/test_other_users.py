"""A run that another user planted in a shared folder, met by the real command as real users."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.core.events import KernelProcess
from tests.support.other_users import OtherUsers
from tests.support.planted_run import RUN, give, names, plan_of, plant


class Shared:
    """A folder that every user can write, and the folder of a victim.

    The attacker plants a run that is newer than any of the victim's.
    """

    def __init__(self, folder: Path, users: OtherUsers) -> None:
        self.users, self.runs, self.mine = users, folder / "runs", folder / "mine"
        self.ran = folder / "runs" / "ran"
        self.runs.mkdir()
        self.runs.chmod(0o1777)
        self.mine.mkdir()
        (self.mine / "thesis.txt").write_text("years of work")
        (self.mine / "kernel.json").write_text("{}")
        give(self.mine, users.operator)

    def plant(self, owner: str) -> Path:
        """Plant a run that names the victim's files and processes, and a command."""
        claimed = KernelProcess(pid=os.getpid(), connection_file=str(self.mine / "kernel.json"))
        planted = plant(self.runs, process=claimed, **plan_of(forward=("touch", str(self.ran))))
        planted.socket.symlink_to(self.mine / "thesis.txt")
        planted.path.chmod(0o777)
        planted.journal.chmod(0o666)
        give(planted.path, owner)
        return planted.path

    def nbrun(self, *words: str, root: bool = False) -> subprocess.CompletedProcess[str]:
        become = [] if root else self.users.as_operator()
        variables = {"PATH": os.environ["PATH"], "HOME": str(self.mine), "LANG": "C.UTF-8"}
        return subprocess.run(
            [*become, self.users.python, "-m", "nbrun", *words, "--runs-dir", str(self.runs)],
            cwd="/",
            env=variables | self.users.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def shared(other_users: OtherUsers) -> Iterator[Shared]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Shared(Path(folder), other_users)


@pytest.mark.sweep
def test_planted_run_is_listed_as_foreign_and_never_acted_on(shared: Shared) -> None:
    planted = shared.plant(shared.users.user)
    before = (planted / "journal.jsonl").read_bytes()
    last = shared.nbrun("cancel", "last")
    assert last.returncode == 2
    assert f"is your own ({planted} belongs to {shared.users.user})" in last.stderr
    named = shared.nbrun("cancel", RUN)
    assert named.returncode == 2
    assert "is not your own run" in named.stderr
    root = shared.nbrun("cancel", RUN, root=True)
    assert (root.returncode, "as root: --foreign" in root.stderr) == (2, True)
    insisting = shared.nbrun("cancel", RUN, "--foreign", root=True)
    assert "is not its owner's alone: others can write" in insisting.stderr
    assert f"{RUN}  interrupted · a run of {shared.users.user}\n" in shared.nbrun("runs").stdout
    assert shared.nbrun("log", RUN).returncode == 0
    assert (planted / "journal.jsonl").read_bytes() == before
    assert not shared.ran.exists()
    assert names(shared.mine) == ["kernel.json", "thesis.txt"]


def test_root_acts_on_the_run_of_another_user_only_with_foreign(shared: Shared) -> None:
    planted = shared.plant(shared.users.user)
    planted.chmod(0o700)
    (planted / "journal.jsonl").chmod(0o600)
    assert shared.nbrun("cancel", RUN, root=True).returncode == 2
    cancelled = shared.nbrun("cancel", RUN, "--foreign", root=True)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{RUN}: cancelled\n")
    assert not shared.ran.exists()
    assert names(shared.mine) == ["kernel.json", "thesis.txt"]
