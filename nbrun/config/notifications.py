"""Read `[hooks]` and `[notify]` of an `nbrun.toml`: what is told elsewhere about a run, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from nbrun import units
from nbrun.config.toml_table import table_of
from nbrun.core.model import Occasion
from nbrun.errors import UsageError
from nbrun.runbook.parameters import sources

OCCASIONS: tuple[Occasion, ...] = get_args(Occasion)
AFTER = 30.0  # seconds that an attached operator has before others are told of a stop
TIMEOUT = 30.0  # seconds for a command or a service
LONGEST_TIMEOUT = 300.0
MOST_URLS = 8  # in one file: each is told on a thread of its own

_HOOKS = (*OCCASIONS, "timeout", "after", "env")
_NOTIFY = ("urls", "on", "timeout", "after")


@dataclass(frozen=True)
class HookSetting:
    """A command that nbrun runs on an occasion.

    `words`: the command and its arguments. `env`: the variables that it gets besides the usual
    ones. `timeout`, `after`: in seconds. `file`: where it is set.
    """

    on: Occasion
    words: tuple[str, ...]
    timeout: float
    after: float
    env: tuple[str, ...]
    file: Path


@dataclass(frozen=True)
class NotifySetting:
    """An apprise URL that nbrun sends a message to.

    `url`: the secret's source, as `@env:NAME`. `on`: the occasions.
    """

    url: str
    on: tuple[Occasion, ...]
    timeout: float
    after: float
    file: Path


def read_hooks(path: Path, value: Any) -> dict[str, Any]:
    """Return the commands that the table `[hooks]` of the file at `path` sets.

    Raises:
        UsageError: a key or a value is wrong.
    """
    table = table_of(path, "hooks", value, dict.fromkeys(_HOOKS))
    timeout, after = _timeout(path, "hooks", table), _after(path, "hooks", table)
    env = _names(path, table.get("env", []))
    return {
        "hooks": tuple(
            HookSetting(on, _words(path, on, table[on]), timeout, after, env, path)
            for on in OCCASIONS
            if on in table
        )
    }


def read_notify(path: Path, value: Any) -> dict[str, Any]:
    """Return the URLs that the table `[notify]` of the file at `path` sets.

    Raises:
        UsageError: a key or a value is wrong, or a URL is written there in clear text.
    """
    table = table_of(path, "notify", value, dict.fromkeys(_NOTIFY))
    timeout, after = _timeout(path, "notify", table), _after(path, "notify", table)
    urls = table.get("urls")
    if not isinstance(urls, list) or not 0 < len(urls) <= MOST_URLS:
        raise UsageError(f"{path}: notify.urls must be a list of 1 to {MOST_URLS} sources")
    on = table.get("on", list(OCCASIONS))
    if not isinstance(on, list) or not on or not all(each in OCCASIONS for each in on):
        raise UsageError(f"{path}: notify.on must be a list of {', '.join(OCCASIONS)}, not {on!r}")
    return {
        "notify": tuple(
            NotifySetting(_source(path, url), tuple(on), timeout, after, path) for url in urls
        )
    }


def _words(path: Path, key: str, value: Any) -> tuple[str, ...]:
    if not (isinstance(value, list) and value and all(isinstance(w, str) and w for w in value)):
        raise UsageError(
            f"{path}: hooks.{key} must be the list of a command's words, such as "
            f"['/usr/local/bin/page-me', '--urgent'], not {value!r}"
        )
    try:
        program = Path(value[0]).expanduser()
    except RuntimeError:
        raise UsageError(f"{path}: hooks.{key}: {value[0]!r} has no home folder") from None
    if "/" in value[0] and not program.is_absolute():
        raise UsageError(
            f"{path}: hooks.{key}: {value[0]!r} is a relative path: write the absolute path, or "
            "the name of a program on PATH"
        )
    return (str(program), *value[1:])


def _names(path: Path, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(name, str) and name and "=" not in name for name in value
    ):
        raise UsageError(f"{path}: hooks.env must be a list of names of variables, not {value!r}")
    return tuple(value)


def _source(path: Path, value: Any) -> str:
    """Check a source without reading it. The error does not quote it: it may be the secret."""
    if not isinstance(value, str) or sources.kind(value) not in sources.WITHOUT_TERMINAL:
        known = ", ".join(f"@{kind}:" for kind in sources.WITHOUT_TERMINAL)
        raise UsageError(
            f"{path}: notify.urls: an apprise URL contains secrets, so name where it is kept "
            f"({known}), such as '@file:~/.config/nbrun/chat-url'"
        )
    return value


def _timeout(path: Path, name: str, table: Mapping[str, Any]) -> float:
    seconds = _duration(path, f"{name}.timeout", table.get("timeout"), TIMEOUT)
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise UsageError(
            f"{path}: {name}.timeout must be more than 0 and at most {LONGEST_TIMEOUT / 60:.0f}m"
        )
    return seconds


def _after(path: Path, name: str, table: Mapping[str, Any]) -> float:
    return _duration(path, f"{name}.after", table.get("after"), AFTER)


def _duration(path: Path, key: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if not isinstance(value, str):
        raise UsageError(f"{path}: {key} must be a duration such as '30s', not {value!r}")
    return units.parse_duration(value, f"{path}: {key}")
