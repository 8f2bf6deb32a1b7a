"""AWS identities of kernels: a role assumed through STS, or a profile. Only this module uses boto3.

A kernel gets a role's credentials through `credential_process`: a config file in its runtime
directory names a command that prints a second file, which nbrun replaces before the credentials
expire. AWS's SDKs and the AWS CLI run the command again shortly before the `Expiration` that it
printed, so that a running kernel sees the new credentials. They would read variables and a plain
credentials file only once. A server on the loopback interface (AWS_CONTAINER_CREDENTIALS_FULL_URI)
would fail a kernel that outlives its supervisor.

Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
"""

import json
import re
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nbrun.core.model import Identity
from nbrun.errors import UsageError
from nbrun.kernel.roles.environment import RUNTIME_DIR, RolePart

SHORTEST, LONGEST = 900, 43_200  # seconds of a session: STS, AssumeRole, DurationSeconds
_FALLBACK_REGION = "us-east-1"  # for STS alone, if no region is set
_CONFIG_FILE = "role.aws-config"
_NO_CREDENTIALS_FILE = "role.aws-credentials"  # empty, so that an SDK reads no other one
CREDENTIALS_FILE = "role.aws.json"  # printed by `credential_process`
_KEY_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken")
# Variables from which an SDK would take other credentials than from the files that nbrun gives it.
RESERVED = frozenset(
    f"AWS_{name}"
    for name in (
        *("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "SECURITY_TOKEN", "PROFILE"),
        *("DEFAULT_PROFILE", "CONFIG_FILE", "SHARED_CREDENTIALS_FILE", "CREDENTIAL_FILE"),
        *("ROLE_ARN", "ROLE_SESSION_NAME", "WEB_IDENTITY_TOKEN_FILE"),
        *("CONTAINER_CREDENTIALS_FULL_URI", "CONTAINER_CREDENTIALS_RELATIVE_URI"),
        *("CONTAINER_AUTHORIZATION_TOKEN", "CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        *("EC2_METADATA_DISABLED", "SDK_LOAD_CONFIG"),
    )
)


@dataclass(frozen=True)
class AwsSettings:
    """The AWS keys of a role.

    `duration` of the session is in seconds; None is the default of STS, an hour. `session_tags`:
    the session has tags, which the role's trust policy must allow.
    """

    profile: str = ""
    role_arn: str = ""
    duration: int | None = None
    session_tags: bool = True


def role_part(
    where: str, wanted: AwsSettings, operator: str, run: str, environ: Mapping[str, str]
) -> RolePart:
    """Assume the role, or look up the profile, for the run `run` of `operator`.

    Raises:
        UsageError: boto3 is missing, or AWS refuses; the message says why.
    """
    key = "aws_role_arn" if wanted.role_arn else "aws_profile"
    with _usage_errors(f"{where}: {key}"):
        session = _session(wanted.profile)
        region = session.region_name or environ.get("AWS_REGION")  # which boto3 does not read
        sts = _sts(session, region or _FALLBACK_REGION)
        if not wanted.role_arn:
            return _profile(session, sts, wanted.profile, environ)
        return _assumed(sts.assume_role(**_request(wanted, operator, run)), region)


def secrets_of(text: str) -> dict[str, str]:
    """Return the secrets in a kernel's CREDENTIALS_FILE, given its text.

    Raises:
        ValueError, KeyError: `text` is not such a file.
    """
    keys = json.loads(text)
    return _secrets(*(str(keys[name]) for name in _KEY_NAMES))


def session_name(operator: str, run: str) -> str:
    """Return `OPERATOR@RUN` in at most 64 characters, with `-` for those that STS does not allow.

    A long operator's name keeps its first 20 characters, a long run's id its beginning and its last
    5.

    Source: STS, AssumeRole, RoleSessionName: `[\\w+=,.@-]*`, 2 to 64.
    """
    who = _ascii(operator)[:20]
    room = 64 - len(who) - 1
    what = _ascii(run)
    return f"{who}@{what if len(what) <= room else what[: room - 5] + what[-5:]}"


def tag_value(text: str) -> str:
    """Return at most 256 characters of `text`, with `-` for those that STS does not allow.

    Source: STS, Tag, Value: `[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*`.
    """
    good = (unicodedata.category(each)[0] in "LZN" or each in "_.:/=+-@" for each in text)
    return "".join(each if ok else "-" for each, ok in zip(text, good, strict=True))[:256]


def _ascii(text: str) -> str:
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)


@contextmanager
def _usage_errors(where: str) -> Iterator[None]:
    """Turn errors of boto3 into a UsageError that begins with `where`."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise UsageError(
            f"{where}: needs boto3, which is not installed: pip install 'nbrun-cli[aws]'"
        ) from None
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        message, hint = " ".join(str(error).split()), ""
        if "TagSession" in message:
            hint = ". The session has tags: allow sts:TagSession, or set aws_session_tags = false"
        raise UsageError(f"{where}: {message}{hint}") from error
    except EOFError as error:  # boto3 prompts for a profile with mfa_serial; stdin is no terminal
        raise UsageError(
            f"{where}: AWS asks for input, such as an MFA code, and nbrun can't prompt for it here"
        ) from error


def _session(profile: str) -> Any:
    import boto3

    return boto3.Session(profile_name=profile or None)


def _sts(session: Any, region: str) -> Any:
    from botocore.config import Config

    config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3})
    return session.client("sts", region_name=region, config=config)


def _request(wanted: AwsSettings, operator: str, run: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "RoleArn": wanted.role_arn,
        "RoleSessionName": session_name(operator, run),
    }
    if wanted.session_tags:
        tags = {"nbrun-operator": operator, "nbrun-run": run}
        request["Tags"] = [{"Key": key, "Value": tag_value(text)} for key, text in tags.items()]
    if wanted.duration is not None:
        request["DurationSeconds"] = wanted.duration
    return request


def _profile(session: Any, sts: Any, profile: str, environ: Mapping[str, str]) -> RolePart:
    """Give the kernel the profile's name and the place of its files, and ask AWS whose it is."""
    who = sts.get_caller_identity()
    keys = session.get_credentials().get_frozen_credentials()
    files = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    return RolePart(
        env={"AWS_PROFILE": profile, "AWS_SDK_LOAD_CONFIG": "1"}
        | {name: environ[name] for name in files if name in environ},
        secrets=_secrets(keys.access_key, keys.secret_key, keys.token),
        identity=Identity(kind="aws", who=who["Arn"], detail=f"profile {profile}"),
    )


def _assumed(answer: dict[str, Any], region: str | None) -> RolePart:
    keys = answer["Credentials"]
    until = _rfc3339(keys["Expiration"])
    printed = {"Version": 1, **{name: keys[name] for name in _KEY_NAMES}, "Expiration": until}
    command = f'{shutil.which("cat")} "{RUNTIME_DIR}/{CREDENTIALS_FILE}"'
    config = f"[default]\ncredential_process = {command}\n"
    if region:
        config += f"region = {region}\n"
    return RolePart(
        env={
            "AWS_CONFIG_FILE": f"{RUNTIME_DIR}/{_CONFIG_FILE}",
            "AWS_SHARED_CREDENTIALS_FILE": f"{RUNTIME_DIR}/{_NO_CREDENTIALS_FILE}",
            "AWS_SDK_LOAD_CONFIG": "1",  # version 1 of the Go SDK reads no config file without it
            "AWS_EC2_METADATA_DISABLED": "true",  # never the machine's own identity instead
        },
        files={
            _CONFIG_FILE: config,
            _NO_CREDENTIALS_FILE: "",
            CREDENTIALS_FILE: json.dumps(printed),
        },
        secrets=_secrets(*(keys[name] for name in _KEY_NAMES)),
        identity=Identity(kind="aws", who=answer["AssumedRoleUser"]["Arn"], until=until),
    )


def _secrets(key: str, secret: str, token: str | None) -> dict[str, str]:
    found = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    return found | ({"AWS_SESSION_TOKEN": token} if token else {})


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
