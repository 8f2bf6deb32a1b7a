"""The contents of an approval, as an approver reads it: at the run's machine or elsewhere."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from nbrun.core.approval_request import ApprovalRequest
from nbrun.core.deviations import unified_diff
from nbrun.views.render import mime, source
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain


def renderables(request: ApprovalRequest, so_far: str = "") -> Iterator[RenderableType]:
    """Yield everything that `request` says. `so_far`: the approvals given already, in words.

    Whatever can be signed is shown, and nothing in it acts on the terminal.
    """
    yield facts([row for row in _rows(request, so_far) if row[1]])
    if request.manual and request.source is not None:
        yield mime.render_markdown(request.source)
    elif request.source is not None:
        yield source.highlight(request.source, request.language or "python")
    if None not in (request.source, request.recorded) and request.recorded != request.source:
        changed = unified_diff(request.recorded or "", request.source or "")
        yield from (Text("changes to the runbook:"), source.highlight(changed, "diff"))
    for cell in filter(None, request.cells):
        yield Text("a cell that sets parameters, as it ran:")
        yield source.highlight(cell, request.language or "python")


def _rows(request: ApprovalRequest, so_far: str) -> Iterator[tuple[str, str]]:
    yield from (
        ("run", request.run),
        ("runbook", request.runbook),
        ("started by", request.started_by),
        ("reason", request.reason),
        ("ticket", request.ticket),
        ("host", request.host),
    )
    yield from (
        (f"parameter {plain(name)}", repr(value)) for name, value in request.parameters.items()
    )
    yield ("step", _step(request))
    yield ("impact", request.impact)
    if request.operator:
        yield ("decision", request.decision)
        yield ("by", request.operator)
        yield ("why", request.why)
        if request.handing is not None:
            yield ("allows", phrases.handing(request.handing))
        kinds = (phrases.DEVIATIONS.get(kind, plain(kind)) for kind in request.kinds)
        yield ("leaves the script", "; ".join(kinds))
    yield ("approved so far", so_far)


def _step(request: ApprovalRequest) -> str:
    """Return `step 3 of 12 · Stop it · attempt 2`."""
    if request.step is None:
        return ""
    again = f" · attempt {request.attempt}" if request.attempt > 1 else ""
    return f"step {request.number} of {request.steps} · {request.title}{again}"


def terms(request: ApprovalRequest) -> Iterator[tuple[str, str]]:
    """Yield who has to approve, and until when, for somebody who signs elsewhere."""
    yield ("of the group", request.group)
    yield ("approvals needed", str(request.count))
    within = (
        f"at most {phrases.duration(request.within)} before it starts" if request.within else ""
    )
    yield ("to be given", within)
    yield ("asked at", request.issued)
    yield ("to be signed until", request.expires)
    yield ("occasion", request.occasion)
    yield ("SHA-256 of it", request.binding)
