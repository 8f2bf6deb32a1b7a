"""One `[roles.NAME]` of nbrun.toml as a role: keys of the right kind, which go together."""

from collections.abc import Collection, Mapping
from typing import Any

from nbrun.errors import UsageError
from nbrun.kernel.roles import aws, kubeconfig
from nbrun.kernel.roles.aws import Aws
from nbrun.kernel.roles.kubeconfig import Kube
from nbrun.kernel.roles.roles import NAME, Role

_TABLES = ("env", "env_from_cmd")
_AWS = ("aws_profile", "aws_role_arn", "aws_duration", "aws_session_tags")
_KUBE = ("kube_context", "kube_impersonate", "kube_groups")
KEYS = ("inherit", *_TABLES, "unix_user", *_AWS, *_KUBE)


def role(where: str, name: str, said: Mapping[str, Any]) -> Role:
    """The role `name` from the table `said`, which has no key but KEYS. `where` begins what is said
    of a fault: the file and the table.

    Raises:
        UsageError: it makes no sense.
    """
    inherit = _names(where, "inherit", said.get("inherit", []))
    env, commands = (_variables(where, each, said.get(each, {})) for each in _TABLES)
    twice = set(env) & set(commands) | set(inherit) & {*env, *commands}
    if twice:
        raise UsageError(f"{where}: {min(twice)} comes from two places; keep one")
    _check_together(where, said, {*inherit, *env, *commands})
    return Role(
        name,
        inherit,
        env,
        commands,
        unix_user=_text(where, "unix_user", said),
        aws=_aws(where, said),
        kube=_kube(where, said),
    )


def _check_together(where: str, said: Mapping[str, Any], variables: Collection[str]) -> None:
    for key, needed in (
        ("aws_duration", "aws_role_arn"),
        ("aws_session_tags", "aws_role_arn"),
        ("kube_impersonate", "kube_context"),
        ("kube_groups", "kube_impersonate"),
    ):
        if key in said and needed not in said:
            raise UsageError(f"{where}: {key} needs {needed}")
    if "unix_user" in said and "aws_profile" in said and "aws_role_arn" not in said:
        raise UsageError(
            f"{where}: aws_profile with unix_user needs aws_role_arn: the files of your profile "
            "are not for another Unix user"
        )
    for keys, reserved in ((_AWS, aws.RESERVED), (_KUBE, kubeconfig.RESERVED)):
        used = [key for key in keys if key in said]
        clash = reserved.intersection(variables)
        if used and clash:
            raise UsageError(f"{where}: {min(clash)} comes from {used[0]}; leave it out")


def _aws(where: str, said: Mapping[str, Any]) -> Aws | None:
    profile, arn = (_text(where, key, said) for key in ("aws_profile", "aws_role_arn"))
    duration, tags = said.get("aws_duration"), said.get("aws_session_tags", True)
    if duration is not None and not _is_duration(duration):
        raise UsageError(
            f"{where}.aws_duration must be a whole number of seconds from {aws.SHORTEST} to "
            f"{aws.LONGEST}, not {duration!r}"
        )
    if not isinstance(tags, bool):
        raise UsageError(f"{where}.aws_session_tags must be true or false, not {tags!r}")
    return Aws(profile, arn, duration, tags) if profile or arn else None


def _is_duration(value: Any) -> bool:
    return type(value) is int and aws.SHORTEST <= value <= aws.LONGEST


def _kube(where: str, said: Mapping[str, Any]) -> Kube | None:
    context, user = (_text(where, key, said) for key in ("kube_context", "kube_impersonate"))
    groups = said.get("kube_groups", [])
    if not isinstance(groups, list) or not all(isinstance(each, str) and each for each in groups):
        raise UsageError(f"{where}.kube_groups must be a list of texts, not {groups!r}")
    return Kube(context, user, tuple(groups)) if context else None


def _text(where: str, key: str, said: Mapping[str, Any]) -> str:
    value = said.get(key)
    if key not in said:
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
    return isinstance(name, str) and bool(NAME.fullmatch(name))
