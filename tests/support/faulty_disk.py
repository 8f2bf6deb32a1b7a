"""Make system calls fail, once or from then on, or write only half."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# The system calls that nbrun makes for a record, by the kind of fault.
CALLS: dict[str, tuple[str, ...]] = {
    "write": ("write", "pwrite"),
    "sync": ("fdatasync", "fsync"),
    "rename": ("replace", "rename"),
    "open": ("open",),
    "make": ("mkdir",),
    "mode": ("fchmod", "chmod"),
}


class Disk:
    """A disk on which the call number `nth`, from 1, of one kind fails.

    `lasting`: all later calls of that kind fail, too. `short`: the call writes half instead, and
    only later calls fail.
    """

    def __init__(self, kind: str, nth: int, *, lasting: bool, short: bool = False) -> None:
        self.kind = kind
        self.nth = nth
        self.lasting = lasting
        self.short = short
        self.calls = 0
        self.failed = 0
        self.when_failing: Callable[[], None] = lambda: None

    @property
    def reached(self) -> bool:
        return self.calls >= self.nth

    @contextmanager
    def __call__(self) -> Iterator["Disk"]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS[self.kind]:
                patch.setattr(os, name, self._faulty(getattr(os, name)))
            yield self

    def _faulty(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.nth or (self.lasting and self.calls > self.nth):
                self.failed += 1
                self.when_failing()
                if self.short and self.failed == 1 and len(arguments[1]) > 1:
                    fd, data, *rest = arguments
                    return real(fd, data[: len(data) // 2], *rest)
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **named)

        return call
