"""What a team has set down in `nbrun.toml`."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbrun.errors import UsageError

_SYSLOG = re.compile(r"syslog(://[^/:\s]+:\d{1,5}|://\[[0-9a-fA-F:]+\]:\d{1,5})?")
FILE_NAME = "nbrun.toml"


@dataclass(frozen=True)
class Config:
    """The settings of the nearest `nbrun.toml`; all unset where there is none."""

    runs_dir: Path | None = None
    sign_key: Path | None = None
    forward: tuple[str, ...] = ()


def load(start: Path) -> Config:
    """The nearest `nbrun.toml` at or above the folder `start`.

    Raises:
        UsageError: it can't be read, or has a key that nbrun does not know.
    """
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if path.is_file():
            return _read(path)
    return Config()


def _read(path: Path) -> Config:
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: can't be read: {error}") from error
    read = Config(
        runs_dir=_path(path, "runs_dir", settings.pop("runs_dir", None), "folder"),
        sign_key=_path(path, "sign_key", settings.pop("sign_key", None), "file"),
        forward=_forward(path, settings.pop("journal", {})),
    )
    if settings:
        raise UsageError(
            f"{path}: unknown key {next(iter(settings))!r} (known: runs_dir, sign_key, journal)"
        )
    return read


def _path(path: Path, key: str, value: Any, kind: str) -> Path | None:
    """A relative one is below the file's own folder."""
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise UsageError(f"{path}: {key} must be the path of a {kind}, not {value!r}")
    try:
        return path.parent / Path(value).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: {key} {value!r}: that home can't be found") from error


def _forward(path: Path, journal: Any) -> tuple[str, ...]:
    """`syslog`, `syslog://HOST:PORT`, or the words of a command."""
    if not isinstance(journal, dict) or set(journal) - {"forward"}:
        raise UsageError(f"{path}: [journal] can hold forward alone")
    match journal.get("forward"):
        case None:
            return ()
        case str(target) if _SYSLOG.fullmatch(target):
            return (target,)
        case [str(), *_] as words if all(isinstance(word, str) and word for word in words):
            return tuple(words)
    raise UsageError(
        f"{path}: [journal] forward must be 'syslog', 'syslog://HOST:PORT' or the list of a "
        f"command's words, not {journal['forward']!r}"
    )
