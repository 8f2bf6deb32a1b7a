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
    """A folder with a name that is short enough, as the temporary folder."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def dead() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def left(parent: Path, name: str, *files: str) -> Path:
    folder = parent / name
    folder.mkdir()
    for file in files:
        (folder / file).touch()
    return folder


def test_a_folder_is_for_its_user_alone(parent: Path) -> None:
    made = connection_dir.make()
    assert made.parent == parent
    assert made.stat().st_mode & 0o777 == 0o700


def test_what_a_dead_process_left_is_removed(parent: Path) -> None:
    folder = left(
        parent, f"nbrun-kernel-{dead()}-abcd1234", "kernel.json", "kernel-ipc-1", "output"
    )
    connection_dir.sweep()
    assert not folder.exists()


def test_nothing_else_is_removed(parent: Path) -> None:
    pid = dead()
    kept = [
        left(parent, f"nbrun-kernel-{os.getpid()}-abcd1234", "kernel.json"),
        left(parent, f"nbrun-kernel-{pid}-backup-of-mine", "kernel.json"),
        left(parent, f"nbrun-kernel-{pid}-abcd1234", "kernel.json", "thesis.txt"),
        left(parent, f"nbrun-{pid}-abcd1234", "kernel.json"),
    ]
    pointed_at = left(parent, "mine", "kernel.json")
    (parent / f"nbrun-kernel-{pid}-efgh5678").symlink_to(pointed_at)
    connection_dir.sweep()
    assert all(folder.exists() for folder in [*kept, pointed_at])


def kernel_in(folder: Path) -> subprocess.Popen[bytes]:
    """A process whose command line names a connection file there, as a kernel's does."""
    code = "import sys; sys.stdin.read()"
    command = [sys.executable, "-c", code, "-f", str(folder / "kernel.json")]
    made = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    connection_dir.record_pid(folder, made.pid)
    return made


def test_a_kernel_that_outlived_its_supervisor_keeps_its_folder(parent: Path) -> None:
    folder = left(parent, f"nbrun-kernel-{dead()}-abcd1234", "kernel.json")
    kernel = kernel_in(folder)
    connection_dir.mark_ready(folder)
    connection_dir.sweep()
    assert folder.exists()
    assert kernel.poll() is None
    kernel.kill()
    kernel.wait()
    connection_dir.sweep()
    assert not folder.exists()


def test_a_kernel_that_was_never_ready_is_ended_with_its_folder(parent: Path) -> None:
    folder = left(parent, f"nbrun-kernel-{dead()}-abcd1234", "kernel.json")
    kernel = kernel_in(folder)
    connection_dir.sweep()
    assert not folder.exists()
    assert kernel.wait(timeout=30) == -signal.SIGKILL


def test_a_process_that_only_has_the_kernels_number_is_left_alone(parent: Path) -> None:
    folder = left(parent, f"nbrun-kernel-{dead()}-abcd1234", "kernel.json")
    connection_dir.record_pid(folder, os.getpid())
    connection_dir.sweep()
    assert not folder.exists()


@pytest.mark.parametrize("place", ["/nonexistent", "/tmp/" + "x" * 100])
def test_a_place_that_will_not_do_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", place)
    made = connection_dir.make()
    made.rmdir()
    assert not str(made).startswith(place)


def test_no_place_at_all_is_a_clear_error(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_named: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(connection_dir.tempfile, "mkdtemp", refuse)
    with pytest.raises(KernelError, match="No space left"):
        connection_dir.make()
