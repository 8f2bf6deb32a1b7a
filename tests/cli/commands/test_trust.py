"""`nbrun trust` lists, adds and removes files of settings."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nbrun.cli.commands.operate import trust as command
from nbrun.config import trust
from nbrun.errors import UsageError

TEXT = "[journal]\nforward = ['true']\n[roles.dba]\nunix_user = 'postgres'\n"


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return lambda: capsys.readouterr().out


def test_trusted_file_is_listed_until_it_is_removed(
    tmp_path: Path, said: Callable[[], str]
) -> None:
    path = tmp_path / "nbrun.toml"
    path.write_text(TEXT)
    assert command.trust_file(tmp_path) == 0
    assert "takes effect: [journal] forward, [roles.dba]" in said()
    command.show()
    assert said() == f"trusted  {path}\n"
    path.write_text("")
    command.show()
    assert said() == f"changed  {path}\n"
    path.unlink()
    command.show()
    assert said() == f"gone     {path}\n"
    command.remove(path)
    assert said() == f"not trusted any more: {path}\n"
    with pytest.raises(UsageError, match="is not trusted: see nbrun trust --list"):
        command.remove(path)


def test_harmless_file_needs_no_trust(tmp_path: Path, said: Callable[[], str]) -> None:
    (tmp_path / "nbrun.toml").write_text("runs_dir = 'runs'")
    command.trust_file(tmp_path / "nbrun.toml")
    assert "it sets nothing that has to be trusted" in said()


@pytest.mark.parametrize("text", [None, "nonsense", "roles = 1", "x" * 2_000_000])
def test_file_that_is_none_is_not_trusted(
    tmp_path: Path, said: Callable[[], str], text: str | None
) -> None:
    path = tmp_path / "nbrun.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=r"nbrun\.toml: "):
        command.trust_file(path)
    assert trust.trusted_files() == {}
