"""Durations (`90`, `45s`, `30m`, `2h`, `1d`) and sizes (`64MiB`) as people write them."""

import math
import re

from nbrun.errors import UsageError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SIZE = re.compile(r"(\d+)\s*(?:([KMG])iB|B)?")


def parse_duration(text: str, where: str) -> float:
    """`text` in seconds. UsageError, naming `where` it was given, when it is no length of time."""
    match = _DURATION.fullmatch(text.strip().lower())
    value = float(match[1]) * _UNITS[match[2]] if match else math.inf
    if not math.isfinite(value):
        raise UsageError(f"{where} {text}: expected a length of time such as 90s, 30m or 2h")
    return value


def parse_size(text: str, what: str) -> int:
    """`64MiB`, `500KiB`, `1000000` in bytes. UsageError, which names `what`, where it is none."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{what} {text}: is no size; write 64MiB, 500KiB, 1000000, or 0")
    return int(found[1]) << 10 * " KMG".index(found[2] or " ")
