"""The language of a text runbook's kernel, and its cells in other languages."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbrun.errors import RunbookError
from nbrun.runbook import notebook
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.text_formats import jupytext_adapter
from nbrun.runbook.text_formats.cell import TextCell

_SAME = {
    "sh": "bash",
    "shell": "bash",
    "py": "python",
    "python2": "python",
    "python3": "python",
    "ipython": "python",
    "ipython3": "python",
    "js": "javascript",
    "ts": "typescript",
    "c#": "csharp",
    "cs": "csharp",
    "f#": "fsharp",
    "fs": "fsharp",
    "pwsh": "powershell",
}
_OWN = frozenset(_SAME) | {"zsh", "fish"}  # jupytext would take some of them for text

# jupytext runs blocks of these by IPython's magics. To other kernels they are text.
_MARKUP = frozenset(("html", "latex", "markdown", "svg", "script"))


def canonical(language: str) -> str:
    """Return one name for all names of a language, in lower case."""
    name = language.lower()
    return _SAME.get(name, name)


def is_code(language: str) -> bool:
    """Return True if a block of Markdown in `language` may be code."""
    return language.lower() in _OWN or language.lower() in jupytext_adapter.languages()


def of_runbook(path: Path, metadata: Mapping[str, Any], cells: Iterable[TextCell]) -> str:
    """Return the language of the runbook's kernel: the header's, or else that of all blocks.

    The result is empty if no block says its language.

    Raises:
        RunbookError: the header says nothing, and the blocks have several languages.
    """
    stated = notebook.language(metadata) or _of_kernel(notebook.kernel_name(metadata))
    if stated:
        return canonical(stated)
    first: dict[str, TextCell] = {}
    for cell in cells:
        if cell.language and canonical(cell.language) not in _MARKUP:
            first.setdefault(canonical(cell.language), cell)
    if len(first) > 1:
        places = ", ".join(f"{cell.language} (line {cell.opening})" for cell in first.values())
        raise RunbookError(
            f"{path}: has blocks in several languages: {places}. Name the kernel in the header, "
            "or mark a block that is not a step: ```LANGUAGE .noeval"
        )
    return next(iter(first), "")


def _of_kernel(name: str | None) -> str:
    """Return the language that the name of a kernelspec says, such as python3; empty if none."""
    if not name:
        return ""
    language = language_name(name, None)
    return language if language != name or canonical(name) in ("bash", "python") else ""


def in_kernel(path: Path, cell: TextCell, language: str) -> TextCell:
    """Return a code cell as the kernel of the runbook's `language` runs it.

    A block in another language runs by IPython's magic of that name. To other kernels, markup is
    text.

    Raises:
        RunbookError: the kernel can't run it. The message names the line.
    """
    own = canonical(cell.language)
    if own == language or not cell.language:
        return replace(cell, options=_without_magic_arguments(cell.options))
    if language == "python" and cell.language.lower() in jupytext_adapter.languages():
        arguments = str(cell.options.get("magic_args", ""))
        magic = f"%%{cell.language.lower()} {arguments}".rstrip()
        return replace(
            cell,
            source=f"{magic}\n{cell.source}",
            line=cell.line - 1,
            options=_without_magic_arguments(cell.options),
        )
    if own in _MARKUP:
        source = f"```{cell.language}\n{cell.source}\n```"
        return replace(cell, kind="markdown", source=source, line=cell.line - 1)
    raise RunbookError(
        f"{path}, line {cell.opening}: a block of {cell.language}, and the kernel runs "
        f"{language}: mark it as no step: ```{cell.language} .noeval"
    )


def _without_magic_arguments(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "magic_args"}
