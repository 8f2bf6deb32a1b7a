"""The origin of a run: its operator, the boot of the machine, and versions."""

import grp
import os
import platform
import pwd
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from nbrun import __version__
from nbrun.core import model
from nbrun.system import process_origin, processes


def operator(pid: int) -> model.Operator:
    """Return this process's user, at the process `pid`, which is related to it."""
    return identify(pid, os.getuid())


def identify(pid: int, uid: int) -> model.Operator:
    """Return the user `uid` at the process `pid`, with that process's terminal, program and login.

    All of it comes from the system, not from environment variables.
    """
    return model.Operator(
        uid=uid,
        name=account(uid),
        via=processes.terminal_of(pid) or model.NO_TERMINAL,
        pid=pid,
        program=process_origin.program_of(pid),
        login_uid=process_origin.login_uid(pid),
        ancestor_uids=process_origin.ancestor_uids(pid, uid),
    )


def account(uid: int) -> str:
    """Return the name of a user's account, or the uid as text if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def account_name(name: str) -> str:
    """Return the name that `account` gives for the uid of the account `name`.

    Several accounts may have one uid. Return `name` if there is no such account.
    """
    try:
        return account(pwd.getpwnam(name).pw_uid)
    except (KeyError, ValueError, UnicodeEncodeError):
        return name


def uid_of(name: str) -> int | None:
    """Return the uid of the account `name`; None if there is no such account."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError, UnicodeEncodeError):
        return None


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
