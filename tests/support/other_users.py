"""Two more users of this machine, for tests: an operator, and one that a role's kernels run as.

They need what pytest's own folders and root's Python are not: readable to all.
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import nbrun
from nbrun.system import processes

PATIENCE = 30.0  # seconds that another's hold on /etc/passwd may last
_NAME = re.compile(r"nb[ok](\d+)")
_RULES = Path("/etc/sudoers.d")


@dataclass(frozen=True)
class OtherUsers:
    """`operator` may become `user` by sudo, and nobody else. `python` runs for both, with the
    variables `variables` nbrun too; the kernelspec of both is called `shared`."""

    operator: str
    user: str
    python: str
    variables: dict[str, str]

    def as_operator(self) -> list[str]:
        """The words before a command that the operator starts."""
        become = [f"--reuid={self.operator}", f"--regid={self.operator}", "--init-groups"]
        return [_found("setpriv"), *become, "--"]

    def processes(self) -> list[str]:
        """The command lines of what runs as `user`."""
        asked = ["ps", "-ww", "-o", "args=", "-u", self.user]
        told = subprocess.run(asked, capture_output=True, text=True, check=False)
        return [line for line in told.stdout.splitlines() if not line.endswith("<defunct>")]

    def allow(self) -> None:
        rule = f"{self.operator} ALL=({self.user}) NOPASSWD: {self.python}\n"
        path = _RULES / self.operator
        path.write_text(rule)
        path.chmod(0o440)

    def forbid(self) -> None:
        (_RULES / self.operator).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def other_users() -> Iterator[OtherUsers]:
    if os.getuid() != 0:
        pytest.skip("only root can make users")
    if shutil.which("sudo") is None or shutil.which("useradd") is None:
        pytest.skip("sudo and useradd are not installed")
    python = _open_python()
    if python is None:
        pytest.skip(f"no Python {sys.version_info[:2]} that other users can run is installed")
    _forget_the_dead()
    folder = Path(tempfile.mkdtemp(prefix="nbrun-users-", dir="/tmp"))
    folder.chmod(0o755)
    made = OtherUsers(
        operator=f"nbo{os.getpid()}",
        user=f"nbk{os.getpid()}",
        python=python,
        variables=_variables(folder, python),
    )
    for name in (made.operator, made.user):
        _until_it_works("useradd", "--create-home", "--shell", "/bin/sh", name)
    made.allow()
    yield made
    made.forbid()
    for name in (made.operator, made.user):
        _until_it_works("userdel", "--remove", name)
    shutil.rmtree(folder)


def _forget_the_dead() -> None:
    """Users of tests that were killed: their names have the number of the process in them."""
    for account in pwd.getpwall():
        named = _NAME.fullmatch(account.pw_name)
        if named and not processes.exists(int(named[1])):
            (_RULES / account.pw_name).unlink(missing_ok=True)
            subprocess.run(
                ["userdel", "--remove", account.pw_name], capture_output=True, check=False
            )


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is not installed"
    return path


def _open_python() -> str | None:
    """One of this version: the packages of this one have to work with it."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = Path(sys.executable).resolve()
    return str(own) if _is_open(own) else shutil.which(name, path="/usr/local/bin:/usr/bin")


def _is_open(path: Path) -> bool:
    """Whether every user can come to it."""
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


def _variables(folder: Path, python: str) -> dict[str, str]:
    own = Path(nbrun.__file__).parent.parent
    packages = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    opened = [_opened(path, folder / str(number)) for number, path in enumerate(packages)]
    if not _is_open(own):
        shutil.copytree(own / "nbrun", folder / "own" / "nbrun")
        own = folder / "own"
    path = os.pathsep.join(map(str, opened))
    spec = folder / "jupyter/kernels/shared"
    spec.mkdir(parents=True)
    told = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python",
        "language": "python",
        "env": {"PYTHONPATH": path},
        "metadata": {"supported_encryption": ["curve"]},
    }
    (spec / "kernel.json").write_text(json.dumps(told))
    return {
        "PYTHONPATH": f"{own}{os.pathsep}{path}",
        "JUPYTER_PATH": str(folder / "jupyter"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _opened(packages: Path, place: Path) -> Path:
    """The packages where every user can come to them: copies that take no room."""
    if _is_open(packages):
        return packages
    shutil.copytree(packages, place, copy_function=_linked)
    return place


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # it is on another file system
        shutil.copy2(source, target)


def _until_it_works(*words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while subprocess.run(words, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"{words} fails"
        time.sleep(0.1)
