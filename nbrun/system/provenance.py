"""The origin of a run: its operator, the git commit, the boot of the machine, and versions."""

import grp
import os
import platform
import pwd
import shutil
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from nbrun import __version__
from nbrun.core import model
from nbrun.system import processes


def operator(pid: int) -> model.Operator:
    """Return this process's user, at the terminal of the process `pid`, which is related to it.

    Both come from the system, not from environment variables.
    """
    uid = os.getuid()
    via = processes.terminal_of(pid) or "no terminal"
    return model.Operator(uid=uid, name=account(uid), via=via)


def account(uid: int) -> str:
    """Return the name of a user's account, or the uid as text if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def groups(uid: int) -> frozenset[str]:
    """Return the names of the groups of the account `uid`."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    names = set()
    for gid in os.getgrouplist(account.pw_name, account.pw_gid):
        with suppress(KeyError):  # a group without a name
            names.add(grp.getgrgid(gid).gr_name)
    return frozenset(names)


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out at `folder`; None outside a git repository."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  fixed words; the folder is the one run in
            [git, "-C", str(folder), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def boot_id() -> str:
    """Return the system's id of the current boot, or an empty text if there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return _output_of("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _output_of(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  fixed words
            command, capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of nbrun, Python, the platform and the Jupyter libraries."""
    packages = ("ipykernel", "jupyter-client", "nbclient", "nbformat", "papermill")
    return {
        "nbrun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in packages},
    }
