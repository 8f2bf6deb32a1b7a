"""Secrets that are given again to a run that goes on, held against what its record has of them."""

from typing import Any

import pytest

from nbrun.cli.commands.gather_parameters import given_again
from nbrun.core.redaction import Redaction
from nbrun.core.reducer import fold
from nbrun.core.state import RunState
from nbrun.errors import ParameterError
from nbrun.runbook.parameters.resolve import as_text
from nbrun.supervisor.secret_reentry import declared, refuse_others, spellings, values
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
    given = {name: as_text(text, "@env", secret=True) for name, text in texts.items()}
    return values(state, given)


def test_a_secret_is_of_the_type_that_the_record_declares() -> None:
    assert again(PLAIN, token="hunter2-hunter2", pin="12345678") == {
        "token": "hunter2-hunter2",
        "pin": 12345678,
    }
    assert list(declared(PLAIN)) == ["other", "pin", "token"]
    assert declared(run("", metadata={}))["pin"].secret


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"pin": "hunter2"}, "expected an int"),
        ({"token": "short"}, "less than 6 characters"),
        ({"token": 'a "quoted" one'}, "is another value than the run began with"),
        ({"token": "with a \\ in it"}, "is another value than the run began with"),
    ],
)
def test_what_can_not_be_the_secret_of_before_is_refused_and_not_shown(
    texts: dict[str, str], said: str
) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        again(PLAIN, **texts)
    assert str(caught.value).startswith(f"parameter {next(iter(texts))!r}")
    assert all(text not in str(caught.value) for text in texts.values())


@pytest.mark.parametrize(
    "secret", ["plain-enough", 'a "quoted" one', "both ' and \"", "é☃ $(id) {x}"]
)
def test_what_is_sent_again_is_what_was_sent_before(secret: str) -> None:
    """The recorded cell, with the secret put back into it, is the cell that was run."""
    literal = spellings(PLAIN, {"token": secret})["token"]
    sent = f"# Parameters\ntoken = {literal}"
    recorded = Redaction({"token": secret}, {"token": literal}).redact_text(sent)
    state = run(recorded)
    found = again(state, token=secret)
    assert Redaction(found, spellings(state, found)).restore(recorded) == sent


def test_two_secrets_of_one_value_are_given_again_together() -> None:
    state = run('other = "[secret:other]"\ntoken = "[secret:other]"')
    assert again(state, token="hunter2-hunter2", other="hunter2-hunter2")


def test_what_the_record_has_can_not_be_given_again() -> None:
    with pytest.raises(ParameterError, match="secrets of this run: other, pin, token"):
        refuse_others(PLAIN, {"db": as_text("x", "-p")})
    with pytest.raises(ParameterError, match="secrets of this run: none"):
        refuse_others(run("", secrets=()), {"db": as_text("x", "-p")})


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("token=in-plain-view", "the command line shows it to everybody"),
        ("token=@env:NO_SUCH_VARIABLE", "there is no such environment variable"),
        ("token", "expected name=value"),
    ],
)
def test_they_come_from_where_secrets_come_from(assignment: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        given_again((assignment,), declared(PLAIN), ask_for=False)
