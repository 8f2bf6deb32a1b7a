"""Tables of an `nbrun.toml`, whose keys are checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbrun.errors import UsageError


def refuse_unknown(
    path: Path, table: str, settings: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """Raise UsageError for a key that is not one of `known`."""
    for key in settings:
        if key not in known:
            raise UsageError(
                f"{path}: unknown key {table + key!r} (known: {', '.join(sorted(known))})"
            )


def table_of(path: Path, name: str, value: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table `name`.

    Raises:
        UsageError: it is no table, or has a key that is not one of `known`.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {name} must be a table, [{name}], not {value!r}")
    refuse_unknown(path, f"{name}.", value, known)
    return value
