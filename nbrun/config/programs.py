"""Read `[policy.programs]` of an `nbrun.toml`: what programs may do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbrun.config.toml_table import table_of
from nbrun.core.choices.programs import DECISIONS, IMPACTS
from nbrun.errors import UsageError

_KEYS: dict[str, Callable[[Any], bool]] = {
    "propose": lambda value: isinstance(value, bool),
    "decide": lambda value: isinstance(value, list) and all(name in DECISIONS for name in value),
    "impact": lambda value: value in IMPACTS,
    "one_step": lambda value: isinstance(value, bool),
}
_HINTS = {
    "propose": "must be true or false",
    "decide": f"must be a list of {', '.join(DECISIONS)}",
    "impact": f"must be one of {', '.join(IMPACTS)}",
    "one_step": "must be true or false",
}


def program_policy(path: Path, value: Any) -> dict[str, Any]:
    """Return the fields of `ProgramPolicy` that the table sets.

    Raises:
        UsageError: a key or a value is wrong.
    """
    table = table_of(path, "policy.programs", value, _KEYS)
    for key, setting in table.items():
        if not _KEYS[key](setting):
            raise UsageError(f"{path}: policy.programs.{key}: {setting!r}: {_HINTS[key]}")
    return {key: tuple(each) if isinstance(each, list) else each for key, each in table.items()}
