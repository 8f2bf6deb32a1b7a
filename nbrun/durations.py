"""Lengths of time as people write them: `90`, `45s`, `30m`, `2h`, `1d`."""

import math
import re

from nbrun.errors import UsageError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")


def seconds(text: str, where: str) -> float:
    """`text` in seconds. UsageError, naming `where` it was given, when it is no length of time."""
    match = _FORM.fullmatch(text.strip().lower())
    value = float(match[1]) * _UNITS[match[2]] if match else math.inf
    if not math.isfinite(value):
        raise UsageError(f"{where} {text}: expected a length of time such as 90s, 30m or 2h")
    return value
