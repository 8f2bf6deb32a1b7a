"""The kernel of a text runbook: from its header, or from the language of its blocks."""

import pytest

from nbrun.runbook.notebook import kernel_name, language
from tests.runbook.text_formats.conftest import Read, Refuse, cells, code


def header(kernel: str) -> str:
    return f"---\njupyter:\n  kernelspec:\n    {kernel}\n---\n\n"


@pytest.mark.parametrize("fence", ["bash", "sh", "shell", "BASH"])
def test_file_without_header_takes_the_language_of_its_blocks(fence: str, read: Read) -> None:
    parsed = read(f"```{fence}\nls\n```\n\n```bash\nls\n```\n")
    assert (kernel_name(parsed.metadata), language(parsed.metadata)) == (None, "bash")
    assert parsed.language == "bash"
    assert code(parsed) == ["ls", "ls"]


def test_mixed_blocks_without_header_are_refused_with_their_lines(refuse: Refuse) -> None:
    message = refuse("```bash\nls\n```\n\n```python\n1\n```\n\n```sh\nls\n```\n")
    assert message.startswith(": has blocks in several languages: bash (line 1), python (line 5).")
    assert ".noeval" in message


def test_markup_is_text_to_a_kernel_that_is_not_python(read: Read) -> None:
    parsed = read("```bash\nls\n```\n\n```html\n<b>\n```\n")
    assert code(parsed) == ["ls"]
    assert cells(parsed)[1]["source"] == "```html\n<b>\n```"


def test_other_language_runs_by_the_magic_of_a_python_kernel(read: Read) -> None:
    parsed = read(header("name: python3") + "```python\n1\n```\n\n```sh\nls\n```\n")
    assert code(parsed) == ["1", "%%sh\nls"]
    assert parsed.places.lines == (8, 11)  # the magic is at the line of the fence


def test_magic_gets_its_arguments(read: Read) -> None:
    text = '```python\n1\n```\n\n```bash magic_args="-x" name="x"\nls\n```\n'
    parsed = read(header("name: python3") + text)
    assert code(parsed)[1] == "%%bash -x\nls"
    assert cells(parsed)[1]["metadata"] == {"name": "x", "nbrun": {"title": "x"}}


@pytest.mark.parametrize("kernel", ["name: bash", "{name: my-shell, language: bash}"])
def test_other_language_is_refused_for_other_kernels(kernel: str, refuse: Refuse) -> None:
    text = header(kernel) + "```bash\nls\n```\n\n```python\n1\n```\n"
    assert ", line 11: a block of python, and the kernel runs bash" in refuse(text)


def test_kernel_of_unknown_language_takes_that_of_the_blocks(read: Read) -> None:
    parsed = read(header("name: my-shell") + "```sh\nls\n```\n")
    assert (kernel_name(parsed.metadata), language(parsed.metadata)) == ("my-shell", "bash")
    assert parsed.language == ""


def test_python_header_without_language_does_not_send_shell_to_python(read: Read) -> None:
    """jupytext counts the blocks, and takes the language of the most."""
    text = header("name: python3") + "```bash\nls\n```\n\n```bash\nls\n```\n"
    assert code(read(text)) == ["%%bash\nls", "%%bash\nls"]


def test_script_has_the_language_of_its_suffix(read: Read) -> None:
    parsed = read("#!/bin/bash\n# %%\nls\n", "x.sh")
    assert parsed.language == "bash"
    assert language(parsed.metadata) == "bash"
