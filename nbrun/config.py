"""What a team has set down in `nbrun.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from nbrun.errors import UsageError

FILE_NAME = "nbrun.toml"


@dataclass(frozen=True)
class Config:
    """The settings of the nearest `nbrun.toml`; all unset where there is none."""

    runs_dir: Path | None = None


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
    runs_dir = settings.pop("runs_dir", None)
    if settings:
        raise UsageError(f"{path}: unknown key {next(iter(settings))!r} (known: runs_dir)")
    if runs_dir is None:
        return Config()
    if not isinstance(runs_dir, str) or not runs_dir:
        raise UsageError(f"{path}: runs_dir must be the path of a folder, not {runs_dir!r}")
    try:
        return Config(runs_dir=path.parent / Path(runs_dir).expanduser())
    except RuntimeError as error:
        raise UsageError(f"{path}: runs_dir {runs_dir!r}: that home can't be found") from error
