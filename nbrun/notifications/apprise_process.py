"""The child process that sends one message through apprise.

It reads a request as JSON from stdin: `url`, `title` and `body`, or `urls` to check. It exits with
0, or with 1 and one line on stderr. That line has no text of apprise, which may contain the URL.
"""

import json
import logging
import os
import re
import sys
from typing import Any

_STATUS = re.compile(r"error=(\d{3})\b")


def main() -> int:
    """Serve the request on stdin, and return an exit code."""
    answer = os.fdopen(os.dup(2), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)  # whatever a library or a traceback prints: it may contain the URL
    try:
        fault = _serve(json.loads(sys.stdin.buffer.read()))
    except Exception as error:  # noqa: BLE001  the same
        fault = f"apprise failed: {type(error).__name__}"
    if fault:
        answer.write(fault)
    answer.close()
    return 1 if fault else 0


def _serve(request: dict[str, Any]) -> str:
    """Return what failed; "" for nothing."""
    if "urls" in request:
        return " ".join(str(n) for n, url in enumerate(request["urls"]) if _service(url) is None)
    service = _service(request["url"])
    if service is None:
        return "apprise does not know this kind of URL"
    return _send(service, request["title"], request["body"])


def _service(url: str) -> Any:
    import apprise

    asset = apprise.AppriseAsset(async_mode=False, interpret_escapes=False, interpret_emojis=False)
    return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


def _send(service: Any, title: str, body: str) -> str:
    import apprise

    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("apprise").addHandler(handler)
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    if sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
        return ""
    return _fault(" ".join(logged))


def _fault(logged: str) -> str:
    status = _STATUS.search(logged)
    if status:
        return f"the service answered with status {status[1]}"
    if "onnection error" in logged:
        return "the service can't be reached"
    return "apprise could not send it"


if __name__ == "__main__":
    sys.exit(main())
