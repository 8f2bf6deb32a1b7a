"""The program of the child process: it reads requests, runs native code, and writes results.

A message is a line of words and a length, and so many bytes. The words of a request are a task and
the processor time that it may take. The system ends the child if native code takes longer, and the
child ends itself at the end of its input, so it never outlives nbrun by much.
"""

import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

DONE, FAILED = "done", "failed"  # the words of results

_MAX_MEMORY = 2 * 2**30  # bytes of address space: a picture of 40 million pixels needs a third
_MAX_HEADER = 100  # bytes


def message(words: str, data: bytes) -> bytes:
    """Return a message."""
    return f"{words} {len(data)}\n".encode() + data


def complete_message(received: bytearray) -> tuple[str, bytes] | None:
    """Return the word and the data of a result, or None if `received` has only a part of it."""
    end = received.find(b"\n", 0, _MAX_HEADER)
    if end < 0:
        return None
    word, length = received[:end].decode().split()
    begins, ends = end + 1, end + 1 + int(length)
    return (word, bytes(received[begins:ends])) if len(received) >= ends else None


def main() -> None:
    """Serve requests until the end of the input."""
    _limit_memory()
    requests, results = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        task, seconds, length = line.decode().split()
        _serve(task, float(seconds), requests.read(int(length)), results)


def _serve(task: str, seconds: float, data: bytes, results: BinaryIO) -> None:
    # Without a handler, the signal ends this process, also in the middle of native code.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        word, result = DONE, TASKS[task](data)
    except Exception as error:  # noqa: BLE001  a parser may raise anything
        word, result = FAILED, f"{type(error).__name__}: {error}".encode("utf-8", "replace")
    signal.setitimer(signal.ITIMER_PROF, 0)
    results.write(message(word, result))
    results.flush()


def _limit_memory() -> None:
    with suppress(ValueError, OSError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _draw_svg(data: bytes) -> bytes:
    from nbrun.views.render.native import pictures

    return pictures.draw_svg(data)


def _decode_picture(data: bytes) -> bytes:
    from nbrun.views.render.native import pictures

    return pictures.decode(data)


def _sanitize(data: bytes) -> bytes:
    from nbrun.views.render.native import sanitizer

    return sanitizer.sanitize(data.decode("utf-8", "surrogatepass")).encode("utf-8", "replace")


TASKS: dict[str, Callable[[bytes], bytes]] = {
    "svg": _draw_svg,
    "picture": _decode_picture,
    "sanitize": _sanitize,
}

if __name__ == "__main__":
    main()
