"""Runtime directories, above all of a kernel of another Unix user."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nbrun.errors import KernelError, UnprovenKernelError
from nbrun.kernel import runtime_dir
from nbrun.kernel.connection_dir import make, record_pid, sweep
from nbrun.system.sudo import Sudo, SudoError
from tests.support.other_users import OtherUsers


@pytest.fixture
def user(other_users: OtherUsers) -> Sudo:
    return Sudo(other_users.user, other_users.python)


@pytest.fixture
def kept() -> Iterator[Path]:
    """Return the supervisor's directory for a kernel."""
    made = make()
    yield made
    shutil.rmtree(made, ignore_errors=True)


class FakeManager:
    """Jupyter's manager without Jupyter: `launch` starts the given command."""

    def __init__(self, kept: Path, *argv: str) -> None:
        self.connection_file = str(kept / "kernel.json")
        Path(self.connection_file).write_text("the key")
        self.argv = [*argv, self.connection_file]
        self.process: Any = None

    def launch_with(self, launch: Any) -> None:
        self._launch = launch

    def start_kernel(self, cwd: str, env: dict[str, str]) -> None:
        self.process = self._launch(self.argv, env, cwd)


def test_files_belong_to_the_user_alone_and_are_replaced(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    manager = FakeManager(kept, "/bin/sh", "-c", 'echo "$0 $X"; cat')
    runtime.start_kernel(manager, "/", {"X": "it's $(id)\n"}, {"role.kubeconfig": "old"})
    folder = Path(runtime.folder)
    assert folder.owner() == user.user
    assert folder.stat().st_mode & 0o777 == 0o700
    runtime.write({"role.kubeconfig": "new ü\n"})
    assert runtime.read(["role.kubeconfig", "role.none"]) == {"role.kubeconfig": "new ü\n"}
    assert {path.name for path in folder.iterdir()} >= {"kernel.json", "role.kubeconfig"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
    assert manager.process.wait(timeout=30) == 0  # its stdin is empty
    written = runtime.clear(manager.process.pid).decode()
    assert written == f"{folder}/kernel.json it's $(id)\n\n"
    assert not folder.exists()


def test_kernel_that_can_not_start_leaves_no_directory(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    with pytest.raises(SudoError, match="/no/such/kernel: No such file"):
        runtime.start_kernel(FakeManager(kept, "/no/such/kernel"), "/", {}, {})
    assert not Path(runtime.folder).exists()


def test_existing_directory_is_refused(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    Path(runtime.folder).mkdir()
    with pytest.raises(SudoError, match="File exists"):
        runtime.start_kernel(FakeManager(kept, "/bin/true"), "/", {}, {})
    Path(runtime.folder).rmdir()


def test_other_process_with_the_kernels_pid_is_not_signalled(user: Sudo, kept: Path) -> None:
    runtime = runtime_dir.create(kept, user)
    with subprocess.Popen(["sleep", "60"], user=user.user) as other:
        held = runtime.process_handle(other.pid)
        held.send_signal(9)
        runtime.clear(other.pid)
        assert other.poll() is None
        other.kill()


def test_sweep_ends_a_foreign_kernel_that_was_never_ready(
    user: Sudo, other_users: OtherUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # sudo runs only the Python of an installed kernel
    monkeypatch.setenv("JUPYTER_PATH", other_users.variables["JUPYTER_PATH"])
    ended = subprocess.Popen(["true"])
    ended.wait()
    made = make()
    kept = made.rename(made.with_name(f"nbrun-kernel-{ended.pid}-abcd1234"))
    runtime = runtime_dir.create(kept, user)
    manager = FakeManager(kept, "/bin/sleep", "60")
    manager.argv = ["/bin/sh", "-c", "sleep 60 # $0", manager.connection_file]
    runtime.start_kernel(manager, "/", {}, {})
    record_pid(kept, manager.process.pid)
    sweep()
    assert not kept.exists()
    assert not Path(runtime.folder).exists()
    assert manager.process.wait(timeout=30) is not None


def is_this(_user: str, _python: str) -> bool:
    return True


def test_find_returns_what_create_noted(user: Sudo, tmp_path: Path) -> None:
    assert runtime_dir.find(tmp_path, is_this) == runtime_dir.OwnRuntimeDir(tmp_path)
    assert runtime_dir.find(tmp_path, is_this) == runtime_dir.create(tmp_path, None)
    assert runtime_dir.create(tmp_path, user) == runtime_dir.find(tmp_path, is_this)
    (tmp_path / "kernel.user").write_text("{}")
    with pytest.raises(KernelError, match=r"kernel.user: can't be read"):
        runtime_dir.find(tmp_path, is_this)


def test_note_decides_neither_program_nor_folder(user: Sudo, tmp_path: Path) -> None:
    made = runtime_dir.create(tmp_path, user)
    asked = []
    with pytest.raises(UnprovenKernelError, match=f"runs as {user.user} by {user.python}"):
        runtime_dir.find(tmp_path, lambda *named: asked.append(named))  # type: ignore[arg-type]
    assert asked == [(user.user, user.python)]
    for folder in ("/home", f"{made.folder}/../../home", f"/tmp/other-{'0' * 16}"):
        note = msgspec.structs.replace(made, folder=folder)  # type: ignore[type-var]
        (tmp_path / "kernel.user").write_bytes(msgspec.json.encode(note))
        with pytest.raises(UnprovenKernelError, match="is not a folder that nbrun makes"):
            runtime_dir.find(tmp_path, is_this)
