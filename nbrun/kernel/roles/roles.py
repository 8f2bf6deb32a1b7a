"""Roles: the identities and the environment that a run's kernels get instead of the operator's."""

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
from nbrun.core.redaction.secret_encodings import secret_fault
from nbrun.errors import UsageError
from nbrun.kernel.roles import aws, kubeconfig
from nbrun.kernel.roles.aws import AwsSettings
from nbrun.kernel.roles.environment import KernelEnvironment, RolePart, combine
from nbrun.kernel.roles.kubeconfig import KubeSettings
from nbrun.system import sudo
from nbrun.system.secret_command import read_secret
from nbrun.system.sudo import Sudo, SudoError

# The variables that a kernel and the programs that it starts need to work at all.
BASE_VARIABLES = frozenset(
    ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
) | {"PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "XDG_RUNTIME_DIR"}
# The variables above that name folders of the operator, which another user can't use.
_OPERATOR_FOLDERS = frozenset(("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TMPDIR", "XDG_RUNTIME_DIR"))
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Role:
    """One `[roles.NAME]` of nbrun.toml.

    `inherit` names variables to copy; `env` has variables and their values, `env_from_cmd`
    variables and the commands that print their values. `unix_user` is empty for the operator.
    """

    name: str
    inherit: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_from_cmd: Mapping[str, str] = field(default_factory=dict)
    unix_user: str = ""
    aws: AwsSettings | None = None
    kube: KubeSettings | None = None


@dataclass(frozen=True)
class RoleContext:
    """The run for which a role is taken, and the machine's environment.

    `environ` are the operator's variables. `python` must be runnable by the kernel's user, who must
    be able to enter `cwd`. Commands of the role run in the folder `here`.
    """

    environ: Mapping[str, str]
    python: str
    cwd: str
    here: Path
    run: str = ""
    operator: str = ""


@dataclass(frozen=True)
class TakenRole:
    """A role with the environment of its kernels. `sudo` is None if the operator runs them."""

    role: Role
    environment: KernelEnvironment
    sudo: Sudo | None = None

    @property
    def secrets(self) -> Mapping[str, str]:
        return self.environment.secrets

    @property
    def identities(self) -> tuple[Identity, ...]:
        return self.environment.identities

    def recorded(self) -> RoleTaken:
        """Return the role as the record has it: without secrets."""
        role = self.role
        return RoleTaken(
            name=role.name,
            inherit=role.inherit,
            env=dict(role.env),
            env_from_cmd=tuple(role.env_from_cmd),
            keys=dict(_keys(role)),
            identities=self.identities,
        )


class RunRole:
    """The role of a run: taken before the run begins, and again for each later kernel.

    `on_secrets` receives the secrets of each take, before anything else uses them. `taken` is the
    latest take, at the time `taken_at`.
    """

    def __init__(self, role: Role, context: RoleContext) -> None:
        """Take the role. Raises UsageError as `take` does."""
        self._role = role
        self._context = context
        self._is_unused = True
        self._lock = threading.Lock()
        self.on_secrets: Callable[[Mapping[str, str]], None] = lambda _secrets: None
        self.taken = take(role, context)
        self.taken_at = datetime.now(UTC)

    def take_again(self) -> TakenRole:
        """Take the role for the running kernel, from any thread.

        The kernel's variables can't change any more, so that no command is run.

        Raises:
            UsageError: the role can't be taken any more.
        """
        return self._take(dataclasses.replace(self._role, env_from_cmd={}))

    def for_next_kernel(self) -> TakenRole:
        """Take the role for a kernel that is about to start. The first one gets the first take.

        Raises:
            UsageError: the role can't be taken any more.
        """
        is_unused, self._is_unused = self._is_unused, False
        return self.taken if is_unused else self._take(self._role)

    def _take(self, role: Role) -> TakenRole:
        with self._lock:
            taken = dataclasses.replace(take(role, self._context), role=self._role)
            # First, so that no secret is printed or recorded before redaction knows it.
            self.on_secrets(taken.secrets)
            self.taken, self.taken_at = taken, datetime.now(UTC)
            return taken


def take(role: Role, context: RoleContext) -> TakenRole:
    """Become the role's identities, run its commands, and return what its kernels get.

    Raises:
        UsageError: a variable is missing, a command fails, or an identity is refused.
    """
    where = f"the role {role.name}"
    absent = [name for name in role.inherit if name not in context.environ]
    if absent:
        raise UsageError(f"{where}: the environment has no {absent[0]}, which it takes over")
    as_user = Sudo(role.unix_user, context.python) if role.unix_user else None
    parts = [_unix_part(where, as_user, context)] if as_user else []
    if role.aws:
        part = aws.role_part(where, role.aws, context.operator, context.run, context.environ)
        parts.append(part)
    if role.kube:
        # The other Unix user can't read the operator's token file.
        embed = bool(role.unix_user)
        part = kubeconfig.role_part(where, role.kube, context.environ, embed_token=embed)
        parts.append(part)
    parts += [RolePart(env=role.env), _from_commands(where, role.env_from_cmd, context.here)]
    return TakenRole(role, combine(_base(role, context.environ), parts), as_user)


_SECRETS_OF = {aws.CREDENTIALS_FILE: aws.secrets_of, kubeconfig.FILE: kubeconfig.secrets_of}
SECRET_FILES = tuple(_SECRETS_OF)


def secrets_in(files: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets in SECRET_FILES of a kernel's runtime directory, given as texts by name.

    A kernel that outlived its supervisor knows secrets of before, which are nowhere else. A file
    that can't be parsed was written by a cell: it has no secret of the role.
    """
    found: dict[str, str] = {}
    for name, secrets_of in _SECRETS_OF.items():
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
            found |= secrets_of(files[name]) if name in files else {}
    return found


def _base(role: Role, environ: Mapping[str, str]) -> dict[str, str]:
    base = BASE_VARIABLES - _OPERATOR_FOLDERS if role.unix_user else BASE_VARIABLES
    return {
        name: value
        for name, value in environ.items()
        if name in base or name.startswith("LC_") or name in role.inherit
    }


def _unix_part(where: str, as_user: Sudo, context: RoleContext) -> RolePart:
    """Run something as the other user, which shows that it is possible, and return who that is."""
    if not sudo.user_exists(as_user.user):
        raise UsageError(f"{where}: unix_user: there is no user {as_user.user!r}")
    try:
        account = as_user.ask("identify", cwd=context.cwd)
    except SudoError as error:
        raise UsageError(
            f"{where}: unix_user: {error}. sudo has to let {_this_user()} start "
            f"{as_user.python} as {as_user.user} without a password, and {as_user.user} has to be "
            f"able to run that and to enter {context.cwd}"
        ) from error
    groups = ", ".join(account["groups"])
    identity = Identity(
        kind="unix", who=account["user"], detail=f"uid {account['uid']}, groups {groups}, by sudo"
    )
    names = {"USER": "user", "LOGNAME": "user", "HOME": "home", "SHELL": "shell"}
    return RolePart(env={name: account[key] for name, key in names.items()}, identity=identity)


def _this_user() -> str:
    return os.environ.get("USER") or str(os.getuid())


def _from_commands(where: str, commands: Mapping[str, str], here: Path) -> RolePart:
    values = {name: _command_value(where, name, line, here) for name, line in commands.items()}
    return RolePart(env=values, secrets=values)


def _command_value(where: str, name: str, command: str, here: Path) -> str:
    try:
        value = read_secret(command, here)
    except UsageError as error:
        raise UsageError(f"{where}, {name}: {error}") from None
    fault = secret_fault(value)
    if fault is not None:
        raise UsageError(f"{where}, {name}: {fault}, or set a value that is not secret in env")
    if "\0" in value:
        raise UsageError(f"{where}, {name}: the value holds a NUL character: remove it")
    return value


def _keys(role: Role) -> Iterator[tuple[str, Any]]:
    """Yield the keys of nbrun.toml besides the variables, with their values."""
    if role.unix_user:
        yield "unix_user", role.unix_user
    for prefix, settings in (("aws", role.aws), ("kube", role.kube)):
        values = dataclasses.asdict(settings) if settings else {}
        yield from ((f"{prefix}_{key}", value) for key, value in values.items() if value)
