"""Where values are taken from, and that a secret is fetched, never shown, and never guessed."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.sources import (
    fetch,
    from_environment,
    parse_assignments,
    refuse_in_plain_view,
    unheard,
)
from nbrun.runbook.parameters.types import Given, as_text


def fetched(text: str, ask: Any = None, **environ: str) -> Given:
    return fetch("token", as_text(text, "-p"), ask, environ)


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(ParameterError, match=r"^parameter 'token' \(-p\): ") as caught:
        fetched(text, **environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_first_equals_sign_divides() -> None:
    found = parse_assignments(["a=b=c", "d="])
    assert {name: given.text for name, given in found.items()} == {"a": "b=c", "d": ""}


@pytest.mark.parametrize(
    ("given", "said"), [(["a"], "name=value"), (["=a"], "name=value"), (["a=1", "a=1"], "twice")]
)
def test_an_assignment_of_another_form_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        parse_assignments(given)


def test_the_environment_names_a_parameter_as_it_is_or_in_capitals() -> None:
    environ = {"NBRUN_PARAM_DAYS": "7", "NBRUN_PARAM_host": "db1", "DAYS": "9"}
    found = from_environment(environ, ["days", "host", "other"])
    assert {name: (each.text, each.where) for name, each in found.items()} == {
        "days": ("7", "NBRUN_PARAM_DAYS"),
        "host": ("db1", "NBRUN_PARAM_host"),
    }


@pytest.mark.parametrize("names", [["db", "Db"], ["DB", "db"]])
def test_capitals_that_could_mean_two_parameters_are_refused(names: list[str]) -> None:
    with pytest.raises(ParameterError, match="more than one parameter"):
        from_environment({"NBRUN_PARAM_DB": "x"}, names)


def test_a_variable_that_names_no_parameter_is_told() -> None:
    environ = {"NBRUN_PARAM_DAYZ": "1", "NBRUN_PARAM_DAYS": "1", "NBRUN_RUNS_DIR": "/x"}
    assert unheard(environ, ["days"]) == ["NBRUN_PARAM_DAYZ"]


@pytest.mark.parametrize(("text", "value"), [("plain", "plain"), ("@@home", "@home"), ("", "")])
def test_what_refers_to_nothing_is_taken_as_it_is(text: str, value: str) -> None:
    assert fetched(text) == as_text(value, "-p")


def test_a_secret_comes_from_where_it_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("two\nlines\n")
    command = f"{sys.executable} -c \"print('from a command')\""
    assert fetched("@env:TOKEN", TOKEN="of the env") == as_text("of the env", "@env", secret=True)
    assert fetched(f"@file:{tmp_path}/token").text == "two\nlines"
    assert fetched(f"@cmd:{command}").text == "from a command"
    assert fetched("@prompt", lambda name: f"typed for {name}").text == "typed for token"


def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    assert fetched("@cmd:echo $(id) `id` ;id").text == "$(id) `id` ;id"


@pytest.mark.parametrize(
    ("text", "said"),
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
        ("@vault:x", "no source of secrets"),
        ("@alice", "write @@"),
    ],
)
def test_a_source_that_gives_nothing_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)


def test_bytes_that_are_no_text_are_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"abc\xff")
    said = refusal(f"@file:{tmp_path}/token")
    assert "not UTF-8" in said
    assert "abc" not in said


def test_the_keyring_is_asked_by_service_and_name() -> None:
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


def test_a_secret_on_the_command_line_is_refused_and_not_repeated() -> None:
    with pytest.raises(ParameterError) as caught:
        refuse_in_plain_view("token", as_text("hunter2", "-p"))
    assert "hunter2" not in str(caught.value)
    refuse_in_plain_view("token", as_text("hunter2", "@env", secret=True))
    refuse_in_plain_view("token", as_text("hunter2", "v.yaml:1"))
