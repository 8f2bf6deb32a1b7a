"""`nbrun new`: write a new runbook from a template."""

import json
from importlib import resources
from pathlib import Path

from nbrun.errors import UsageError


def new(path: Path) -> Path:
    """Write a new runbook to `path`, and return its path, which always ends in .ipynb.

    Raises:
        UsageError: the file exists already, or can't be written.
    """
    target = path if path.suffix == ".ipynb" else path.with_name(f"{path.name}.ipynb")
    template = (
        resources.files("nbrun.cli.commands.write").joinpath("template.ipynb").read_text("utf-8")
    )
    title = target.stem.replace("-", " ").replace("_", " ").strip().capitalize() or "Runbook"
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(template.replace("TITLE", _in_json(title)))
    except FileExistsError:
        raise UsageError(f"{target}: exists already: choose another name") from None
    except OSError as error:
        raise UsageError(f"{target}: can't be written: {error.strerror}") from error
    return target


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
