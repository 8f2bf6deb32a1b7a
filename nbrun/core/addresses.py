"""Addresses (URLs) as a record or a message may show them: without credentials."""

from urllib.parse import SplitResult, unquote, urlsplit


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
