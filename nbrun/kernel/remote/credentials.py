"""The HTTP headers that authenticate nbrun to a gateway, fetched again when they have expired."""

import threading
from collections.abc import Callable, Mapping

from nbrun.core.redaction.secret_encodings import secret_fault
from nbrun.errors import UsageError
from nbrun.kernel.remote.settings import GatewaySettings

# Returns the secret that a source names, such as `@env:JUPYTER_TOKEN`, for what it is called.
# Raises UsageError, whose message never contains a part of the secret.
FetchSecret = Callable[[str, str], str]

_SPACES = " \t\r\n"


class Credentials:
    """The headers for one gateway. Any thread may call the methods."""

    def __init__(self, settings: GatewaySettings, fetch: FetchSecret) -> None:
        """Fetch the secrets.

        Raises:
            UsageError: one can't be fetched, or can't be kept out of the record.
        """
        self._settings = settings
        self._fetch = fetch
        self._lock = threading.Lock()
        self._on_secrets: Callable[[Mapping[str, str]], None] = lambda _secrets: None
        self._secrets, self._headers = self._fetched()

    def headers(self) -> dict[str, str]:
        """Return the headers of a request."""
        with self._lock:
            return dict(self._headers)

    def report_secrets_to(self, on_secrets: Callable[[Mapping[str, str]], None]) -> None:
        """Call `on_secrets` with the secrets now, and with each that is fetched later."""
        with self._lock:
            self._on_secrets = on_secrets
            on_secrets(self._secrets)

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Fetch the secrets again, after the gateway has refused the headers `refused`.

        Return True if the headers differ now.

        Raises:
            UsageError: a secret can't be fetched.
        """
        with self._lock:
            if self._headers == refused:
                secrets, headers = self._fetched()
                self._on_secrets(secrets)  # before anything could show them
                self._secrets, self._headers = secrets, headers
            return self._headers != refused

    def _fetched(self) -> tuple[dict[str, str], dict[str, str]]:
        secrets: dict[str, str] = {}
        headers: dict[str, str] = {}
        if self._settings.token:
            secrets["gateway token"] = token = self._secret("gateway token", self._settings.token)
            # The spelling that all three kinds of servers know; two of them do not know "Bearer".
            headers["Authorization"] = f"token {token}"
        for name, text in self._settings.headers:
            headers[name] = text
            if text.startswith("@"):
                called = f"gateway header {name}"
                headers[name] = secrets[called] = self._secret(called, text)
        return secrets, headers

    def _secret(self, called: str, source: str) -> str:
        secret = self._fetch(called, source).strip(_SPACES)
        fault = secret_fault(secret)
        if fault is None and not (secret.isprintable() and secret.isascii()):
            fault = "a header can have printable ASCII characters only"
        if fault is not None:
            raise UsageError(f"[gateway] {called} from {source.partition(':')[0]}: {fault}")
        return secret
