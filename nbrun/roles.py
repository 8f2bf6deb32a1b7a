"""Roles: which environment a run's kernels get, instead of all that the operator's shell has."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nbrun.command_output import printed
from nbrun.errors import UsageError
from nbrun.secret_forms import SHORTEST
from nbrun.terms import RoleTaken

# What a kernel and the programs that it starts need to work at all, and no more.
BASE = frozenset(
    ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
) | {"PYTHONPATH", "VIRTUAL_ENV", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "XDG_RUNTIME_DIR"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Role:
    """One `[roles.NAME]` of nbrun.toml: the variables that are taken over as they are, those that
    are set, and those that commands print."""

    name: str
    inherit: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_from_cmd: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """A role that was taken. `secrets` are those of its variables that nobody may see, by name."""

    role: Role
    environment: Mapping[str, str]
    secrets: Mapping[str, str]

    def told(self) -> RoleTaken:
        """What the record says of it."""
        role = self.role
        return RoleTaken(
            name=role.name,
            inherit=role.inherit,
            env=dict(role.env),
            env_from_cmd=tuple(role.env_from_cmd),
        )


def take(role: Role, environ: Mapping[str, str]) -> Taken:
    """Take `role`, with the variables of `environ` that it lets through.

    Raises:
        UsageError: a variable is not there, or a command gives none.
    """
    where = f"the role {role.name}"
    absent = [name for name in role.inherit if name not in environ]
    if absent:
        raise UsageError(f"{where}: the environment has no {absent[0]}, which it takes over")
    secrets = {name: _fetched(where, name, line) for name, line in role.env_from_cmd.items()}
    kept = {
        name: value
        for name, value in environ.items()
        if name in BASE or name.startswith("LC_") or name in role.inherit
    }
    return Taken(role, {**kept, **role.env, **secrets}, secrets)


def _fetched(where: str, name: str, command: str) -> str:
    try:
        value = printed(command)
    except UsageError as error:
        raise UsageError(f"{where}, {name}: {error}") from None
    if len(value.strip()) < SHORTEST or "\0" in value:
        raise UsageError(
            f"{where}, {name}: a secret of less than {SHORTEST} characters can't be kept out of "
            "the record; put what is none into env"
        )
    return value
