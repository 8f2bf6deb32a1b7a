"""A hostile user of a role: files and answers that would fill the supervisor's memory."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbrun.kernel import runtime_dir
from nbrun.kernel.connection_dir import make
from nbrun.kernel.roles.roles import secrets_in
from nbrun.kernel.runtime_dir import OtherUserRuntimeDir, OwnRuntimeDir
from nbrun.system import sudo
from nbrun.system.sudo import Sudo, SudoError
from nbrun.system.sudo_helper import end_of
from tests.support.other_users import OtherUsers

MIB = 2**20


@pytest.fixture
def user(other_users: OtherUsers) -> Sudo:
    return Sudo(other_users.user, other_users.python)


@pytest.fixture
def folder(user: Sudo) -> Iterator[Path]:
    """The folder of a kernel, which belongs to the role's user."""
    made = Path(f"/tmp/nbrun-security-{os.getpid()}")
    made.mkdir(mode=0o700)
    shutil.chown(made, user.user)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def runtime(user: Sudo, folder: Path) -> OtherUserRuntimeDir:
    return OtherUserRuntimeDir(user=user.user, python=user.python, folder=str(folder))


def as_user(user: Sudo, script: str) -> None:
    subprocess.run(["setpriv", f"--reuid={user.user}", "--", "sh", "-c", script], check=True)


@pytest.mark.parametrize("character", ["x", "\\001"], ids=["text", "escaped in JSON"])
def test_output_of_300_mb_is_read_up_to_its_limit(
    user: Sudo, runtime: OtherUserRuntimeDir, folder: Path, character: str
) -> None:
    as_user(
        user,
        f"cd {folder} && truncate -s 300M output && "
        f"head -c 2000000 /dev/zero | tr '\\0' '{character}' >>output && echo >>output && "
        "echo the last words >>output",
    )
    printed = runtime.clear(0)
    assert len(printed) < MIB + 200
    assert printed.startswith(b"(the first 315,")
    assert printed.endswith(b"\nthe last words\n")
    assert not folder.exists()


@pytest.mark.parametrize("plant", ["mkfifo", "ln -s /dev/zero", "ln -s /etc/passwd", "mkdir"])
def test_output_that_is_no_file_is_empty(
    user: Sudo, runtime: OtherUserRuntimeDir, folder: Path, plant: str
) -> None:
    as_user(user, f"{plant} {folder}/output")
    assert runtime.clear(0) == b""


def test_status_that_is_no_number_is_unknown(
    user: Sudo, runtime: OtherUserRuntimeDir, folder: Path
) -> None:
    as_user(user, f"cd {folder} && truncate -s 300M status")
    assert runtime.process_handle(1).poll() is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec yes", "sudo answered with more than 8 MiB"),
        ("exec yes >&2", "sudo answered with more than 8 MiB"),
        ('echo \'{"pid": "1"}\'', "it said nothing"),
        ("echo '[]'", "it said nothing"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "it said nothing"),
        ("exit 0", "it said nothing"),
    ],
)
def test_hostile_answer_is_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    fake = tmp_path / "sudo"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    request = {"files": {str(number): "x" * 1000 for number in range(1000)}}  # more than a pipe's
    with pytest.raises(SudoError, match=said):
        Sudo("ops", "/usr/bin/python3").ask("start", **request)


def test_helper_that_closes_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "sudo"
    fake.write_text("#!/bin/sh\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sudo, "TIMEOUT", 0.1)
    with pytest.raises(SudoError, match="did not answer"):
        Sudo("ops", "/usr/bin/python3").ask("clear", folder="/tmp/x", pid=0)


def test_own_kernel_cannot_fill_the_supervisor_either(tmp_path: Path) -> None:
    output = tmp_path / runtime_dir._OUTPUT_FILE
    with output.open("wb") as file:
        file.truncate(300 * MIB)
        file.seek(0, os.SEEK_END)
        file.write(b"hunter2-hunter2 is cut\nthe last words\n")
    printed = OwnRuntimeDir(tmp_path).clear(0)
    assert len(printed) < 200
    assert printed.endswith(b"that line)\nthe last words\n")


def test_end_of_a_short_file_is_the_whole_file() -> None:
    directory = make()
    (directory / "output").write_bytes(b"all")
    assert end_of(directory / "output") == (b"all", 0)
    shutil.rmtree(directory)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("plant", [_pipe, _endless, _hole])
@pytest.mark.parametrize("key", ["tokenFile", "client-key"])
def test_file_that_a_cell_names_in_its_kubeconfig_neither_stops_nor_fills_nbrun(
    tmp_path: Path, key: str, plant: Callable[[Path], None]
) -> None:
    """`nbrun resume` reads the kubeconfig of a kernel that it adopts, for its secrets."""
    named = tmp_path / "named"
    plant(named)
    config = {"clusters": [{"cluster": {}}], "users": [{"user": {key: str(named)}}]}
    assert secrets_in({"role.kubeconfig": json.dumps(config)}) == {}


def test_kubeconfig_that_is_nested_too_deeply_has_no_secrets() -> None:
    assert secrets_in({"role.kubeconfig": "[" * 100_000}) == {}
