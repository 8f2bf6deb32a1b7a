"""Requests to another Unix user through sudo."""

import os
from pathlib import Path

import pytest

from nbrun.system import sudo
from nbrun.system.sudo import Sudo, SudoError
from tests.support.other_users import OtherUsers


@pytest.fixture
def user(other_users: OtherUsers) -> Sudo:
    return Sudo(other_users.user, other_users.python)


def test_sudo_that_does_not_answer_times_out(
    user: Sudo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "sudo"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sudo, "TIMEOUT", 0.1)
    with pytest.raises(SudoError, match="did not answer within"):
        user.ask("identify", cwd="/")


def test_command_is_always_the_same(user: Sudo) -> None:
    """A sudoers rule names it."""
    assert user.command()[1:] == [
        *("-n", "-u", user.user, "--", user.python, "-I", "-c"),
        "import sys; exec(sys.stdin.readline())",
    ]
