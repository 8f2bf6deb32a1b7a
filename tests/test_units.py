"""Lengths of time as people write them."""

import pytest

from nbrun.errors import UsageError
from nbrun.units import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("1d", 86400), (" 1.5 H ", 5400)],
)
def test_a_number_and_a_unit(text: str, expected: float) -> None:
    assert parse_duration(text, "--wait-for") == expected


@pytest.mark.parametrize(
    "text", ["", "h", "2 weeks", "-1s", "1h30m", "nan", "inf", "1e9", "9" * 400]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="--wait-for"):
        parse_duration(text, "--wait-for")
