"""Tests of the parsers of durations and sizes."""

import pytest

from nbrun.errors import UsageError
from nbrun.units import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1d", 86400), (" 1.5 H ", 5400)],
)
def test_duration_is_number_with_unit(text: str, expected: float) -> None:
    assert parse_duration(text, "--wait-for") == expected


@pytest.mark.parametrize(
    "text", ["", "h", "2 weeks", "-1s", "1h30m", "nan", "inf", "1e9", "9" * 400]
)
def test_other_text_raises_usage_error_naming_option(text: str) -> None:
    with pytest.raises(UsageError, match="--wait-for"):
        parse_duration(text, "--wait-for")
