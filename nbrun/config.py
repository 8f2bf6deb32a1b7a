"""Read a team's settings from `nbrun.toml`."""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nbrun import units
from nbrun.core.foreign_patterns import ForeignPattern
from nbrun.core.model import DeviationKind
from nbrun.errors import UsageError
from nbrun.runbook import contract
from nbrun.system import state_folder

if TYPE_CHECKING:
    from nbrun.kernel.roles.roles import Role

_SYSLOG = re.compile(r"syslog(://[^/:\s]+:\d{1,5}|://\[[0-9a-fA-F:]+\]:\d{1,5})?")
FILE_NAME = "nbrun.toml"


@dataclass(frozen=True)
class Config:
    """The settings of one `nbrun.toml`, or of none: then every setting has its default.

    Attributes:
        max_output: bytes; 0 for no limit, None if the file does not set it.
        redact_patterns: regular expressions of text to keep out of every record.
        defaults: contract settings of all steps (see `runbook.contract`).
        strict, allow, need_reason, need_approval, approvers: as in `core.model.Policy`.
    """

    runs_dir: Path | None = None
    sign_key: Path | None = None
    forward: tuple[str, ...] = ()
    max_output: int | None = None
    redact_patterns: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    allow: tuple[DeviationKind, ...] | None = None
    need_reason: tuple[DeviationKind, ...] = ()
    need_approval: tuple[DeviationKind, ...] = ()
    approvers: str = ""
    roles: "Mapping[str, Role]" = field(default_factory=dict)

    def role(self, name: str) -> "Role":
        """Return the role `name`.

        Raises:
            UsageError: the file has no such role. The message lists the roles that it has.
        """
        if name not in self.roles:
            known = ", ".join(sorted(self.roles)) or "none"
            raise UsageError(f"there is no role {name!r} in {FILE_NAME} (known: {known})")
        return self.roles[name]


def load(start: Path) -> Config:
    """Return the settings of the nearest `nbrun.toml` in the folder `start` or above it.

    Raises:
        UsageError: the file can't be read, has an unknown key, or a wrong value.
    """
    return _nearest(start) or Config()


def runs_dir(option: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that contains the runs.

    It is `option` (`--runs-dir`), else `NBRUN_RUNS_DIR`, else `runs_dir` in the nearest nbrun.toml,
    else the platform's folder for state.

    Raises:
        UsageError: an nbrun.toml can't be read.
    """
    if option is not None:
        return option.absolute()
    if environ.get("NBRUN_RUNS_DIR"):
        return Path(environ["NBRUN_RUNS_DIR"]).absolute()
    configured = load(Path.cwd()).runs_dir
    if configured is not None:
        return configured
    return state_folder.state_path("runs")


def load_for(runbook: Path) -> Config:
    """Return the settings for a runbook: of the nearest file to the runbook, else to the working
    folder.

    Raises:
        UsageError: as `load` does.
    """
    return _nearest(runbook.parent) or load(Path.cwd())


def _nearest(start: Path) -> Config | None:
    for folder in (start, *start.parents):
        path = folder / FILE_NAME
        if path.is_file():
            return _read(path)
    return None


def _read(path: Path) -> Config:
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: can't be read: {error}") from error
    _refuse_unknown(path, "", settings, _READERS)
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _READERS[key](path, value)
    return Config(**found)


def _refuse_unknown(
    path: Path, table: str, settings: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    for key in settings:
        if key not in known:
            raise UsageError(
                f"{path}: unknown key {table + key!r} (known: {', '.join(sorted(known))})"
            )


def _table(path: Path, name: str, value: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {name} must be a table, [{name}], not {value!r}")
    _refuse_unknown(path, f"{name}.", value, known)
    return value


def _runs_dir(path: Path, value: Any) -> dict[str, Any]:
    return {"runs_dir": _path(path, "runs_dir", value, "folder")}


def _sign_key(path: Path, value: Any) -> dict[str, Any]:
    return {"sign_key": _path(path, "sign_key", value, "file")}


def _path(path: Path, key: str, value: Any, kind: str) -> Path:
    """Return the path that `key` sets. A relative path starts at the folder of nbrun.toml."""
    if not isinstance(value, str) or not value:
        raise UsageError(f"{path}: {key} must be the path of a {kind}, not {value!r}")
    try:
        return path.parent / Path(value).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path}: {key} {value!r}: its home directory can't be found") from error


def _journal(path: Path, value: Any) -> dict[str, Any]:
    table = _table(path, "journal", value, dict.fromkeys(("forward", "max_output")))
    return {"forward": _forward(path, table), "max_output": _max_output(path, table)}


def _max_output(path: Path, journal: Mapping[str, Any]) -> int | None:
    """Return a limit in bytes from a size such as `"64MiB"` or a number; 0 for no limit."""
    match journal.get("max_output"):
        case None:
            return None
        case bool() as wrong:
            raise UsageError(f"{path}: [journal] max_output must be a size, not {wrong!r}")
        case str(size):
            return units.parse_size(size, f"{path}: [journal] max_output")
        case int(count) if count >= 0:
            return count
    raise UsageError(
        f"{path}: [journal] max_output must be a size such as '64MiB', or 0 for no limit, not "
        f"{journal['max_output']!r}"
    )


def _forward(path: Path, journal: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `syslog`, `syslog://HOST:PORT`, or the words of a command."""
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


def _redact(path: Path, value: Any) -> dict[str, Any]:
    patterns = _table(path, "redact", value, {"patterns": list}).get("patterns", [])
    if not isinstance(patterns, list):
        raise UsageError(f"{path}: redact.patterns must be a list of strings, not {patterns!r}")
    for pattern in patterns:
        _check_pattern(path, pattern)
    return {"redact_patterns": tuple(patterns)}


def _check_pattern(path: Path, pattern: Any) -> None:
    where = f"{path}: redact.patterns: {pattern!r}"
    if not isinstance(pattern, str):
        raise UsageError(f"{where} is not a string")
    try:
        found = ForeignPattern(pattern)
    except ValueError as error:
        raise UsageError(f"{where} is not a regular expression: {error}") from None
    if found.found_in("", seconds=1):
        raise UsageError(f"{where} matches the empty string, and so everywhere")


def _defaults(path: Path, value: Any) -> dict[str, Any]:
    for fault in contract.setting_faults("defaults", value, contract.DEFAULTS):
        raise UsageError(f"{path}: {fault}")
    return {"defaults": value}


def _policy(path: Path, value: Any) -> dict[str, Any]:
    table = _table(path, "policy", value, dict.fromkeys((*_POLICY, "strict", "approvers")))
    if not isinstance(table.get("strict", False), bool):
        raise UsageError(f"{path}: policy.strict must be true or false, not {table['strict']!r}")
    approvers = table.get("approvers", "root")
    if not isinstance(approvers, str) or not approvers:
        raise UsageError(f"{path}: policy.approvers must be the name of a group, not {approvers!r}")
    return {
        key: _deviation_kinds(path, f"policy.{key}", setting) if key in _POLICY else setting
        for key, setting in table.items()
    }


_POLICY = ("allow", "need_reason", "need_approval")  # lists of kinds of deviations


def _deviation_kinds(path: Path, key: str, value: Any) -> tuple[DeviationKind, ...]:
    kinds = get_args(DeviationKind)
    if not isinstance(value, list) or not all(kind in kinds for kind in value):
        raise UsageError(
            f"{path}: {key} must be a list of {', '.join(sorted(kinds))}, not {value!r}"
        )
    return tuple(value)


def _roles(path: Path, value: Any) -> dict[str, Any]:
    named = _table(path, "roles", value, value if isinstance(value, dict) else {})
    return {"roles": {name: _role(path, name, settings) for name, settings in named.items()}}


def _role(path: Path, name: str, value: Any) -> "Role":
    from nbrun.kernel.roles import config  # only for a file that has roles

    key = f"roles.{name}"
    settings = _table(path, key, value, dict.fromkeys(config.KEYS))
    return config.role(f"{path}: {key}", name, settings)


_READERS: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
    "defaults": _defaults,
    "journal": _journal,
    "policy": _policy,
    "redact": _redact,
    "roles": _roles,
    "runs_dir": _runs_dir,
    "sign_key": _sign_key,
}
