"""Lazy texts: their pieces join to the text, and memory holds it only once."""

import json
import tracemalloc
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.kernel import lazy_text
from nbrun.kernel.lazy_text import LazyText

PIECE_SIZES = st.integers(12, 40)  # bytes of JSON in a piece
DIFFICULT_PARTS = st.sampled_from(
    ["\\", '"', "\n", "\0", "u00e9", "é", "漢", "😀", "\U0010ffff", "x"]
)
TEXT = st.text() | st.lists(DIFFICULT_PARTS, max_size=60).map("".join)


def pieces(literal: bytes, size: int) -> list[str]:
    with patch.object(lazy_text, "PIECE", size):
        return list(LazyText(memoryview(literal)))


@given(TEXT, PIECE_SIZES, st.booleans())
def test_pieces_join_to_the_text(text: str, size: int, ascii_only: bool) -> None:
    found = pieces(json.dumps(text, ensure_ascii=ascii_only).encode(), size)
    assert "".join(found) == text
    assert all(0 < len(piece) <= size for piece in found)


@given(st.binary(max_size=60) | st.text(alphabet='\\"udD83de00n/', max_size=60).map(str.encode))
def test_invalid_string_is_refused_at_once(inside: bytes) -> None:
    literal = b'"' + inside + b'"'
    try:
        text = msgspec.json.decode(literal, type=str)
    except ValueError:
        with pytest.raises(ValueError, match="not a JSON string"):
            pieces(literal, 12)
    else:
        assert "".join(pieces(literal, 12)) == text


@pytest.mark.parametrize("literal", [b"", b'"', b"12", b"[]", b'"a', b"null"])
def test_json_other_than_a_string_is_refused(literal: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON string"):
        LazyText(memoryview(literal))


def test_text_can_be_iterated_again() -> None:
    text = LazyText(memoryview(b'"again"'))
    assert list(text) == list(text) == ["again"]


def test_only_one_piece_is_in_memory() -> None:
    literal = memoryview(b'"' + b"line\\n" * 4_000_000 + b'"')
    tracemalloc.start()
    try:
        count = sum(map(len, LazyText(literal)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000_000
    assert peak < 4 * 2**20, f"{peak >> 20} MiB"
