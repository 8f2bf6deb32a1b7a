"""Where a run comes from: who started it, from which commit, with which versions."""

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
    """Who runs this process, and at which terminal the process `pid`, a relative of it, is: from
    the system's own knowledge, not from the environment's."""
    uid = os.getuid()
    via = processes.terminal_of(pid) or "no terminal"
    return model.Operator(uid=uid, name=account(uid), via=via)


def account(uid: int) -> str:
    """The name of a user's account; the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def groups(uid: int) -> frozenset[str]:
    """The groups that the system puts the account of `uid` into."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    found = set()
    for gid in os.getgrouplist(account.pw_name, account.pw_gid):
        with suppress(KeyError):  # a group without a name
            found.add(grp.getgrgid(gid).gr_name)
    return frozenset(found)


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out where the runbook lies; None outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603  fixed words; the folder is the one run in
            [git, "-C", str(folder), "rev-parse", "--verify", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None


def boot_id() -> str:
    """What tells this boot of the machine from others; empty where the system has no such name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return _asked("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")  # macOS


def _asked(*command: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603  fixed words
            command, capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()


def versions() -> dict[str, str]:
    """What ran it: nbrun, Python, the platform, and the libraries that speak to the kernel."""
    packages = ("ipykernel", "jupyter-client", "nbclient", "nbformat", "papermill")
    return {
        "nbrun": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in packages},
    }
