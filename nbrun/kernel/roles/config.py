"""Read a role from its table `[roles.NAME]` in nbrun.toml."""

from collections.abc import Collection, Mapping
from typing import Any

from nbrun.errors import UsageError
from nbrun.kernel.roles import aws, kubeconfig
from nbrun.kernel.roles.aws import AwsSettings
from nbrun.kernel.roles.kubeconfig import KubeSettings
from nbrun.kernel.roles.roles import VARIABLE_NAME, Role

_VARIABLE_TABLES = ("env", "env_from_cmd")
_AWS_KEYS = ("aws_profile", "aws_role_arn", "aws_duration", "aws_session_tags")
_KUBE_KEYS = ("kube_context", "kube_impersonate", "kube_groups")
KEYS = ("inherit", *_VARIABLE_TABLES, "unix_user", *_AWS_KEYS, *_KUBE_KEYS)


def role(where: str, name: str, table: Mapping[str, Any]) -> Role:
    """Return the role `name` from `table`, whose keys are all in KEYS.

    `where` begins every error message: the file and the table.

    Raises:
        UsageError: a value has the wrong type, or keys can't be combined.
    """
    inherit = _names(where, "inherit", table.get("inherit", []))
    env, commands = (_variables(where, each, table.get(each, {})) for each in _VARIABLE_TABLES)
    twice = set(env) & set(commands) | set(inherit) & {*env, *commands}
    if twice:
        raise UsageError(f"{where}: {min(twice)} comes from two places; keep one")
    _check_combination(where, table, {*inherit, *env, *commands})
    return Role(
        name,
        inherit,
        env,
        commands,
        unix_user=_line(where, "unix_user", table),
        aws=_aws(where, table),
        kube=_kube(where, table),
    )


def _check_combination(where: str, table: Mapping[str, Any], variables: Collection[str]) -> None:
    for key, needed in (
        ("aws_duration", "aws_role_arn"),
        ("aws_session_tags", "aws_role_arn"),
        ("kube_impersonate", "kube_context"),
        ("kube_groups", "kube_impersonate"),
    ):
        if key in table and needed not in table:
            raise UsageError(f"{where}: {key} needs {needed}")
    if "unix_user" in table and "aws_profile" in table and "aws_role_arn" not in table:
        raise UsageError(
            f"{where}: aws_profile with unix_user needs aws_role_arn: the other Unix user can't "
            "read the files of your profile"
        )
    for keys, reserved in ((_AWS_KEYS, aws.RESERVED), (_KUBE_KEYS, kubeconfig.RESERVED)):
        used = [key for key in keys if key in table]
        clash = reserved.intersection(variables)
        if used and clash:
            raise UsageError(f"{where}: {min(clash)} comes from {used[0]}; leave it out")


def _aws(where: str, table: Mapping[str, Any]) -> AwsSettings | None:
    profile, arn = (_line(where, key, table) for key in ("aws_profile", "aws_role_arn"))
    duration, tags = table.get("aws_duration"), table.get("aws_session_tags", True)
    if duration is not None and not _is_duration(duration):
        raise UsageError(
            f"{where}.aws_duration must be a whole number of seconds from {aws.SHORTEST} to "
            f"{aws.LONGEST}, not {duration!r}"
        )
    if not isinstance(tags, bool):
        raise UsageError(f"{where}.aws_session_tags must be true or false, not {tags!r}")
    return AwsSettings(profile, arn, duration, tags) if profile or arn else None


def _is_duration(value: Any) -> bool:
    return type(value) is int and aws.SHORTEST <= value <= aws.LONGEST


def _kube(where: str, table: Mapping[str, Any]) -> KubeSettings | None:
    context, user = (_line(where, key, table) for key in ("kube_context", "kube_impersonate"))
    groups = table.get("kube_groups", [])
    if not isinstance(groups, list) or not all(isinstance(each, str) and each for each in groups):
        raise UsageError(f"{where}.kube_groups must be a list of texts, not {groups!r}")
    return KubeSettings(context, user, tuple(groups)) if context else None


def _line(where: str, key: str, table: Mapping[str, Any]) -> str:
    """Return the text of `key`, or an empty one if the key is not set."""
    value = table.get(key)
    if key not in table:
        return ""
    if not isinstance(value, str) or not value or any(mark in value for mark in "\0\r\n"):
        raise UsageError(f"{where}.{key} must be a text of one line, not {value!r}")
    return value


def _names(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(map(_is_variable, value)):
        raise UsageError(f"{where}.{key} must be a list of names, not {value!r}")
    return tuple(value)


def _variables(where: str, key: str, value: Any) -> dict[str, str]:
    good = isinstance(value, dict) and all(
        _is_variable(name) and isinstance(text, str) and "\0" not in text
        for name, text in value.items()
    )
    if not good:
        raise UsageError(f"{where}.{key} must be a table of names and texts, not {value!r}")
    return dict(value)


def _is_variable(name: Any) -> bool:
    return isinstance(name, str) and bool(VARIABLE_NAME.fullmatch(name))
