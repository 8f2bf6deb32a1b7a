"""Phrases for the identities that a kernel acts as: a Unix user, an AWS role, a Kubernetes user."""

from collections.abc import Iterable

from nbrun.core import events as ev
from nbrun.core.model import Identity, RoleTaken
from nbrun.views.text import phrases

_KINDS = {"unix": "Unix user", "aws": "AWS", "kubernetes": "Kubernetes user"}


def rows(role: RoleTaken | None) -> list[tuple[str, str]]:
    """Return the role and each of its identities as names and values; none without a role.

    The output notebook contains these texts: they must not change (see `phrases`).
    """
    if role is None:
        return []
    return [("role", role.name), *(("acts as", identity(each)) for each in role.identities)]


def identity(acting: Identity) -> str:
    """Return `AWS arn:aws:sts::1:assumed-role/dba/alice (account 1), until 2026-11-23 …`."""
    detail = f" ({acting.detail})" if acting.detail else ""
    until = f", until {phrases.timestamp(acting.until)}" if acting.until else ""
    return f"{_KINDS[acting.kind]} {acting.who}{detail}{until}"


def identities(acting: Iterable[Identity]) -> str:
    """Return all identities, separated by semicolons."""
    return "; ".join(map(identity, acting))


def refreshed(event: ev.RoleRefreshed) -> str:
    """Return `the role dba was refreshed: AWS arn:…`."""
    return f"the role {event.role} was refreshed: {identities(event.identities)}"


def not_refreshed(event: ev.RoleNotRefreshed) -> str:
    """Return which role could not be refreshed, and when the kernel's credentials end."""
    ends = phrases.timestamp(event.until) if event.until else ""
    credentials = f"; the kernel's credentials end at {ends}" if ends else ""
    return f"the role {event.role} could not be refreshed{credentials}"


def resumed(event: ev.RunResumed) -> tuple[str, ...]:
    """Return a line with the identities that the resumed run acts as; none without a role."""
    acting = identities(event.role.identities) if event.role else ""
    return (f"its role was refreshed: {acting}",) if acting else ()
