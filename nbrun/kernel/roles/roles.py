"""Roles: as whom a run's kernels act, and which environment they get, instead of all that the
operator's shell has."""

import dataclasses
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbrun.core.model import Identity, RoleTaken
from nbrun.core.secret_encodings import secret_fault
from nbrun.errors import UsageError
from nbrun.kernel.roles import aws, kubeconfig
from nbrun.kernel.roles.aws import Aws
from nbrun.kernel.roles.environment import Furnishing, Part, together
from nbrun.kernel.roles.kubeconfig import Kube
from nbrun.system import sudo
from nbrun.system.secret_command import printed
from nbrun.system.sudo import Sudo, SudoError

# What a kernel and the programs that it starts need to work at all, and no more.
BASE = frozenset(
    ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
) | {"PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "XDG_RUNTIME_DIR"}
# Folders of the operator's own, which are of no use to another user.
_OWN = frozenset(("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TMPDIR", "XDG_RUNTIME_DIR"))
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Role:
    """One `[roles.NAME]` of nbrun.toml: the variables that are taken over as they are, those that
    are set, and those that commands print; the Unix user that the kernel runs as, empty for the
    operator; and who it is for AWS and for Kubernetes."""

    name: str
    inherit: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_from_cmd: Mapping[str, str] = field(default_factory=dict)
    unix_user: str = ""
    aws: Aws | None = None
    kube: Kube | None = None


@dataclass(frozen=True)
class Ground:
    """What a role is taken on: the variables of `environ`, for kernels in the folder `cwd` and for
    the run `run` of `operator`. `python` is one that the kernel's user has to be able to run;
    commands run in the folder `here`."""

    environ: Mapping[str, str]
    python: str
    cwd: str
    here: Path
    run: str = ""
    operator: str = ""


@dataclass(frozen=True)
class Taken:
    """A role that was taken: what its kernels get, and how their user is reached if it is not the
    operator."""

    role: Role
    furnishing: Furnishing
    sudo: Sudo | None = None

    @property
    def secrets(self) -> Mapping[str, str]:
        return self.furnishing.secrets

    @property
    def identities(self) -> tuple[Identity, ...]:
        return self.furnishing.identities

    def told(self) -> RoleTaken:
        """What the record says of it."""
        role = self.role
        return RoleTaken(
            name=role.name,
            inherit=role.inherit,
            env=dict(role.env),
            env_from_cmd=tuple(role.env_from_cmd),
            keys=dict(_keys(role)),
            identities=self.identities,
        )


class Held:
    """A role that a run holds: taken before it begins, and again for each later kernel. `learn`
    gets the secrets of each before anything else does."""

    def __init__(self, role: Role, ground: Ground) -> None:
        """Raises UsageError: the role can't be taken."""
        self._role = role
        self._ground = ground
        self._is_fresh = True
        self._lock = threading.Lock()
        self.learn: Callable[[Mapping[str, str]], None] = lambda _secrets: None
        self.taken = take(role, ground)
        self.taken_at = datetime.now(UTC)

    def renewed(self) -> Taken:
        """For a kernel at work, whose variables stay what they are: no command is run. May be
        called from any thread.

        Raises:
            UsageError: it can't be taken any more.
        """
        return self._again(dataclasses.replace(self._role, env_from_cmd={}))

    def _again(self, role: Role) -> Taken:
        with self._lock:
            taken = dataclasses.replace(take(role, self._ground), role=self._role)
            self.learn(taken.secrets)
            self.taken, self.taken_at = taken, datetime.now(UTC)
            return taken

    def for_kernel(self) -> Taken:
        """For one that is about to start: the first has what was taken before the run began.

        Raises:
            UsageError: it can't be taken any more.
        """
        fresh, self._is_fresh = self._is_fresh, False
        return self.taken if fresh else self._again(self._role)


def take(role: Role, ground: Ground) -> Taken:
    """Take `role`.

    Raises:
        UsageError: a variable is not there, a command gives none, or who it says can't be become.
    """
    where = f"the role {role.name}"
    absent = [name for name in role.inherit if name not in ground.environ]
    if absent:
        raise UsageError(f"{where}: the environment has no {absent[0]}, which it takes over")
    reached = Sudo(role.unix_user, ground.python) if role.unix_user else None
    parts = [_as_user(where, reached, ground)] if reached else []
    if role.aws:
        parts.append(aws.part(where, role.aws, ground.operator, ground.run, ground.environ))
    if role.kube:
        embed = bool(role.unix_user)
        parts.append(kubeconfig.part(where, role.kube, ground.environ, embed_token=embed))
    parts += [Part(env=role.env), _from_commands(where, role.env_from_cmd, ground.here)]
    return Taken(role, together(_base(role, ground.environ), parts), reached)


_SECRETS_OF = {aws.PRINTED: aws.secrets_of, kubeconfig.FILE: kubeconfig.secrets_of}
FILES = tuple(_SECRETS_OF)


def secrets_in(files: Mapping[str, str]) -> dict[str, str]:
    """What is secret in those of FILES that a kernel's folder has: those of before a crash are
    known to the kernel that outlived it, and to nobody else. One that makes no sense, a cell has
    written: it holds nothing of the role's."""
    found: dict[str, str] = {}
    for name, secrets_of in _SECRETS_OF.items():
        with suppress(ValueError, KeyError, TypeError, AttributeError, UsageError):
            found |= secrets_of(files[name]) if name in files else {}
    return found


def _base(role: Role, environ: Mapping[str, str]) -> dict[str, str]:
    base = BASE - _OWN if role.unix_user else BASE
    return {
        name: value
        for name, value in environ.items()
        if name in base or name.startswith("LC_") or name in role.inherit
    }


def _as_user(where: str, reached: Sudo, ground: Ground) -> Part:
    """Be that user once, to know that it can be done."""
    if not sudo.has_user(reached.user):
        raise UsageError(f"{where}: unix_user: there is no user {reached.user!r}")
    try:
        found = reached.ask("identify", cwd=ground.cwd)
    except SudoError as error:
        raise UsageError(
            f"{where}: unix_user: {error}. sudo has to let {_this_user()} start "
            f"{reached.python} as {reached.user} without a password, and {reached.user} has to be "
            f"able to run that and to enter {ground.cwd}"
        ) from error
    groups = ", ".join(found["groups"])
    who = Identity(
        kind="unix", who=found["user"], detail=f"uid {found['uid']}, groups {groups}, by sudo"
    )
    names = {"USER": "user", "LOGNAME": "user", "HOME": "home", "SHELL": "shell"}
    return Part(env={name: found[key] for name, key in names.items()}, identity=who)


def _this_user() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _from_commands(where: str, commands: Mapping[str, str], here: Path) -> Part:
    found = {name: _fetched(where, name, line, here) for name, line in commands.items()}
    return Part(env=found, secrets=found)


def _fetched(where: str, name: str, command: str, here: Path) -> str:
    try:
        value = printed(command, here)
    except UsageError as error:
        raise UsageError(f"{where}, {name}: {error}") from None
    fault = secret_fault(value)
    if fault is not None:
        raise UsageError(f"{where}, {name}: {fault}, or set a value that is not secret in env")
    if "\0" in value:
        raise UsageError(f"{where}, {name}: the value holds a NUL character: remove it")
    return value


def _keys(role: Role) -> Iterator[tuple[str, Any]]:
    if role.unix_user:
        yield "unix_user", role.unix_user
    for prefix, said in (("aws", role.aws), ("kube", role.kube)):
        told = dataclasses.asdict(said) if said else {}
        yield from ((f"{prefix}_{key}", value) for key, value in told.items() if value)
