"""Parsers of durations (`90`, `45s`, `30m`, `2h`, `1d`) and sizes (`64MiB`)."""

import math
import re

from nbrun.errors import UsageError

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)")
_SIZE = re.compile(r"(\d+)\s*(?:([KMG])iB|B)?")


def parse_duration(text: str, where: str) -> float:
    """Return `text` in seconds.

    Raises:
        UsageError: `text` is not a duration. The message begins with `where`, its option or key.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    value = float(match[1]) * _SECONDS[match[2]] if match else math.inf
    if not math.isfinite(value):
        raise UsageError(f"{where} {text}: not a duration: write 90s, 30m or 2h")
    return value


def parse_size(text: str, where: str) -> int:
    """Return `text` in bytes.

    Raises:
        UsageError: `text` is not a size. The message begins with `where`, its option or key.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{where} {text}: not a size: write 64MiB, 500KiB, 1000000, or 0")
    return int(match[1]) << 10 * " KMG".index(match[2] or " ")
