"""Options of a cell, from each format's way to write them, as metadata of a notebook's cell."""

import json
import re
from pathlib import Path
from typing import Any

from nbrun.errors import ParameterError, RunbookError
from nbrun.runbook import contract
from nbrun.runbook.parameters import yaml_file
from nbrun.runbook.text_formats import jupytext_adapter
from nbrun.runbook.text_formats.jupytext_adapter import unreadable_options

MAX_LENGTH = 2_000  # characters of a line with options: jupytext's parser takes quadratic time

# A key and the beginning of a value; the value of a key is a JSON value, or a bare word
_KEY = re.compile(r"\s*(?P<key>[\w.@/-]+)\s*=\s*")
_WORD = re.compile(r"'(?P<quoted>[^']*)'|(?P<bare>[^\s\"'{}\[\],]+)")
_AFTER_VALUE = re.compile(r"\s*,\s*|\s+|\Z")
_RUNME_REFUSED = {
    "background": "a step runs to its end: start a service in the background in the code",
    "cwd": "all steps run in one folder: write `cd` in the code",
    "interpreter": "all steps run in one kernel",
}
_YES = (True, "true")

# Options of nbrun's own that have no effect beside `nbrun` and `tags`
_MISPLACED = (frozenset(contract.CELL) | contract.TAGS) - {"title", "parameters"}


def of_block(path: Path, line: int, text: str) -> dict[str, Any]:
    """Return the options in `text`, which follows the language of a block in Markdown.

    Raises:
        RunbookError: they can't be read. The message names the line.
    """
    text = text.strip()
    if not text:
        return {}
    refuse_long_line(path, line, text)
    found = jupytext_adapter.block_options(text)
    if found is None:
        found = _attributes(text)
    if found is None:
        raise unreadable_options(path, line, text)
    return found


def refuse_long_line(path: Path, line: int, text: str) -> None:
    """Raise RunbookError if a line with options is longer than any that a person writes."""
    if len(text) > MAX_LENGTH:
        raise RunbookError(
            f"{path}, line {line}: has more than {MAX_LENGTH:,} characters of options: shorten it"
        )


def _attributes(text: str) -> dict[str, Any] | None:
    """Parse `{ name=x interactive=false }`, as Runme writes it, or `name=x`; None for others."""
    inner = text[1:-1].strip() if text.startswith("{") and text.endswith("}") else text
    found: dict[str, Any] = {}
    end = 0
    while end < len(inner):
        key = _KEY.match(inner, end)
        value = _value(inner, key.end()) if key else None
        after = _AFTER_VALUE.match(inner, value[1]) if value else None
        if key is None or value is None or after is None or key["key"] in found:
            return None
        found[key["key"]], end = value[0], after.end()
    return found


def _value(text: str, at: int) -> tuple[Any, int] | None:
    """Return the value that begins at the index `at`, and the index after it."""
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
        if _AFTER_VALUE.match(text, end):  # otherwise a word such as 1st
            return value, end
    except (ValueError, RecursionError):
        pass
    word = _WORD.match(text, at)
    return (word["quoted"] or word["bare"] or "", word.end()) if word else None


def from_yaml(path: Path, line: int, lines: list[str]) -> dict[str, Any]:
    """Return the options in `lines` of YAML, the first of which is at `line` of the file.

    Raises:
        RunbookError: they are not a mapping. The message names the line.
    """
    text = "\n" * (line - 1) + "\n".join(lines)
    try:
        found = yaml_file.read_mapping(path, text) or {}
    except ParameterError as error:
        raise RunbookError(str(error)) from None
    return {key: raw.value for key, raw in found.items()}


def is_ignored(options: dict[str, Any]) -> bool:
    """Return True if a block is text: marked `.noeval` for jupytext, or `ignore` for Runme."""
    return ".noeval" in options or options.get("ignore") in _YES


def metadata(path: Path, line: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return `options` as the metadata of a notebook's cell.

    `title`, or else `name`, becomes the step's title. A cell that its author does not want to be
    evaluated gets the tag `skip-execution`.

    Raises:
        RunbookError: an option has no effect here, or one that nbrun can't have. The message names
            the line.
    """
    _refuse(path, line, options)
    # `id` and `name` stay, so that a record shows which ids its file gave.
    found = {key: value for key, value in options.items() if key != "eval"}
    if options.get("eval") is False:
        tags = found.get("tags", [])
        found["tags"] = [*tags, "skip-execution"] if isinstance(tags, list) else tags
    title = next((found[key] for key in ("title", "name") if _is_text(found.get(key))), None)
    own = found.get("nbrun", {})
    if title is not None and isinstance(own, dict):
        found["nbrun"] = {"title": title, **own}
    return found


def explicit_id(path: Path, line: int, options: dict[str, Any]) -> str:
    """Return the `id` or the `name` that the file gives a cell; empty without one.

    Raises:
        RunbookError: it is not a name.
    """
    for key in ("id", "name"):
        value = options.get(key)
        if value is not None and not _is_text(value):
            raise RunbookError(f"{path}, line {line}: `{key}` must be a name, in quotes")
        if value is not None:
            return str(value).strip()
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _refuse(path: Path, line: int, options: dict[str, Any]) -> None:
    where = f"{path}, line {line}"
    for key, value in options.items():
        if key in _RUNME_REFUSED and value not in (False, "false", ""):
            raise RunbookError(f"{where}: nbrun has no `{key}`: {_RUNME_REFUSED[key]}")
        if key in _MISPLACED:
            own = 'tags=["…"]' if key in contract.TAGS else 'nbrun={"…": …}'
            raise RunbookError(f"{where}: `{key}` has no effect as an option: write it in {own}")
    if options.get("eval", True) not in (True, False):
        raise RunbookError(
            f"{where}: `eval` must be true or false, as nothing is known before the run"
        )
