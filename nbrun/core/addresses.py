"""Addresses (URLs) of runbooks and collectors, as a record or a message may show them."""

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit

RUNBOOK_SCHEMES = ("https", "http", "s3", "gs", "abs")
_OF_RUNBOOK = re.compile(rf"(?:{'|'.join(RUNBOOK_SCHEMES)})://")


def is_address(runbook: str) -> bool:
    """Return True if `runbook` is an address, and not a path of this machine."""
    return _OF_RUNBOOK.match(runbook) is not None


def scheme(address: str) -> str:
    """Return the part before `://`."""
    return address.partition("://")[0]


def file_name(address: str) -> str:
    """Return the name of the file that `address` names, which is safe as one; never empty."""
    parts = _split(address)
    name = PurePosixPath(unquote(parts.path)).name if parts else ""
    kept = "".join(char if char.isprintable() and char not in "/\\" else "-" for char in name)
    return kept[-100:].lstrip(".") or "runbook.ipynb"


def is_loopback(address: str) -> bool:
    """Return True if `address` is on this machine, where nobody is in between."""
    parts = _split(address)
    host = parts.hostname if parts else None
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def without_credentials(address: str) -> str:
    """Return `address` without user, password, query and fragment, any of which may be a secret."""
    parts = _split(address)
    if parts is None:
        return address.partition("?")[0].rpartition("@")[2]
    return SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "").geturl()


def has_credentials(address: str) -> bool:
    """Return True if `address` has a user or a password."""
    parts = _split(address)
    return parts is None or "@" in parts.netloc


def hide_credentials(text: str, address: str) -> str:
    """Return `text`, such as a library's error, without what may be secret in `address`."""
    parts = _split(address)
    if parts is None:
        return text
    login = parts.netloc.rpartition("@")[0]
    password = login.partition(":")[2]
    secrets = {address.partition("#")[0], parts.query, parts.fragment, login, password}
    for secret in sorted(secrets | {unquote(each) for each in secrets}, key=len, reverse=True):
        if secret and secret != without_credentials(address):
            shown = without_credentials(address) if "://" in secret else "…"
            text = text.replace(secret, shown)
    return text


def _split(address: str) -> SplitResult | None:
    """Return the parts of `address`; None if it is not a valid one."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
