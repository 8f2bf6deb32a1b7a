"""As whom kernels act, in words: the identities that a role came to."""

from collections.abc import Iterable

from nbrun.core import events as ev
from nbrun.core.model import Identity, RoleTaken
from nbrun.views.text import phrases

_KINDS = {"unix": "Unix user", "aws": "AWS", "kubernetes": "Kubernetes user"}


def rows(role: RoleTaken | None) -> list[tuple[str, str]]:
    """The role and each identity of it, named for a table; nothing without a role."""
    if role is None:
        return []
    return [("role", role.name), *(("acts as", identity(each)) for each in role.identities)]


def identity(told: Identity) -> str:
    """`AWS arn:aws:sts::1:assumed-role/dba/alice (account 1), until 2026-11-23 09:31:04 UTC`."""
    detail = f" ({told.detail})" if told.detail else ""
    until = f", until {phrases.moment(told.until)}" if told.until else ""
    return f"{_KINDS[told.kind]} {told.who}{detail}{until}"


def identities(told: Iterable[Identity]) -> str:
    return "; ".join(map(identity, told))


def refreshed(event: ev.RoleRefreshed) -> str:
    return f"the role {event.role} was refreshed: {identities(event.identities)}"


def not_refreshed(event: ev.RoleNotRefreshed) -> str:
    ends = phrases.moment(event.until) if event.until else ""
    credentials = f"; the kernel's credentials end at {ends}" if ends else ""
    return f"the role {event.role} could not be refreshed{credentials}"


def resumed(event: ev.RunResumed) -> tuple[str, ...]:
    """Return a line with the identities that the resumed run acts as; none without a role."""
    acts = identities(event.role.identities) if event.role else ""
    return (f"its role was refreshed: {acts}",) if acts else ()
