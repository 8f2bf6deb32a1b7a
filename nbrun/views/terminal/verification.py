"""The result of a verification of records, on a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nbrun.audit.index_check import IndexStanding, IndexVerification
from nbrun.audit.verify import Standing, Verification
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain

_STYLES = {
    Standing.SEALED: "bold green",
    Standing.UNSEALED: "bold yellow",
    Standing.OPEN: "bold yellow",
    Standing.BROKEN: "bold red",
}

_INDEX_STYLES = {
    IndexStanding.WHOLE: "bold green",
    IndexStanding.BROKEN: "bold red",
    IndexStanding.MISSING: "bold yellow",
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


def index(found: IndexVerification) -> RenderableType:
    """Return the result for the index of one user, with a line for each fault and note."""
    head = Text(found.standing.value, style=_INDEX_STYLES[found.standing])
    runs = "" if found.standing is IndexStanding.MISSING else f": {found.runs} runs"
    head.append(f"  {plain(found.index)}{runs}", "not bold")
    rows = [("fault", fault) for fault in found.faults] + [("note", note) for note in found.notes]
    return Group(head, facts(rows)) if rows else head


def _name(found: Verification) -> str:
    """Return the run's id, and the folder's name if that is another."""
    if found.folder in (found.run, ""):
        return found.run
    return f"{found.run} in the folder {found.folder}"
