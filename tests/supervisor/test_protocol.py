"""The protocol of the socket: lines, and their limit."""

import pytest

from nbrun.supervisor import protocol


def test_line_buffer_refuses_a_line_that_never_ends() -> None:
    lines = protocol.LineBuffer(limit=10)
    assert lines.feed(b"12345\n678") == [b"12345"]
    assert lines.feed(b"9\n\n") == [b"6789", b""]
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        lines.feed(b"0123456789X")


def test_line_buffer_copies_each_byte_of_a_long_line_once() -> None:
    """A line that comes in small pieces must not take time that grows with its square."""
    lines, piece = protocol.LineBuffer(), b"x" * 64
    for _ in range(200_000):
        assert lines.feed(piece) == []
    assert lines.feed(b"\n") == [b"x" * 64 * 200_000]
