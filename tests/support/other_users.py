"""Two temporary users of this machine: an operator, and a user that a role's kernels run as.

Both need a Python and packages that every user can read, unlike root's and pytest's folders.
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

LOCK_TIMEOUT = 30.0  # seconds that another process may lock /etc/passwd
_NAME = re.compile(r"nb[ok](\d+)")
_RULES = Path("/etc/sudoers.d")


@dataclass(frozen=True)
class OtherUsers:
    """Two users. sudo allows only `operator` to become `user`.

    Both can run `python`; with `variables`, it finds nbrun and a kernelspec `shared`.
    """

    operator: str
    user: str
    python: str
    variables: dict[str, str]

    def as_operator(self) -> list[str]:
        """Return the words before a command that the operator runs."""
        become = [f"--reuid={self.operator}", f"--regid={self.operator}", "--init-groups"]
        return [_path_of("setpriv"), *become, "--"]

    def processes(self) -> list[str]:
        """Return the command lines of the processes of `user`."""
        command = ["ps", "-ww", "-o", "args=", "-u", self.user]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [line for line in done.stdout.splitlines() if not line.endswith("<defunct>")]

    def allow(self) -> None:
        """Add the sudoers rule."""
        rule = f"{self.operator} ALL=({self.user}) NOPASSWD: {self.python}\n"
        path = _RULES / self.operator
        path.write_text(rule)
        path.chmod(0o440)

    def forbid(self) -> None:
        """Remove the sudoers rule."""
        (_RULES / self.operator).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def other_users() -> Iterator[OtherUsers]:
    """Create the two users, if this is root on a machine with sudo, and remove them at the end."""
    if os.getuid() != 0:
        pytest.skip("only root can make users")
    if shutil.which("sudo") is None or shutil.which("useradd") is None:
        pytest.skip("sudo and useradd are not installed")
    python = _reachable_python()
    if python is None:
        pytest.skip(f"no Python {sys.version_info[:2]} that other users can run is installed")
    _remove_users_of_dead_tests()
    folder = Path(tempfile.mkdtemp(prefix="nbrun-users-", dir="/tmp"))
    folder.chmod(0o755)
    made = OtherUsers(
        operator=f"nbo{os.getpid()}",
        user=f"nbk{os.getpid()}",
        python=python,
        variables=_variables(folder, python),
    )
    for name in (made.operator, made.user):
        _run_until_success("useradd", "--create-home", "--shell", "/bin/sh", name)
    made.allow()
    yield made
    made.forbid()
    for name in (made.operator, made.user):
        _run_until_success("userdel", "--remove", name)
    shutil.rmtree(folder)


def _remove_users_of_dead_tests() -> None:
    """Remove users of tests that were killed. Their names contain the test's process id."""
    for account in pwd.getpwall():
        match = _NAME.fullmatch(account.pw_name)
        if match and not processes.exists(int(match[1])):
            (_RULES / account.pw_name).unlink(missing_ok=True)
            subprocess.run(
                ["userdel", "--remove", account.pw_name], capture_output=True, check=False
            )


def _path_of(program: str) -> str:
    path = shutil.which(program)
    assert path is not None, f"{program} is not installed"
    return path


def _reachable_python() -> str | None:
    """Return a Python of this version, which works with the packages of this one."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    own = Path(sys.executable).resolve()
    return str(own) if _is_reachable(own) else shutil.which(name, path="/usr/local/bin:/usr/bin")


def _is_reachable(path: Path) -> bool:
    """Return True if every user can reach `path`."""
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents))


def _variables(folder: Path, python: str) -> dict[str, str]:
    own = Path(nbrun.__file__).parent.parent
    packages = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    copies = [_reachable_copy(path, folder / str(number)) for number, path in enumerate(packages)]
    if not _is_reachable(own):
        shutil.copytree(own / "nbrun", folder / "own" / "nbrun")
        own = folder / "own"
    path = os.pathsep.join(map(str, copies))
    spec = folder / "jupyter/kernels/shared"
    spec.mkdir(parents=True)
    spec_json = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python",
        "language": "python",
        "env": {"PYTHONPATH": path},
        "metadata": {"supported_encryption": ["curve"]},
    }
    (spec / "kernel.json").write_text(json.dumps(spec_json))
    return {
        "PYTHONPATH": f"{own}{os.pathsep}{path}",
        "JUPYTER_PATH": str(folder / "jupyter"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _reachable_copy(packages: Path, place: Path) -> Path:
    """Return a place for the packages that every user can reach: hard links, if needed."""
    if _is_reachable(packages):
        return packages
    shutil.copytree(packages, place, copy_function=_link)
    return place


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # it is on another file system
        shutil.copy2(source, target)


def _run_until_success(*words: str) -> None:
    deadline = time.monotonic() + LOCK_TIMEOUT
    while subprocess.run(words, capture_output=True, check=False).returncode != 0:
        assert time.monotonic() < deadline, f"{words} fails"
        time.sleep(0.1)
