"""The settings of a gateway, from the table `[gateway]` of nbrun.toml or an option."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbrun import units
from nbrun.errors import UsageError

KEEP_ALIVE = 60.0  # seconds
RECONNECT = 300.0  # seconds
# Jupyter's own variable, for a gateway that no file of settings describes.
TOKEN_VARIABLE = "JUPYTER_GATEWAY_AUTH_TOKEN"  # noqa: S105  the name of a variable
KEYS = (
    "url",
    "token",
    "headers",
    "ca",
    "client_cert",
    "client_key",
    "kernel",
    "keep_alive",
    "reconnect",
)
_SOURCES = ("@env:", "@file:", "@keyring:", "@cmd:")
_ALWAYS_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True)
class GatewaySettings:
    """One gateway, and how to authenticate to it.

    Attributes:
        url: without credentials and without a slash at the end.
        token: a secret's source, such as `@env:JUPYTER_TOKEN`; empty for no token.
        headers: the values of further HTTP headers by name: a text, or a secret's source.
        ca: a file of certificates to trust instead of the system's.
        client_cert, client_key: PEM files; the key may be in the file of the certificate.
        kernel: the kernelspec to use instead of the one that the notebook names.
        keep_alive: seconds between two signs of life to an idle kernel.
        reconnect: seconds for which nbrun tries to reach a gateway again before it gives up.
    """

    url: str
    token: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    kernel: str = ""
    keep_alive: float = KEEP_ALIVE
    reconnect: float = RECONNECT

    @property
    def is_unencrypted(self) -> bool:
        """Return True if others on the way to the gateway can read what nbrun sends."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_url(where: str, url: Any) -> str:
    """Return `url` without the slash at its end.

    Raises:
        UsageError: `url` is not the address of a gateway, or has credentials in it. The message
            begins with `where` and never contains what may be a credential.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        port = parts.port
    except ValueError:
        raise UsageError(f"{where}: not a URL: write https://HOST/PATH") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"{where}: must be the URL of a gateway, such as https://HOST/PATH")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"{where}: a URL with credentials or a query would be in the record: remove them, and "
            "name the token's source as [gateway] token, such as '@env:JUPYTER_TOKEN'"
        )
    if not url.isprintable() or " " in url:
        raise UsageError(f"{where}: not a URL: it has a character that a URL can't have")
    return str(url).rstrip("/")


def of_option(url: str) -> GatewaySettings:
    """Return a gateway that no file describes, with the token that Jupyter itself would use."""
    return GatewaySettings(url, token=f"@env:{TOKEN_VARIABLE}" * (TOKEN_VARIABLE in os.environ))


def from_table(where: str, path: Path, table: Mapping[str, Any]) -> GatewaySettings:
    """Return the gateway that `table` describes. Its keys are all in KEYS.

    `where` begins every error message: the file and the table. Relative paths start at the folder
    of the file `path`.

    Raises:
        UsageError: a value is missing or wrong.
    """
    if "url" not in table:
        raise UsageError(f"{where}: url is missing: the gateway's address")
    files = {key: _file(where, path, key, table) for key in ("ca", "client_cert", "client_key")}
    if files["client_key"] and not files["client_cert"]:
        raise UsageError(f"{where}: client_key needs client_cert")
    return GatewaySettings(
        url=checked_url(f"{where}.url", table["url"]),
        token=_token(where, table.get("token", "")),
        headers=_headers(where, table.get("headers", {})),
        kernel=_text(where, "kernel", table.get("kernel", "")),
        keep_alive=_seconds(where, "keep_alive", table, KEEP_ALIVE),
        reconnect=_seconds(where, "reconnect", table, RECONNECT),
        **files,
    )


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise UsageError(f"{where}.{key} must be a text on one line, not {value!r}")
    return value


def _token(where: str, value: Any) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not value.startswith(_SOURCES):
        raise UsageError(
            f"{where}.token must name the token's source: '@env:VAR', '@file:PATH', "
            "'@keyring:SERVICE/NAME' or '@cmd:COMMAND'. The token itself does not belong in a file "
            "of settings"
        )
    return _source(f"{where}.token", value)


def _source(where: str, value: str) -> str:
    """Return a secret's source. It is read again later, from another folder."""
    path = value.removeprefix("@file:")
    if path != value and not path.startswith(("/", "~")):
        raise UsageError(f"{where}: {value} must have an absolute path, or one that begins with ~")
    return value


def _headers(where: str, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}.headers must be a table of names and texts")
    for name, text in value.items():
        if not isinstance(text, str) or not text.isprintable():
            raise UsageError(f"{where}.headers.{name} must be a text on one line")
        if name.lower() in _ALWAYS_SECRET and not text.startswith(_SOURCES):
            raise UsageError(
                f"{where}.headers.{name} must name the source of its value, such as '@env:VAR'"
            )
        _source(f"{where}.headers.{name}", text)
    return tuple(value.items())


def _file(where: str, path: Path, key: str, table: Mapping[str, Any]) -> Path | None:
    if key not in table:
        return None
    file = (path.parent / Path(_text(where, key, table[key])).expanduser()).absolute()
    if not file.is_file():
        raise UsageError(f"{where}.{key}: there is no file {file}")
    return file


def _seconds(where: str, key: str, table: Mapping[str, Any], default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, str):
        value = units.parse_duration(value, f"{where}.{key}")
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise UsageError(f"{where}.{key} must be a duration such as '60s', not {value!r}")
    return float(value)
