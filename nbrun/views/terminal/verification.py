"""The result of a verification of records, on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.audit.verify import Standing, Verification
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain

_STYLES = {
    Standing.SEALED: "bold green",
    Standing.UNSEALED: "bold yellow",
    Standing.OPEN: "bold yellow",
    Standing.BROKEN: "bold red",
}

_NOT_COVERED = "Not checked: supervisor.log, and files that nbrun export wrote"


def one(found: Verification) -> RenderableType:
    """Return the result for one record, with its whole head hash, so that it can be copied."""
    rows = [("run", _name(found)), ("lines", str(found.lines))]
    rows += [("head", found.head)] * bool(found.head)
    rows += [("note", note) for note in found.notes]
    rows += [("not checked", ", ".join(found.unchecked))] * bool(found.unchecked)
    head = Text(found.standing.value, style=_STYLES[found.standing])
    return Group(head.append(f"  {plain(found.why)}", "not bold"), facts(rows))


def table(all_found: Sequence[Verification]) -> RenderableType:
    """Return a row for each record, and how many have each standing. An id is never cut."""
    grid = Table(box=None, pad_edge=False)
    grid.add_column("", no_wrap=True)
    grid.add_column("run", no_wrap=True)
    grid.add_column("lines", justify="right")
    grid.add_column("found", overflow="fold")
    for found in all_found:
        standing = Text(found.standing.value, style=_STYLES[found.standing])
        reasons = "; ".join(map(plain, (found.why, *found.notes)))
        grid.add_row(standing, Text(plain(_name(found))), Text(str(found.lines)), Text(reasons))
    counts = [sum(each.standing is standing for each in all_found) for standing in Standing]
    summary = ", ".join(
        f"{count} {standing.value}" for standing, count in zip(Standing, counts, strict=True)
    )
    return Group(grid, Text(f"{len(all_found)} records: {summary}"), Text(_NOT_COVERED, "dim"))


def _name(found: Verification) -> str:
    """Return the run's id, and the folder's name if that is another."""
    if found.folder in (found.run, ""):
        return found.run
    return f"{found.run} in the folder {found.folder}"
