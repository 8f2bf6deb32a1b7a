"""Headers: what they set, and hostile ones."""

from typing import Any

import pytest

from tests.runbook.text_formats.conftest import Read, Refuse, cells, code

BLOCK = "```bash\nls\n```\n"
BASH = {"kernelspec": {"name": "bash", "language": "bash"}}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"---\njupyter:\n  kernelspec: {{name: bash, language: bash}}\n---\n{BLOCK}", "x.md"),
        (f"---\ntitle: T\nkernelspec: {{name: bash, language: bash}}\n---\n\n{BLOCK}", "x.md"),
        (f"<!--\n\n---\nkernelspec: {{name: bash, language: bash}}\n---\n\n-->\n{BLOCK}", "x.md"),
        ("#!/bin/sh\n# ---\n# kernelspec: {name: bash, language: bash}\n# ---\n# %%\nls", "x.sh"),
    ],
    ids=["jupytext", "top level", "hidden", "script"],
)
def test_header_names_the_kernel_and_is_no_cell(text: str, name: str, read: Read) -> None:
    parsed = read(text, name)
    assert parsed.metadata == BASH
    assert code(parsed) == ["ls"]
    assert len(cells(parsed)) == 1


def test_short_form_of_quarto_names_the_kernel(read: Read) -> None:
    parsed = read("---\njupyter: python3\n---\n\n```{python}\n1\n```\n", "x.qmd")
    assert parsed.metadata["kernelspec"] == {"name": "python3"}


def test_header_sets_defaults_and_parameters(read: Read) -> None:
    text = "---\nnbrun:\n  defaults: {timeout: 5}\n  parameters: {type: object}\n---\n"
    assert read(text + BLOCK).metadata["nbrun"]["defaults"] == {"timeout": 5}


def test_values_are_read_as_yaml_1_2(read: Read) -> None:
    parsed = read(f"---\nnbrun: {{a: no, b: 2020-01-01, c: 007}}\n---\n{BLOCK}")
    assert parsed.metadata["nbrun"] == {"a": "no", "b": "2020-01-01", "c": "007"}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a: &a [x]\nb: *a", ":2: anchors and aliases are refused"),
        ("a: 1\nb: !!python/object:os.system x", ":3: the tag"),
        ("a: 1\na: 2", ":3: duplicate key 'a'"),
        ("a: [1", "not YAML"),
        ("- a", "not a mapping"),
        ("a: " + "[" * 10_000, "nested"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 levels"),
        ("jupyter: [1]", ", line 1: `jupyter` in the header must be a mapping"),
        ("kernelspec: bash", ", line 1: `kernelspec` in the header must be a mapping"),
    ],
)
def test_hostile_or_wrong_header_is_refused(header: str, message: str, refuse: Refuse) -> None:
    assert message in refuse(f"---\n{header}\n---\n{BLOCK}")


def test_header_that_does_not_end_is_refused(refuse: Refuse) -> None:
    assert ", line 1: the header does not end" in refuse(f"---\na: 1\n\n{BLOCK}")


def test_script_in_another_encoding_is_refused(refuse: Refuse) -> None:
    assert "is in latin-1" in refuse("# -*- coding: latin-1 -*-\n# %%\n1\n", "x.py")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", ": is empty"),
        (b"\xef\xbb\xbf", ": is empty"),
        (b"\xff\xfea\0", ": is UTF-16"),
        (b"text\n\xff\n", ", line 2: not UTF-8"),
        (b"text\n\0\n", ", line 2: contains a NUL byte"),
        (b"```bash\na\rb\n```\n", ", line 2: contains a carriage return"),
        (b"x" * (2**20 + 1), ": has more than 1 MiB"),
        (b"x\n" * 10_001, ": has more than 1 MiB or 10,000 lines"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data: bytes, message: str, refuse: Refuse) -> None:
    assert message in refuse(data)


def test_crlf_and_byte_order_mark_are_no_part_of_a_cell(read: Read) -> None:
    text = "\ufeff---\nkernelspec: {name: bash}\n---\n```bash\na\nb\n```\n"
    parsed = read(text.replace("\n", "\r\n").encode())
    assert parsed.metadata["kernelspec"] == {"name": "bash"}
    assert code(parsed) == ["a\nb"]
    assert parsed.places.lines == (5,)


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_character_that_python_takes_for_a_line_end_stays(char: str, read: Read) -> None:
    assert code(read(f"```bash\nprintf 'a{char}b'\nls\n```\n")) == [f"printf 'a{char}b'\nls"]
    assert code(read(f"# %%\nx = 'a{char}b'\n", "x.py")) == [f"x = 'a{char}b'"]


def test_hash_is_that_of_the_exact_bytes(read: Read) -> None:
    texts: list[Any] = [BLOCK, BLOCK.replace("\n", "\r\n"), "\ufeff" + BLOCK, BLOCK + "\n"]
    assert len({read(text).sha256 for text in texts}) == 4
