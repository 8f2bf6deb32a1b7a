"""Code that nbrun runs once in a xeus-python kernel: no output is lost.

xeus-python sends a message for each `write`, four for a `print` of two words, and ZeroMQ drops what
comes faster than a reader takes it (1,000 messages). Here, writes are gathered as ipykernel does.

The supervisor sends this file as text. It must not import nbrun.
"""

import builtins
import sys
import threading
import time
from typing import Any, Callable  # noqa: UP035  the kernel's Python may be an old one

from IPython import get_ipython

_INTERVAL = 0.05  # seconds for which writes are gathered
_shell: Any = get_ipython()


class _Gathering:
    """A stream that sends what is written in one piece, at most every `_INTERVAL` seconds."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._parts: list[str] = []
        self._lock = threading.RLock()
        self._sent = 0.0
        self._written = threading.Event()
        threading.Thread(target=self._send_later, daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._lock:
            self._parts.append(text)
            if time.monotonic() - self._sent > _INTERVAL:
                self.flush()
            else:
                self._written.set()
        return len(text)

    def writelines(self, lines: Any) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._lock:
            text, self._parts = "".join(self._parts), []
            self._sent = time.monotonic()
            if text:
                self._stream.write(text)

    def _send_later(self) -> None:
        while True:
            self._written.wait()
            self._written.clear()
            time.sleep(_INTERVAL)
            self.flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Gathering):
            stream.flush()


def _after_flush(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `function`: what was printed before comes before what it shows or asks."""

    def call(*args: Any, **kwargs: Any) -> Any:
        _flush()
        return function(*args, **kwargs)

    return call


def _begin_cell(_info: Any) -> None:
    builtins.input = _after_flush(builtins.input)  # xeus-python replaces it for each cell


sys.stdout, sys.stderr = _Gathering(sys.stdout), _Gathering(sys.stderr)
_shell.display_pub.publish = _after_flush(_shell.display_pub.publish)
_hook: Any = type(_shell.displayhook)
_hook.__call__ = _after_flush(_hook.__call__)
_shell.events.register("pre_run_cell", _begin_cell)
_shell.events.register("post_execute", _flush)
