"""The supervisor's directory for a kernel: where it is made, and when it is swept."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbrun.core.events import KernelProcess
from nbrun.errors import KernelError, UnprovenKernelError
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


# ── a kernel that a record names ─────────────────────────────────────────────────────────────


@pytest.fixture
def kernel(parent: Path) -> Iterator[KernelProcess]:
    """A process that was started as a kernel, as a record names it."""
    folder = connection_dir.make()
    process = start_kernel_in(folder)
    yield KernelProcess(pid=process.pid, connection_file=str(folder / "kernel.json"))
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def test_kernel_that_nbrun_started_is_proven(kernel: KernelProcess) -> None:
    assert connection_dir.own_kernel(kernel) == Path(kernel.connection_file).parent


def _start_later(path: Path) -> None:
    """Write that the kernel's process was started at another time, or in another boot."""
    started, boot = path.read_text().split(" ")
    path.write_text(f"{float(started) + 1} {boot}")


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda folder: folder.chmod(0o750), "others can enter"),
        (lambda folder: os.chown(folder, 65534, -1), "belongs to"),
        (lambda folder: (folder / "kernel.pid").unlink(), "does not say that this process is"),
        (lambda folder: _start_later(folder / "kernel.started"), "does not say that this proc"),
    ],
)
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_process_that_nbrun_may_not_have_started_is_refused(
    kernel: KernelProcess, forge: Callable[[Path], object], why: str
) -> None:
    forge(Path(kernel.connection_file).parent)
    with pytest.raises(UnprovenKernelError, match=why):
        connection_dir.own_kernel(kernel)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("clone/nbrun-kernel-1-abcd1234", "not in the folder for temporary files"),
        ("python3", "not named as nbrun names it"),
    ],
)
def test_folder_of_another_name_or_place_is_refused(parent: Path, place: str, why: str) -> None:
    folder = parent / place
    folder.mkdir(mode=0o700, parents=True)
    process = start_kernel_in(folder)
    claimed = KernelProcess(pid=process.pid, connection_file=str(folder / "kernel.json"))
    with pytest.raises(UnprovenKernelError, match=why):
        connection_dir.own_kernel(claimed)
    process.kill()
    process.wait()


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
