"""The lines of a text runbook, decoded from the file's bytes."""

import codecs
from pathlib import Path

from nbrun.errors import RunbookError

# A text runbook has no outputs: a larger file is something else, which may take minutes to read.
MAX_SIZE = 2**20  # bytes
MAX_LINES = 10_000


def decode(path: Path, data: bytes) -> list[str]:
    """Return the lines of `data`, the bytes of the file `path`, without their line ends.

    A line ends with LF or CRLF. A byte order mark of UTF-8 is no part of the text.

    Raises:
        RunbookError: `data` is not such a text.
    """
    if len(data) > MAX_SIZE or data.count(b"\n") > MAX_LINES:
        raise RunbookError(
            f"{path}: has more than {MAX_SIZE // 2**20} MiB or {MAX_LINES:,} lines: "
            "is it a runbook? Split it"
        )
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise RunbookError(f"{path}: is UTF-16: save it as UTF-8")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise RunbookError(f"{path}, line {number}: not UTF-8: save it as UTF-8") from None
    if not text.strip():
        raise RunbookError(f"{path}: is empty: restore the runbook")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    for number, line in enumerate(lines, start=1):
        _refuse_controls(f"{path}, line {number}", line)
    return lines


def _refuse_controls(where: str, line: str) -> None:
    if "\0" in line:
        raise RunbookError(f"{where}: contains a NUL byte: is it a text?")
    if "\r" in line:
        raise RunbookError(f"{where}: contains a carriage return within a line: remove it")
