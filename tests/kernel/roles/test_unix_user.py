"""Roles with `unix_user`: identity and environment, and errors in the words of sudo."""

import subprocess
from pathlib import Path

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.roles.roles import Role, RoleContext, take
from nbrun.system.sudo import Sudo
from tests.support.other_users import OtherUsers

HOSTILE = [
    "$(id)",
    "-u root",
    "#0",
    "root\nroot",
    "a'b\"c",
    "root\0",
    "%sudo",
    "ROOT",
    "\udcff",
]


@pytest.fixture
def user(other_users: OtherUsers) -> Sudo:
    return Sudo(other_users.user, other_users.python)


def role_context(python: str, cwd: str = "/") -> RoleContext:
    return RoleContext({"PATH": "/bin", "TMPDIR": "/x"}, python=python, cwd=cwd, here=Path("/"))


@pytest.mark.parametrize("name", HOSTILE)
def test_unknown_user_is_refused_without_calling_sudo(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(UsageError, match="the role dba: unix_user: there is no user"):
        take(Role("dba", unix_user=name), role_context("/usr/bin/python3"))


def test_role_has_the_environment_and_identity_of_the_user(user: Sudo) -> None:
    role = Role("dba", env={"PGHOST": "db1", "HOME": "/srv"}, unix_user=user.user)
    taken = take(role, role_context(user.python))
    assert taken.environment.variables("/folder") == {
        "PATH": "/bin",
        "USER": user.user,
        "LOGNAME": user.user,
        "HOME": "/srv",
        "SHELL": "/bin/sh",
        "PGHOST": "db1",
    }
    (who,) = taken.recorded().identities
    assert (who.kind, who.who) == ("unix", user.user)
    assert who.detail.startswith("uid ")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"python": "/no/such/python"}, "/no/such/python: command not found"),
        ({"python": "/bin/false"}, "it said nothing"),
        ({"cwd": "/root"}, "as {user}: /root: Permission denied"),
        ({"cwd": "/no/$(id)"}, "as {user}: /no/$(id): No such file or directory"),
    ],
)
def test_role_that_the_user_can_not_use_is_refused(
    user: Sudo, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        take(Role("dba", unix_user=user.user), role_context(**{"python": user.python} | fields))
    assert said.format(user=user.user) in str(caught.value)


def test_missing_sudo_is_an_error(user: Sudo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    with pytest.raises(UsageError, match="sudo is not installed"):
        take(Role("dba", unix_user=user.user), role_context(user.python))
