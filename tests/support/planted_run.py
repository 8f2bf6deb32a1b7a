"""A run folder that nobody's nbrun began: another user planted it, or it came with a clone."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbrun.core import events as ev
from nbrun.core.events import Event, KernelProcess, RemoteKernel
from nbrun.core.model import Policy
from nbrun.journal.run_directory import RunDirectory
from nbrun.journal.writer import Journal
from tests.support.build_events import kernel_started, run_started, step

RUN = "20261123-093000-restore-ab12"


def plant(
    parent: Path,
    *events: Event,
    run: str = RUN,
    process: KernelProcess | None = None,
    remote: RemoteKernel | None = None,
    **fields: Any,
) -> RunDirectory:
    """Write the record of an interrupted run of one step into `parent`.

    `fields` are of its `run.started`; the kernel that it claims is `process`
    or `remote`. `events` follow.
    """
    directory = RunDirectory(parent / run)
    directory.path.mkdir(mode=0o700)
    journal = Journal.create(directory.journal)
    plan = run_started([step(1, source="1")], run=run, **fields)
    journal.append([plan, kernel_started(process=process, remote=remote), *events], sync=False)
    journal.close()
    return directory


def plan_of(**policy: Any) -> dict[str, Any]:
    """Return the fields of a `run.started` with this policy."""
    return {"policy": Policy(**policy)}


def interrupted() -> ev.RunInterrupted:
    return ev.RunInterrupted(why="the process that ran it is gone", cut=0, kept_in="")


def give(path: Path, user: str) -> None:
    """Give a folder, and all that is in it, to another user."""
    for each in (path, *path.rglob("*")):
        if each.is_symlink():
            os.lchown(each, *_ids(user))
        else:
            shutil.chown(each, user, user)


def _ids(user: str) -> tuple[int, int]:
    import pwd

    account = pwd.getpwnam(user)
    return account.pw_uid, account.pw_gid


def names(folder: Path) -> Iterable[str]:
    return sorted(each.name for each in folder.iterdir())
