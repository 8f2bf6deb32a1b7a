"""The REST interface of a gateway: Jupyter Server, Kernel Gateway and Enterprise Gateway have it.

Source: jupyter_server's "REST API", api/kernels and api/kernelspecs.
"""

import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nbrun.errors import KernelError, UsageError
from nbrun.kernel.remote.credentials import Credentials
from nbrun.kernel.remote.settings import GatewaySettings

TIMEOUT = 10.0  # seconds for an answer
START_TIMEOUT = 120.0  # seconds for a kernel to be started: on a cluster, images are pulled
SHUTDOWN_TIMEOUT = 30.0  # seconds: a server waits for the kernel before it kills it
_END_ATTEMPTS, _END_PAUSE = 3, 1.0  # requests to end a kernel, and seconds between them
_LONGEST_REASON = 200  # characters of a server's message


class GatewayError(KernelError):
    """The gateway did not do what it was asked to.

    `is_refused`: it does not accept the credentials, or there are none to be had.
    """

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused


REFUSED = (401, 403)  # statuses


class GatewayApi:
    """Requests to one gateway. Any thread may call the methods; all of them raise GatewayError.

    A request whose headers are refused (401, 403) is sent once more if the credentials have
    changed when they are fetched again.
    """

    def __init__(self, settings: GatewaySettings, credentials: Credentials) -> None:
        import requests  # only for a run that uses a gateway

        self.settings = settings
        self.credentials = credentials
        self._requests = requests

    def kernelspecs(self) -> dict[str, Any]:
        """Return the gateway's kernelspecs: `default`, and `kernelspecs` by name."""
        found = self._json("GET", "api/kernelspecs")
        if not isinstance(found.get("kernelspecs"), dict):
            raise GatewayError(f"{self.settings.url}: is not a Jupyter gateway: no kernelspecs")
        return found

    def start(self, name: str) -> str:
        """Start a kernel of the kernelspec `name`, and return its id.

        As Jupyter's own client does, send the variables `KERNEL_*`: an Enterprise Gateway decides
        by `KERNEL_USERNAME` whose kernel it is.
        """
        env = {key: value for key, value in os.environ.items() if key.startswith("KERNEL_")}
        body = {"name": name, **({"env": env} if env else {})}
        model = self._json("POST", "api/kernels", json=body, timeout=START_TIMEOUT)
        if not isinstance(model.get("id"), str) or not model["id"]:
            raise GatewayError(f"{self.settings.url}: did not say which kernel it started")
        return str(model["id"])

    def has_kernel(self, kernel: str) -> bool:
        """Return True if the gateway has this kernel, and does not call it dead."""
        response = self._request("GET", _path(kernel))
        if response.status_code == 404:
            self._require_gateway()
            return False
        return str(self._content(response).get("execution_state")) != "dead"

    def interrupt(self, kernel: str) -> None:
        self._checked(self._request("POST", f"{_path(kernel)}/interrupt", json={}))

    def end(self, kernel: str) -> None:
        """Shut the kernel down; the gateway kills it if it does not react.

        Jupyter Server fails at that while it restarts a kernel that has died.
        """
        for attempt in range(_END_ATTEMPTS):
            time.sleep(_END_PAUSE * (attempt > 0))
            response = self._request("DELETE", _path(kernel), timeout=SHUTDOWN_TIMEOUT)
            if response.status_code < 500:
                break
        if response.status_code == 404:
            self._require_gateway()
        else:
            self._checked(response)

    def _require_gateway(self) -> None:
        """Check that it is the gateway that does not know a kernel, not a proxy without one."""
        self.kernelspecs()

    def _json(self, method: str, path: str, **named: Any) -> dict[str, Any]:
        return self._content(self._request(method, path, **named))

    def _content(self, response: Any) -> dict[str, Any]:
        self._checked(response)
        try:
            content = response.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise GatewayError(f"{self.settings.url}: is not a Jupyter gateway: no JSON came")
        return content

    def _checked(self, response: Any) -> None:
        if not response.ok or response.is_redirect:
            raise GatewayError(
                f"{self.settings.url}: {describe_status(response.status_code, _reason(response))}",
                is_refused=response.status_code in REFUSED,
            )

    def _request(self, method: str, path: str, **named: Any) -> Any:
        headers = self.credentials.headers()
        response = self._send(method, path, headers, **named)
        if response.status_code in REFUSED and self.renew(headers):
            response = self._send(method, path, self.credentials.headers(), **named)
        return response

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Return True if the credentials differ from `refused` after they were fetched again."""
        try:
            return self.credentials.renew(refused)
        except UsageError as error:
            raise GatewayError(str(error), is_refused=True) from error

    def _send(self, method: str, path: str, headers: dict[str, str], **named: Any) -> Any:
        settings = self.settings
        certificate = str(settings.client_cert) if settings.client_cert else None
        try:
            return self._requests.request(
                method,
                f"{settings.url}/{path}",
                headers={"Accept": "application/json", **headers},
                auth=lambda request: request,  # else ~/.netrc would replace the token
                # A redirect would carry the headers, and so the credentials, elsewhere.
                allow_redirects=False,
                verify=str(settings.ca) if settings.ca else True,
                cert=(certificate, str(settings.client_key))
                if certificate and settings.client_key
                else certificate,
                **{"timeout": TIMEOUT} | named,
            )
        except (self._requests.RequestException, OSError, ValueError) as error:
            raise GatewayError(f"{settings.url}: {_cause(error)}") from error


def _path(kernel: str) -> str:
    return f"api/kernels/{quote(kernel, safe='')}"


def describe_status(status: int, reason: str = "") -> str:
    """Return a refusal in words, with the remedy if there is one."""
    said = f"HTTP {status}{': ' if reason else ''}{reason}"
    if status in REFUSED:
        return f"refuses these credentials ({said}): check token and headers of [gateway]"
    if 300 <= status < 400:
        return f"answers with a redirect ({said}): set the URL that it leads to, or a token"
    return f"answers {said}"


def _reason(response: Any) -> str:
    try:
        said = response.json()
        reason = said.get("message") or said.get("reason") or response.reason
    except (ValueError, AttributeError):
        reason = response.headers.get("Location", response.reason)
    return " ".join(str(reason or "").split())[:_LONGEST_REASON]


def _cause(error: BaseException) -> str:
    """Return the innermost reason: requests wraps it in names of its own classes."""
    for _ in range(10):
        inside = (*error.args, getattr(error, "reason", None), error.__cause__)
        found = next((each for each in inside if isinstance(each, BaseException)), None)
        if found is None:
            break
        error = found
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "can't be reached: " + " ".join(str(text).split())[:_LONGEST_REASON]
