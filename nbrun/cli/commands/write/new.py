"""`nbrun new`: write a new runbook from a template."""

import json
from importlib import resources
from pathlib import Path
from typing import Literal

from nbrun.errors import UsageError

Format = Literal["ipynb", "md"]


def new(path: Path, format_: Format | None = None) -> Path:
    """Write a new runbook to `path`, and return its path, which always ends with its format.

    Without `format_`, the end of `path` says the format; a notebook is the default.

    Raises:
        UsageError: the file exists already, can't be written, or has the end of another format.
    """
    kind, target = _target(path, format_)
    template = resources.files("nbrun.cli.commands.write").joinpath(f"template.{kind}")
    title = target.stem.replace("-", " ").replace("_", " ").strip().capitalize() or "Runbook"
    written = _in_json(title) if kind == "ipynb" else _in_heading(title)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(template.read_text("utf-8").replace("TITLE", written))
    except FileExistsError:
        raise UsageError(f"{target}: exists already: choose another name") from None
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return target


def _target(path: Path, format_: Format | None) -> tuple[Format, Path]:
    stated: Format | None = "ipynb" if path.suffix == ".ipynb" else None
    stated = "md" if path.suffix == ".md" else stated
    if stated and format_ and stated != format_:
        raise UsageError(f"{path}: --format {format_} needs a name without {path.suffix}")
    kind = format_ or stated or "ipynb"
    return kind, path if stated else path.with_name(f"{path.name}.{kind}")


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_heading(text: str) -> str:
    """Return `text` as one line, which can't begin a block of code."""
    return "".join(char if char.isprintable() else " " for char in text)
