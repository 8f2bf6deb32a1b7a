"""Values from the command line and the environment, and secrets from their sources."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.sources import (
    fetch,
    from_environment,
    parse_assignments,
    refuse_secret_in_argv,
    unmatched_variables,
)
from nbrun.runbook.parameters.types import RawValue, raw_text


def fetched(text: str, ask: Any = None, **environ: str) -> RawValue:
    return fetch("token", raw_text(text, "-p"), ask, environ)


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(ParameterError, match=r"^parameter 'token' \(-p\): ") as caught:
        fetched(text, **environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_assignment_split_at_first_equals_sign() -> None:
    found = parse_assignments(["a=b=c", "d="])
    assert {name: given.text for name, given in found.items()} == {"a": "b=c", "d": ""}


@pytest.mark.parametrize(
    ("given", "message"), [(["a"], "name=value"), (["=a"], "name=value"), (["a=1", "a=1"], "twice")]
)
def test_malformed_assignment_refused(given: list[str], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        parse_assignments(given)


def test_environment_variable_matches_name_or_its_capitals() -> None:
    environ = {"NBRUN_PARAM_DAYS": "7", "NBRUN_PARAM_host": "db1", "DAYS": "9"}
    found = from_environment(environ, ["days", "host", "other"])
    assert {name: (each.text, each.origin) for name, each in found.items()} == {
        "days": ("7", "NBRUN_PARAM_DAYS"),
        "host": ("db1", "NBRUN_PARAM_host"),
    }


@pytest.mark.parametrize("names", [["db", "Db"], ["DB", "db"]])
def test_ambiguous_capitals_refused(names: list[str]) -> None:
    with pytest.raises(ParameterError, match="more than one parameter"):
        from_environment({"NBRUN_PARAM_DB": "x"}, names)


def test_unmatched_variable_reported() -> None:
    environ = {"NBRUN_PARAM_DAYZ": "1", "NBRUN_PARAM_DAYS": "1", "NBRUN_RUNS_DIR": "/x"}
    assert unmatched_variables(environ, ["days"]) == ["NBRUN_PARAM_DAYZ"]


@pytest.mark.parametrize(("text", "value"), [("plain", "plain"), ("@@home", "@home"), ("", "")])
def test_text_without_source_is_unchanged(text: str, value: str) -> None:
    assert fetched(text) == raw_text(value, "-p")


def test_secret_fetched_from_named_source(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines\n")
    command = f"{sys.executable} -c \"print('from a command')\""
    assert fetched("@env:TOKEN", TOKEN="of the env") == raw_text("of the env", "@env", secret=True)
    assert fetched(f"@file:{tmp_path}/token").text == "two\nlines"
    assert fetched(f"@cmd:{command}").text == "from a command"
    assert fetched("@prompt", lambda name: f"typed for {name}").text == "typed for token"


def test_command_is_not_run_by_a_shell(tmp_path: Path) -> None:
    assert fetched("@cmd:echo $(id) `id` ;id").text == "$(id) `id` ;id"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@env:NOWHERE", "no such environment variable"),
        ("@file:/no/such/file", "No such file"),
        ("@prompt", "no terminal to ask on"),
        ("@cmd:false", "exit code 1"),
        ("@cmd:true", "printed nothing"),
        ("@cmd:/no/such/command", "can't be run"),
        ("@cmd:", "can't be run"),
        ("@cmd:'open", "can't be run"),
        ("@keyring:alone", "expected @keyring:SERVICE/NAME"),
        ("@vault:x", "not a source of secrets"),
        ("@alice", "write @@"),
    ],
)
def test_source_without_secret_refused(text: str, message: str) -> None:
    assert message in refusal(text)


def test_secret_that_is_not_utf8_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"abc\xff")
    said = refusal(f"@file:{tmp_path}/token")
    assert "not UTF-8" in said
    assert "abc" not in said


def test_keyring_entry_named_by_service_and_name() -> None:
    import keyring
    from keyring.backend import KeyringBackend

    class Kept(KeyringBackend):
        priority = 1.0

        def get_password(self, service: str, username: str) -> str | None:
            return {("a/b", "ada"): "of the keyring"}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Kept())
    try:
        assert fetched("@keyring:a/b/ada").text == "of the keyring"
        assert "no such entry" in refusal("@keyring:a/b/bob")
    finally:
        keyring.set_keyring(before)


def test_secret_on_command_line_refused_and_not_shown() -> None:
    with pytest.raises(ParameterError) as caught:
        refuse_secret_in_argv("token", raw_text("hunter2", "-p"))
    assert "hunter2" not in str(caught.value)
    refuse_secret_in_argv("token", raw_text("hunter2", "@env", secret=True))
    refuse_secret_in_argv("token", raw_text("hunter2", "v.yaml:1"))
