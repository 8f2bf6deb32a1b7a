"""Another Unix user through sudo: told over stdin, refused with sudo's own words."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import KernelError, UsageError
from nbrun.kernel import runtime_dir
from nbrun.kernel.connection_dir import make, record_pid, sweep
from nbrun.kernel.roles.roles import Role, RoleContext, RunRole, take
from nbrun.system import sudo
from nbrun.system.sudo import Sudo, SudoError
from tests.support.other_users import OtherUsers

HOSTILE = [
    "$(id)",
    "-u root",
    "#0",
    "root\nroot",
    "a'b\"c",
    "root\0",
    "%sudo",
    "ROOT",
    "\udcff",
]


@pytest.fixture
def user(other_users: OtherUsers) -> Sudo:
    return Sudo(other_users.user, other_users.python)


def ground(python: str, cwd: str = "/") -> RoleContext:
    return RoleContext({"PATH": "/bin", "TMPDIR": "/x"}, python=python, cwd=cwd, here=Path("/"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_users_is_refused_before_sudo_sees_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(UsageError, match="the role dba: unix_user: there is no user"):
        take(Role("dba", unix_user=name), ground("/usr/bin/python3"))


def test_a_role_is_that_users_environment_and_says_who_it_is(user: Sudo) -> None:
    role = Role("dba", env={"PGHOST": "db1", "HOME": "/srv"}, unix_user=user.user)
    taken = take(role, ground(user.python))
    assert taken.environment.variables("/folder") == {
        "PATH": "/bin",
        "USER": user.user,
        "LOGNAME": user.user,
        "HOME": "/srv",
        "SHELL": "/bin/sh",
        "PGHOST": "db1",
    }
    (who,) = taken.recorded().identities
    assert (who.kind, who.who) == ("unix", user.user)
    assert who.detail.startswith("uid ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"python": "/no/such/python"}, "/no/such/python: command not found"),
        ({"python": "/bin/false"}, "it said nothing"),
        ({"cwd": "/root"}, "as {user}: /root: Permission denied"),
        ({"cwd": "/no/$(id)"}, "as {user}: /no/$(id): No such file or directory"),
    ],
)
def test_what_that_user_can_not_do_is_said_before_anything_is_started(
    user: Sudo, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        take(Role("dba", unix_user=user.user), ground(**{"python": user.python} | fields))
    assert said.format(user=user.user) in str(caught.value)


def test_without_sudo_the_role_says_so(user: Sudo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(UsageError, match="sudo is not installed"):
        take(Role("dba", unix_user=user.user), ground(user.python))


def test_a_sudo_that_does_not_answer_is_not_waited_for(
    user: Sudo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "sudo"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sudo, "TIMEOUT", 0.1)
    with pytest.raises(SudoError, match="did not answer within"):
        user.ask("identify", cwd="/")


def test_what_is_run_is_always_the_same(user: Sudo) -> None:
    """A rule of sudoers can name it."""
    assert user.command()[1:] == [
        *("-n", "-u", user.user, "--", user.python, "-I", "-c"),
        "import sys; exec(sys.stdin.readline())",
    ]


# ── a kernel's folder with that user ─────────────────────────────────────────────────────────


@pytest.fixture
def kept() -> Iterator[Path]:
    """The folder that a supervisor keeps of a kernel."""
    made = make()
    yield made
    shutil.rmtree(made, ignore_errors=True)


class Stand:
    """Jupyter's manager, but for Jupyter: it has `launch` start what it was given."""

    def __init__(self, kept: Path, *argv: str) -> None:
        self.connection_file = str(kept / "kernel.json")
        Path(self.connection_file).write_text("the key")
        self.argv = [*argv, self.connection_file]
        self.process: Any = None

    def launch_with(self, launch: Any) -> None:
        self._launch = launch

    def start_kernel(self, cwd: str, env: dict[str, str]) -> None:
        self.process = self._launch(self.argv, env, cwd)


def test_its_files_are_that_users_alone_and_replaced_at_once(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    stand = Stand(kept, "/bin/sh", "-c", 'echo "$0 $X"; cat')
    runtime.start_kernel(stand, "/", {"X": "it's $(id)\n"}, {"role.kubeconfig": "old"})
    folder = Path(runtime.folder)
    assert folder.owner() == user.user
    assert folder.stat().st_mode & 0o777 == 0o700
    runtime.write({"role.kubeconfig": "new ü\n"})
    assert runtime.read(["role.kubeconfig", "role.none"]) == {"role.kubeconfig": "new ü\n"}
    assert {path.name for path in folder.iterdir()} >= {"kernel.json", "role.kubeconfig"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    assert stand.process.wait(timeout=30) == 0  # its stdin is empty
    written = runtime.clear(stand.process.pid).decode()
    assert written == f"{folder}/kernel.json it's $(id)\n\n"
    assert not folder.exists()


def test_a_kernel_that_can_not_be_started_leaves_nothing(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    with pytest.raises(SudoError, match="/no/such/kernel: No such file"):
        runtime.start_kernel(Stand(kept, "/no/such/kernel"), "/", {}, {})
    assert not Path(runtime.folder).exists()


def test_no_folder_that_was_there_before_is_taken(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    Path(runtime.folder).mkdir()
    with pytest.raises(SudoError, match="File exists"):
        runtime.start_kernel(Stand(kept, "/bin/true"), "/", {}, {})
    Path(runtime.folder).rmdir()


def test_a_process_that_only_has_the_kernels_number_is_sent_nothing(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    with subprocess.Popen(["sleep", "60"], user=user.user) as other:
        held = runtime.process_handle(other.pid)
        held.send_signal(9)
        runtime.clear(other.pid)
        assert other.poll() is None
        other.kill()


def test_what_a_dead_supervisor_left_of_a_kernel_that_was_never_ready_is_ended(user: Sudo) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    made = make()
    kept = made.rename(made.with_name(f"nbrun-kernel-{ended.pid}-abcd1234"))
    runtime = runtime_dir.create(kept, user)
    stand = Stand(kept, "/bin/sleep", "60")
    stand.argv = ["/bin/sh", "-c", "sleep 60 # $0", stand.connection_file]
    runtime.start_kernel(stand, "/", {}, {})
    record_pid(kept, stand.process.pid)
    sweep()
    assert not kept.exists()
    assert not Path(runtime.folder).exists()
    assert stand.process.wait(timeout=30) is not None


def test_where_a_kernel_lives_is_noted_beside_its_supervisors_files(
    user: Sudo, tmp_path: Path
) -> None:
    assert runtime_dir.find(tmp_path) == runtime_dir.OwnRuntimeDir(tmp_path)
    assert runtime_dir.find(tmp_path) == runtime_dir.create(tmp_path, None)
    assert runtime_dir.create(tmp_path, user) == runtime_dir.find(tmp_path)
    (tmp_path / "kernel.user").write_text("{}")
    with pytest.raises(KernelError, match=r"kernel.user: can't be read"):
        runtime_dir.find(tmp_path)


def test_a_role_is_taken_again_for_each_kernel_but_the_first(tmp_path: Path) -> None:
    counter = tmp_path / "count.sh"
    counter.write_text("#!/bin/sh\necho x >>count\nwc -l <count | sed 's/ *$/-secret/'\n")
    counter.chmod(0o755)
    role = Role("dba", env_from_cmd={"TOKEN": str(counter)})
    learnt: list[Any] = []
    held = RunRole(role, RoleContext({}, python="", cwd="/", here=tmp_path))
    held.on_secrets = learnt.append
    assert held.for_next_kernel().secrets == {"TOKEN": "1-secret"}
    assert learnt == []
    assert held.for_next_kernel().secrets == {"TOKEN": "2-secret"}
    assert learnt == [{"TOKEN": "2-secret"}]
    assert held.take_again().recorded().env_from_cmd == ("TOKEN",)  # which a kernel at work has
    assert held.for_next_kernel().secrets == {"TOKEN": "3-secret"}
    counter.unlink()
    with pytest.raises(UsageError, match="the role dba, TOKEN"):
        held.for_next_kernel()
