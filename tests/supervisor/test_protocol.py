"""The protocol of the socket: lines, and their limit."""

import pytest

from nbrun.supervisor import protocol


def test_line_buffer_refuses_a_line_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_MESSAGE", 10)
    lines = protocol.LineBuffer()
    assert lines.feed(b"12345\n678") == [b"12345"]
    with pytest.raises(ValueError, match="does not end"):
        lines.feed(b"90123456")
