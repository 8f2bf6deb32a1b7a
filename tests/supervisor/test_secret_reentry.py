"""Secrets that are entered again for an interrupted run, checked against its record."""

from typing import Any

import pytest

from nbrun.cli.commands.gather_parameters import gather_secrets
from nbrun.cli.commands.prompts import Prompts
from nbrun.core.redaction.redactor import Redaction
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ParameterError
from nbrun.runbook.parameters.types import raw_text
from nbrun.supervisor.secret_reentry import (
    refuse_non_secrets,
    secret_parameters,
    source_literals,
    values,
)
from tests.support.build_events import kernel_started, run_started, step

PIN = {"properties": {"pin": {"type": "integer", "writeOnly": True}}}


def run(injected: str, **fields: Any) -> RunState:
    plan = [
        step(1, ["parameters"], source="token = ''; other = ''"),
        step(2, ["injected-parameters"], source=injected),
        step(3),
    ]
    told: dict[str, Any] = {"secrets": ("other", "pin", "token")}
    told["metadata"] = {"nbrun": {"parameters": PIN}}
    return fold([run_started(plan, **told | fields), kernel_started()])


PLAIN = run('token = "[secret:token]"\nother = "[secret:other]"\npin = [secret:pin]')


def again(state: RunState, **texts: str) -> dict[str, Any]:
    given = {name: raw_text(text, "@env", secret=True) for name, text in texts.items()}
    return values(state, given)


def test_secret_has_the_type_that_the_record_declares() -> None:
    assert again(PLAIN, token="hunter2-hunter2", pin="12345678") == {
        "token": "hunter2-hunter2",
        "pin": 12345678,
    }
    assert list(secret_parameters(PLAIN)) == ["other", "pin", "token"]
    assert secret_parameters(run("", metadata={}))["pin"].secret


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"pin": "hunter2"}, "expected an int"),
        ({"token": "short"}, "less than 6 characters"),
        ({"token": 'a "quoted" one'}, "is not the value that the run began with"),
        ({"token": "with a \\ in it"}, "is not the value that the run began with"),
    ],
)
def test_visibly_different_secret_refused_and_not_shown(
    texts: dict[str, str], message: str
) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        again(PLAIN, **texts)
    assert str(caught.value).startswith(f"parameter {next(iter(texts))!r}")
    assert all(text not in str(caught.value) for text in texts.values())


@pytest.mark.parametrize(
    "secret", ["plain-enough", 'a "quoted" one', "both ' and \"", "é☃ $(id) {x}"]
)
def test_recorded_cell_with_secret_is_the_cell_that_ran(secret: str) -> None:
    literal = source_literals(PLAIN, {"token": secret})["token"]
    sent = f"# Parameters\ntoken = {literal}"
    recorded = Redaction({"token": secret}, {"token": literal}).redact_text(sent)
    state = run(recorded)
    found = again(state, token=secret)
    assert Redaction(found, source_literals(state, found)).restore(recorded) == sent


def test_two_secrets_with_the_same_value_accepted() -> None:
    state = run('other = "[secret:other]"\ntoken = "[secret:other]"')
    assert again(state, token="hunter2-hunter2", other="hunter2-hunter2")


def test_parameter_that_was_not_secret_refused() -> None:
    with pytest.raises(ParameterError, match="secrets of this run: other, pin, token"):
        refuse_non_secrets(PLAIN, {"db": raw_text("x", "-p")})
    with pytest.raises(ParameterError, match="secrets of this run: none"):
        refuse_non_secrets(run("", secrets=()), {"db": raw_text("x", "-p")})


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("token=in-plain-view", "every user can read the command line"),
        ("token=@env:NO_SUCH_VARIABLE", "no such environment variable"),
        ("token", "expected name=value"),
    ],
)
def test_secrets_gathered_from_sources_only(assignment: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        gather_secrets((assignment,), secret_parameters(PLAIN), Prompts(), ask=False)
