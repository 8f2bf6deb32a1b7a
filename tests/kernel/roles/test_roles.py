"""A role is the whole environment of a kernel, or an error."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.roles.roles import Role, RoleContext, RunRole, take

ENVIRON = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "AWS_PROFILE": "prod",
    "SSH_AUTH_SOCK": "/s",
    "NBRUN_X": "1",
}
CONTEXT = RoleContext(ENVIRON, python="/usr/bin/python3", cwd="/", here=Path("/"))


def test_kernel_gets_only_listed_and_base_variables() -> None:
    role = Role(
        "dba", ("SSH_AUTH_SOCK",), {"PGHOST": "db1"}, {"PGPASSWORD": "echo hunter2-hunter2"}
    )
    taken = take(role, CONTEXT)
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
def test_role_with_a_missing_part_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        take(Role("dba", **fields), CONTEXT)
    assert said in str(caught.value)
    assert "abc" not in str(caught.value)


def test_role_is_taken_again_for_each_later_kernel(tmp_path: Path) -> None:
    counter = tmp_path / "count.sh"
    counter.write_text("#!/bin/sh\necho x >>count\nwc -l <count | sed 's/ *$/-secret/'\n")
    counter.chmod(0o755)
    role = Role("dba", env_from_cmd={"TOKEN": str(counter)})
    learned: list[Any] = []
    run_role = RunRole(role, RoleContext({}, python="", cwd="/", here=tmp_path))
    run_role.on_secrets = learned.append
    assert run_role.for_next_kernel().secrets == {"TOKEN": "1-secret"}
    assert learned == []
    assert run_role.for_next_kernel().secrets == {"TOKEN": "2-secret"}
    assert learned == [{"TOKEN": "2-secret"}]
    assert run_role.take_again().recorded().env_from_cmd == ("TOKEN",)  # the running kernel has it
    assert run_role.for_next_kernel().secrets == {"TOKEN": "3-secret"}
    counter.unlink()
    with pytest.raises(UsageError, match="the role dba, TOKEN"):
        run_role.for_next_kernel()
