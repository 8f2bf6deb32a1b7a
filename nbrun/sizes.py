"""Sizes as people write them: `64MiB`."""

import re

from nbrun.errors import UsageError

_SIZE = re.compile(r"(\d+)\s*(?:([KMG])iB|B)?")


def in_bytes(text: str, what: str) -> int:
    """`64MiB`, `500KiB`, `1000000` in bytes. UsageError, which names `what`, where it is none."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{what} {text}: is no size; write 64MiB, 500KiB, 1000000, or 0")
    return int(found[1]) << 10 * " KMG".index(found[2] or " ")
