"""The settings of a run, merged from every `nbrun.toml` that applies to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbrun.core.choices.programs import IMPACTS
from nbrun.core.model import ApproverFile, DeviationKind, ProgramPolicy, SettingsFile
from nbrun.errors import UsageError
from nbrun.runbook.trust.rules import RunbookRule

if TYPE_CHECKING:
    from nbrun.config.notifications import HookSetting, NotifySetting
    from nbrun.kernel.remote.settings import GatewaySettings
    from nbrun.kernel.roles.roles import Role

# Settings that run a program, or send or sign something on this user's behalf.
NEEDS_TRUST = (
    "forward",
    "sign_key",
    "roles",
    "hooks",
    "notify",
    "gateway",
    "approver_keys",
)
# Settings of /etc/nbrun.toml that no nearer file changes. Those of a policy are not listed:
# they only become stricter, whichever file sets them.
_LOCKED = ("forward", "sign_key", "max_output", "approvers", "gateway")
# Lists that add up, without a duplicate.
_ADD_UP = (
    "redact_patterns",
    "runbook_rules",
    "need_reason",
    "need_approval",
    "hooks",
    "notify",
)
_NAMES = {
    "forward": "[journal] forward",
    "gateway": "[gateway]",
    "max_output": "[journal] max_output",
    "hooks": "[hooks]",
    "notify": "[notify]",
    "programs.decide": "[policy.programs] decide",
    "programs.impact": "[policy.programs] impact",
}
# What programs may decide without a person: a file that is not trusted can only make it less.
_OF_PROGRAMS: Mapping[str, Any] = {"programs.decide": (), "programs.impact": "none"}
HERE = "none"  # instead of a gateway's URL: kernels run on this machine


@dataclass(frozen=True)
class Config:
    """The settings of no file: then every setting has its default. See `merge` for several.

    Attributes:
        max_output: bytes; 0 for no limit, None if no file sets it.
        redact_patterns: regular expressions of text to keep out of every record.
        defaults: contract settings of all steps (see `runbook.contract`).
        runbook_rules: which runbooks may run; every one of them holds.
        strict, allow, need_reason, need_approval, approvers, approvals, approve_within, programs:
            as in `core.model.Policy`.
        approver_keys: the files of keys whose signatures approve, by group.
        hooks, notify: what is told elsewhere about a run, by all files.
        gateway: where kernels run; None for this machine.
        role_users: the accounts that any role of any file acts as. They may not approve, and so
            roles of files that are not trusted, or are overridden, count as well.
        files: the files that apply, the nearest last.
        notices: settings of a nearer file that /etc/nbrun.toml overrides, in words.
        untrusted: why a setting that needs trust is not used, by its name; a role's is
            `roles.NAME`.
    """

    runs_dir: Path | None = None
    sign_key: Path | None = None
    forward: tuple[str, ...] = ()
    max_output: int | None = None
    redact_patterns: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    runbook_rules: tuple[RunbookRule, ...] = ()
    strict: bool = False
    allow: tuple[DeviationKind, ...] | None = None
    need_reason: tuple[DeviationKind, ...] = ()
    need_approval: tuple[DeviationKind, ...] = ()
    approvers: str = ""
    approvals: int = 1
    approve_within: float | None = None
    programs: ProgramPolicy = field(default_factory=ProgramPolicy)
    approver_keys: Mapping[str, ApproverFile] = field(default_factory=dict)
    roles: "Mapping[str, Role]" = field(default_factory=dict)
    gateway: "GatewaySettings | None" = None
    role_users: frozenset[str] = frozenset()
    hooks: "tuple[HookSetting, ...]" = ()
    notify: "tuple[NotifySetting, ...]" = ()
    files: tuple[SettingsFile, ...] = ()
    notices: tuple[str, ...] = ()
    untrusted: Mapping[str, str] = field(default_factory=dict)

    def role(self, name: str) -> "Role":
        """Return the role `name`.

        Raises:
            UsageError: no file has such a role, or the file that has it is not trusted. The message
                lists the roles that there are.
        """
        self._check_trust(f"roles.{name}")
        if name not in self.roles:
            known = ", ".join(sorted(self.roles)) or "none"
            raise UsageError(f"there is no role {name!r} in nbrun.toml (known: {known})")
        return self.roles[name]

    def gateway_for(self, option: str | None) -> "GatewaySettings | None":
        """Return the gateway of a run: that of `option`, `--gateway`, else that of the files.

        A gateway that no file describes gets the token in Jupyter's own variable, if that is set.

        Raises:
            UsageError: `option` is not a URL, or the file that has a gateway is not trusted.
        """
        if option is None:
            self._check_trust("gateway")
            return self.gateway
        if option == HERE:
            return None
        from nbrun.kernel.remote import settings

        url = settings.checked_url("--gateway", option)
        return self.gateway if self.gateway and self.gateway.url == url else settings.of_option(url)

    def check_trust(self, *names: str) -> None:
        """Check that the settings `names` are set by files that this user trusts, or by none.

        Without names, check all of NEEDS_TRUST but roles, which have names of their own.

        Raises:
            UsageError: a file that is not trusted sets one. The message names file, key and remedy.
        """
        wanted = names or [name for name in NEEDS_TRUST if name != "roles"]
        for name in self.untrusted:
            if name.partition(".")[0] in wanted:
                self._check_trust(name)

    def _check_trust(self, name: str) -> None:
        if name in self.untrusted:
            raise UsageError(self.untrusted[name])


@dataclass(frozen=True)
class FoundFile:
    """One file, and the fields of `Config` that it sets.

    `is_system`: it is /etc/nbrun.toml, which nearer files can't weaken.
    """

    file: SettingsFile
    values: Mapping[str, Any]
    is_trusted: bool = True
    is_system: bool = False


def merge(files: Sequence[FoundFile]) -> Config:
    """Return the settings of several files, the nearest last.

    The nearest file that sets a key counts, except:

    - A policy, the rules about runbooks and the patterns of `redact` only become stricter: rules,
      patterns and lists of what needs a reason or an approval add up, `allow` is what every file
      allows, `strict` is set by any. Of the number of approvals the highest counts, of the times
      that they hold the shortest. Programs may do what every file lets them that says so.
    - Hooks and notifications add up.
    - No nearer file changes what the system's file sets of `_LOCKED`, or its roles.
    - A file that is not trusted sets nothing of NEEDS_TRUST, and lets programs decide nothing that
      the files before it do not.
    """
    merged: dict[str, Any] = {"defaults": {}, "roles": {}, "approver_keys": {}}
    locked: dict[str, str] = {}
    notices: list[str] = []
    untrusted: dict[str, str] = {}
    for found in files:
        for name, value in _single(found.values):
            if (by := _locked_by(name, locked)) is not None:
                notices.append(_overridden(found, name, by))
            elif not found.is_trusted and name.partition(".")[0] in NEEDS_TRUST:
                untrusted[name] = _not_trusted(found, name)
            else:
                if name not in _ADD_UP:
                    untrusted.pop(name, None)
                if not found.is_trusted and name in _OF_PROGRAMS:
                    merged.setdefault(name, _OF_PROGRAMS[name])
                    notices.append(_not_loosened(found, name))
                _add(merged, name, value)
                if found.is_system and (name in _LOCKED or _is_named(name)):
                    locked[name] = found.file.path
    return Config(
        **_with_programs(merged),
        role_users=_role_users(files),
        files=tuple(found.file for found in files),
        notices=tuple(notices),
        untrusted=untrusted,
    )


def _with_programs(merged: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Config`, with the settings of `[policy.programs]` as one of them."""
    prefix = "programs."
    own = {key.removeprefix(prefix): merged[key] for key in merged if key.startswith(prefix)}
    others = {key: value for key, value in merged.items() if not key.startswith(prefix)}
    return others | {"programs": ProgramPolicy(**own)}


def _is_named(name: str) -> bool:
    return name.startswith(("roles.", "approver_keys."))


def _locked_by(name: str, locked: Mapping[str, str]) -> str | None:
    """Return the system's file that fixes a setting; None if none does.

    If it names the keys of one group, it names those of all: more people could give an approval
    that needs no group otherwise.
    """
    if name.startswith("approver_keys."):
        return next(
            (file for key, file in locked.items() if key.startswith("approver_keys.")), None
        )
    return locked.get(name)


def _role_users(files: Sequence[FoundFile]) -> frozenset[str]:
    roles = (role for found in files for role in found.values.get("roles", {}).values())
    return frozenset(role.unix_user for role in roles if role.unix_user)


def keys_to_trust(values: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that a file must be trusted for, as in the file."""
    names = [name for name, _ in _single(values)]
    return [
        _in_file(name)
        for name in names
        if name.partition(".")[0] in NEEDS_TRUST or name in _OF_PROGRAMS
    ]


def _single(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the settings of a file, with each role and each group of approvers as one of its own.

    So is each key about programs. These have a name with a dot, such as `roles.dba`.
    """
    own = [(name, value) for name, value in values.items() if name not in _TABLES]
    named = [
        (f"{table}.{key}", value)
        for table in _TABLES
        for key, value in values.get(table, {}).items()
    ]
    return own + named


_TABLES = ("roles", "approver_keys", "programs")


def _add(merged: dict[str, Any], name: str, value: Any) -> None:
    before = merged.get(name)
    match name.partition("."):
        case ("roles" | "approver_keys" as table, _, key):
            merged[table] = merged[table] | {key: value}
        case ("defaults", *_):
            merged[name] = before | value
        case (key, *_) if key in _ADD_UP:
            merged[name] = tuple(dict.fromkeys((*(before or ()), *value)))
        case ("allow", *_):
            merged[name] = value if before is None else tuple(k for k in before if k in value)
        case ("strict", *_) | ("programs", _, "one_step"):
            merged[name] = bool(before) or value
        case ("approvals", *_):
            merged[name] = max(before or 1, value)
        case ("approve_within", *_):
            merged[name] = value if before is None else min(before, value)
        case ("programs", _, "propose"):
            merged[name] = value if before is None else before and value
        case ("programs", _, "decide"):
            merged[name] = value if before is None else tuple(k for k in before if k in value)
        case ("programs", _, "impact"):
            merged[name] = min(before or value, value, key=IMPACTS.index)
        case _:
            merged[name] = value


def _in_file(name: str) -> str:
    table, _, key = name.partition(".")
    if table == "approver_keys":
        return f"[approvers] {key}"
    return f"[roles.{key}]" if table == "roles" else _NAMES.get(name, name)


def _overridden(found: FoundFile, name: str, by: str) -> str:
    return f"{_in_file(name)} in {found.file.path} is not used: that in {by} holds"


def _not_loosened(found: FoundFile, name: str) -> str:
    path = found.file.path
    return (
        f"{path}: {_in_file(name)} lets programs decide nothing more: you have not trusted this "
        f"file as it is now. Read it, then run: nbrun trust {path}"
    )


def _not_trusted(found: FoundFile, name: str) -> str:
    path = found.file.path
    return (
        f"{path}: {_in_file(name)} {_effect(name)}, and you have not trusted this file as it "
        f"is now. Read it, then run: nbrun trust {path}"
    )


def _effect(name: str) -> str:
    if name.startswith("approver_keys."):
        return "says whose signatures approve your runs"
    return "runs, sends or signs something as you"
