"""The supervisor's directory for a kernel: where it is made, and when it is swept."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.errors import KernelError
from nbrun.kernel import connection_dir


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a folder with a short path as the temporary directory."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def ended_pid() -> int:
    """Return the id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def leftover(parent: Path, name: str, *files: str) -> Path:
    folder = parent / name
    folder.mkdir()
    for file in files:
        (folder / file).touch()
    return folder


def test_directory_is_readable_by_its_user_alone(parent: Path) -> None:
    made = connection_dir.make()
    assert made.parent == parent
    assert made.stat().st_mode & 0o777 == 0o700


def test_sweep_removes_directories_of_dead_processes(parent: Path) -> None:
    folder = leftover(
        parent, f"nbrun-kernel-{ended_pid()}-abcd1234", "kernel.json", "kernel-ipc-1", "output"
    )
    connection_dir.sweep()
    assert not folder.exists()


def test_sweep_removes_nothing_else(parent: Path) -> None:
    pid = ended_pid()
    kept = [
        leftover(parent, f"nbrun-kernel-{os.getpid()}-abcd1234", "kernel.json"),
        leftover(parent, f"nbrun-kernel-{pid}-backup-of-mine", "kernel.json"),
        leftover(parent, f"nbrun-kernel-{pid}-abcd1234", "kernel.json", "thesis.txt"),
        leftover(parent, f"nbrun-{pid}-abcd1234", "kernel.json"),
    ]
    pointed_at = leftover(parent, "mine", "kernel.json")
    (parent / f"nbrun-kernel-{pid}-efgh5678").symlink_to(pointed_at)
    connection_dir.sweep()
    assert all(folder.exists() for folder in [*kept, pointed_at])


def start_kernel_in(folder: Path) -> subprocess.Popen[bytes]:
    """Start a process whose arguments name a connection file in `folder`, as a kernel's do."""
    code = "import sys; sys.stdin.read()"
    command = [sys.executable, "-c", code, "-f", str(folder / "kernel.json")]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    connection_dir.record_pid(folder, made.pid)
    return made


def test_sweep_keeps_the_directory_of_a_live_kernel(parent: Path) -> None:
    folder = leftover(parent, f"nbrun-kernel-{ended_pid()}-abcd1234", "kernel.json")
    kernel = start_kernel_in(folder)
    connection_dir.mark_ready(folder)
    connection_dir.sweep()
    assert folder.exists()
    assert kernel.poll() is None
    kernel.kill()
    kernel.wait()
    connection_dir.sweep()
    assert not folder.exists()


def test_sweep_ends_a_kernel_that_was_never_ready(parent: Path) -> None:
    folder = leftover(parent, f"nbrun-kernel-{ended_pid()}-abcd1234", "kernel.json")
    kernel = start_kernel_in(folder)
    connection_dir.sweep()
    assert not folder.exists()
    assert kernel.wait(timeout=30) == -signal.SIGKILL


def test_sweep_leaves_another_process_with_the_kernels_pid(parent: Path) -> None:
    folder = leftover(parent, f"nbrun-kernel-{ended_pid()}-abcd1234", "kernel.json")
    connection_dir.record_pid(folder, os.getpid())
    connection_dir.sweep()
    assert not folder.exists()


@pytest.mark.parametrize("place", ["/nonexistent", "/tmp/" + "x" * 100])
def test_unsuitable_temporary_directory_is_not_used(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", place)
    made = connection_dir.make()
    made.rmdir()
    assert not str(made).startswith(place)


def test_error_when_no_directory_can_be_created(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_named: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(connection_dir.tempfile, "mkdtemp", refuse)
    with pytest.raises(KernelError, match="No space left"):
        connection_dir.make()
