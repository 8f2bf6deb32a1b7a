"""A role is the whole environment of a kernel, or it is refused."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.roles.roles import Role, RoleContext, take

HERE = {"PATH": "/bin", "LC_ALL": "C", "AWS_PROFILE": "prod", "SSH_AUTH_SOCK": "/s", "NBRUN_X": "1"}
GROUND = RoleContext(HERE, python="/usr/bin/python3", cwd="/", here=Path("/"))


def test_a_kernel_gets_what_the_role_lists_and_what_it_needs_to_work() -> None:
    role = Role(
        "dba", ("SSH_AUTH_SOCK",), {"PGHOST": "db1"}, {"PGPASSWORD": "echo hunter2-hunter2"}
    )
    taken = take(role, GROUND)
    assert taken.environment.variables("/folder") == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "SSH_AUTH_SOCK": "/s",
        "PGHOST": "db1",
        "PGPASSWORD": "hunter2-hunter2",
    }
    assert taken.secrets == {"PGPASSWORD": "hunter2-hunter2"}
    assert "hunter2" not in repr(taken.recorded())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"inherit": ("NOWHERE",)}, "the environment has no NOWHERE"),
        ({"env_from_cmd": {"X": "false"}}, "the role dba, X: false: ended with exit code 1"),
        ({"env_from_cmd": {"X": "true"}}, "printed nothing"),
        ({"env_from_cmd": {"X": "/no/such"}}, "can't be run"),
        ({"env_from_cmd": {"X": "echo abc"}}, "less than 6 characters"),
    ],
)
def test_a_role_that_can_not_be_taken_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        take(Role("dba", **fields), GROUND)
    assert said in str(caught.value)
    assert "abc" not in str(caught.value)
