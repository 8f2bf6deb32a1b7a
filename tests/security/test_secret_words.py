"""Secrets that are words which nbrun writes itself: they change nothing of how a run goes."""

import pytest

from nbrun.core.redaction.redactor import Redaction
from tests.support.build_events import BUILDERS
from tests.support.build_notebooks import PYTHON, code
from tests.support.terminal import Desk

WORDS = ["secret", "redacted", "reversed", "base64", "pythons", "completed", "continue", "operator"]
SCHEMA = {"properties": {"token": {"type": "string", "writeOnly": True}}}


@pytest.mark.parametrize("word", WORDS)
def test_any_event_redacted_twice_is_redacted_once(word: str) -> None:
    """A part of the record that is recorded again, such as a source, is compared with the first."""
    redaction = Redaction({"token": word, word: "hunter2-hunter2"})
    for build in BUILDERS:
        once = redaction.redact(build())
        assert redaction.redact(once) == once


@pytest.mark.sweep
@pytest.mark.parametrize("word", ["secret", "printed"])
def test_run_with_a_secret_that_is_a_word_stays_on_script(
    desk: Desk,
    word: str,
) -> None:
    desk.book(
        code("token = ''", tags=["parameters"]),
        code("# the secret is printed\nassert token == 'secret' or token == 'printed'", id="use"),
        metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}},
    )
    desk.variables["TOKEN"] = word
    terminal = desk.start("-p", "token=@env:TOKEN")
    assert terminal.wait() == 0
    assert "off script" not in terminal.text()
