"""Failed scripts of cell magics, such as `%%bash`."""

import re

# `%%bash -e`, `%%script --out lines perl -w`: the program.
_SCRIPT_MAGIC = re.compile(r"%%(?:script\s+(?:--(?:out|err|proc)\s+\S+\s+|-\S+\s+)*)?([^\s-]\S*)")
# Cell magics that run Python or, on a further line, another cell magic.
_WRAPPERS = ("%%capture", "%%debug", "%%prun", "%%time", "%%timeit")
# The text of subprocess's CalledProcessError, where the command is the script as bytes.
_SCRIPT_ENDED = re.compile(
    r"Command 'b['\"].*(?:returned non-zero exit status (?P<code>\d+)"
    r"|died with (?:<Signals\.(?P<name>\w+)|unknown signal (?P<number>\d+)).*)\.?\s*",
    re.S,
)


def script_failure(source: str, evalue: str) -> str:
    """Return how the script of a cell magic ended: `bash exited with 2`; "" for other cells.

    `evalue` is the text of IPython's CalledProcessError, which quotes the whole script.
    """
    program = _SCRIPT_MAGIC.match(_script_line(source))
    ended = _SCRIPT_ENDED.fullmatch(evalue) if program else None
    if program is None or ended is None:
        return ""
    signal = ended["name"] or f"signal {ended['number']}"
    how = f"exited with {ended['code']}" if ended["code"] else f"was ended by {signal}"
    return f"{program[1]} {how}"


def _script_line(source: str) -> str:
    """Return the line that names the program of a script; "" if the cell has none."""
    for line in source.lstrip().split("\n"):
        if not line.startswith(_WRAPPERS):
            return line
    return ""
