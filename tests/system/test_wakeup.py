"""The wake-up pipe: readable after `wake`, unreadable after `drain`, never blocking."""

import os
import select
from collections.abc import Iterator

import pytest

from nbrun.system.wakeup import WakeupPipe


@pytest.fixture
def pipe() -> Iterator[WakeupPipe]:
    made = WakeupPipe()
    yield made
    made.close()


def is_readable(pipe: WakeupPipe) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


def test_pipe_is_readable_only_between_wake_and_drain(pipe: WakeupPipe) -> None:
    assert not is_readable(pipe)
    pipe.wake()
    pipe.wake()
    assert is_readable(pipe)
    pipe.drain()
    assert not is_readable(pipe)
    pipe.wake()
    assert is_readable(pipe)


def test_drain_returns_when_nothing_was_written(pipe: WakeupPipe) -> None:
    pipe.drain()
    assert not is_readable(pipe)


def test_full_pipe_neither_blocks_wake_nor_stays_readable_after_drain(pipe: WakeupPipe) -> None:
    for _ in range(200_000):  # a Linux pipe holds 65,536 bytes
        pipe.wake()
    assert is_readable(pipe)
    pipe.drain()
    assert not is_readable(pipe)


def test_close_releases_both_ends() -> None:
    pipe = WakeupPipe()
    read_end = pipe.fileno()
    pipe.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.read(read_end, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        pipe.wake()
