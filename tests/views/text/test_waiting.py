"""Test the phrases for a run that waits."""

from typing import get_args

from nbrun.core.events import StopReason
from nbrun.views.text import waiting


def test_every_stop_has_a_phrase_for_its_reason() -> None:
    assert {*waiting._REASONS} | {"step_failed"} == {*get_args(StopReason)}
