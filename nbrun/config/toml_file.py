"""Read one `nbrun.toml`: its keys, each checked, with the words of the error if one is wrong."""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nbrun import units
from nbrun.config.programs import program_policy
from nbrun.config.toml_table import refuse_unknown, table_of
from nbrun.core.bounded_patterns import BoundedPattern
from nbrun.core.model import ApproverFile, DeviationKind
from nbrun.errors import UsageError
from nbrun.runbook import contract
from nbrun.runbook.trust.repository import is_branch_name
from nbrun.runbook.trust.rules import CommittedRule, RunbookRule, SignedRule

if TYPE_CHECKING:
    from nbrun.kernel.remote.settings import GatewaySettings
    from nbrun.kernel.roles.roles import Role

_SYSLOG = re.compile(r"syslog(://[^/:\s]+:\d{1,5}|://\[[0-9a-fA-F:]+\]:\d{1,5})?")


def settings_in(path: Path, content: bytes) -> dict[str, Any]:
    """Return the fields of `settings.Config` that the file at `path` sets.

    Raises:
        UsageError: the file is not TOML, has an unknown key, or a wrong value.
    """
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: can't be read: {error}") from error
    refuse_unknown(path, "", table, _READERS)
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _READERS[key](path, value)
    return found


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
    table = table_of(path, "journal", value, dict.fromkeys(_JOURNAL))
    return {key: read(path, table) for key, read in _JOURNAL.items() if key in table}


def _max_output(path: Path, journal: Mapping[str, Any]) -> int:
    """Return a limit in bytes from a size such as `"64MiB"` or a number; 0 for no limit."""
    match journal["max_output"]:
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
    match journal["forward"]:
        case str(target) if _SYSLOG.fullmatch(target):
            return (target,)
        case [str(), *_] as words if all(isinstance(word, str) and word for word in words):
            return tuple(words)
    raise UsageError(
        f"{path}: [journal] forward must be 'syslog', 'syslog://HOST:PORT' or the list of a "
        f"command's words, not {journal['forward']!r}"
    )


def _redact(path: Path, value: Any) -> dict[str, Any]:
    patterns = table_of(path, "redact", value, {"patterns": list}).get("patterns", [])
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
        found = BoundedPattern(pattern)
    except ValueError as error:
        raise UsageError(f"{where} is not a regular expression: {error}") from None
    if found.found_in("", seconds=1):
        raise UsageError(f"{where} matches the empty string, and so everywhere")


def _defaults(path: Path, value: Any) -> dict[str, Any]:
    for fault in contract.setting_faults("defaults", value, contract.DEFAULTS):
        raise UsageError(f"{path}: {fault}")
    return {"defaults": value}


def _policy(path: Path, value: Any) -> dict[str, Any]:
    known = (*_POLICY, "strict", "approvers", "programs")
    table = table_of(path, "policy", value, dict.fromkeys(known))
    if not isinstance(table.get("strict", False), bool):
        raise UsageError(f"{path}: policy.strict must be true or false, not {table['strict']!r}")
    found: dict[str, Any] = {}
    for key, setting in table.items():
        match key:
            case "approvers":
                found |= _approvers(path, setting)
            case "programs":
                found[key] = program_policy(path, setting)
            case "strict":
                found[key] = setting
            case _:
                found[key] = _deviation_kinds(path, f"policy.{key}", setting)
    return found


def _approvers(path: Path, value: Any) -> dict[str, Any]:
    """Return the settings in `approvers`: a group, or a table as in a step's contract."""
    setting = {"group": value} if isinstance(value, str) else value
    if not contract.is_approval(setting):
        raise UsageError(
            f"{path}: policy.approvers must be the name of a group, or a table as in "
            f"{contract.APPROVAL_WORDS}, not {value!r}"
        )
    rule = contract.approval_rule(setting)
    found = {"approvers": rule.group, "approvals": rule.count, "approve_within": rule.within}
    return {key: each for key, each in found.items() if each not in ("", None)}


_POLICY = ("allow", "need_reason", "need_approval")  # lists of kinds of deviations


def _deviation_kinds(path: Path, key: str, value: Any) -> tuple[DeviationKind, ...]:
    kinds = get_args(DeviationKind)
    if not isinstance(value, list) or not all(kind in kinds for kind in value):
        raise UsageError(
            f"{path}: {key} must be a list of {', '.join(sorted(kinds))}, not {value!r}"
        )
    return tuple(value)


def _runbooks(path: Path, value: Any) -> dict[str, Any]:
    """Return the rules that say which runbooks may run."""
    table = table_of(
        path, "runbooks", value, dict.fromkeys(("require_signed", "require_commit_on"))
    )
    rules: list[RunbookRule] = []
    if "require_signed" in table:
        key = "[runbooks] require_signed"
        signers = _path(path, key, table["require_signed"], "file of allowed signers")
        rules.append(SignedRule(signers, path))
    if "require_commit_on" in table:
        branch = table["require_commit_on"]
        if not isinstance(branch, str) or not is_branch_name(branch):
            raise UsageError(
                f"{path}: [runbooks] require_commit_on must be the name of a branch, such as "
                f"'main' or 'origin/main', not {branch!r}"
            )
        rules.append(CommittedRule(branch, path))
    return {"runbook_rules": tuple(rules)}


def _approver_keys(path: Path, value: Any) -> dict[str, Any]:
    """Return the files of keys by group."""
    named = table_of(path, "approvers", value, value if isinstance(value, dict) else {})
    return {
        "approver_keys": {
            group: ApproverFile(
                path=str(_path(path, f"[approvers] {group}", file, "file of allowed signers")),
                settings=str(path),
            )
            for group, file in named.items()
        }
    }


def _roles(path: Path, value: Any) -> dict[str, Any]:
    named = table_of(path, "roles", value, value if isinstance(value, dict) else {})
    return {"roles": {name: _role(path, name, settings) for name, settings in named.items()}}


def _role(path: Path, name: str, value: Any) -> "Role":
    from nbrun.kernel.roles import config  # only for a file that has roles

    key = f"roles.{name}"
    settings = table_of(path, key, value, dict.fromkeys(config.KEYS))
    return config.role(f"{path}: {key}", name, settings)


def _hooks(path: Path, value: Any) -> dict[str, Any]:
    from nbrun.config import notifications  # only for a file that has them

    return notifications.read_hooks(path, value)


def _notify(path: Path, value: Any) -> dict[str, Any]:
    from nbrun.config import notifications

    return notifications.read_notify(path, value)


def _gateway(path: Path, value: Any) -> "dict[str, GatewaySettings]":
    from nbrun.kernel.remote import settings  # only for a file that has a gateway

    found = table_of(path, "gateway", value, dict.fromkeys(settings.KEYS))
    return {"gateway": settings.from_table(f"{path}: gateway", path, found)}


_JOURNAL: dict[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "forward": _forward,
    "max_output": _max_output,
}
_READERS: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
    "approvers": _approver_keys,
    "defaults": _defaults,
    "gateway": _gateway,
    "hooks": _hooks,
    "journal": _journal,
    "notify": _notify,
    "policy": _policy,
    "redact": _redact,
    "roles": _roles,
    "runbooks": _runbooks,
    "runs_dir": _runs_dir,
    "sign_key": _sign_key,
}
