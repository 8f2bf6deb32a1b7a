"""An AWS identity for a kernel: a role of STS's, or a profile's own; the only importer of boto3.

The credentials of a role reach the kernel by `credential_process`: a config file of its own names a
command that prints a file beside it, which is written anew before they end. A kernel at work sees
the new ones, since AWS's SDKs and its CLI run the command again when the `Expiration` that it
printed comes near; variables and a plain credentials file are read once. A server on the loopback
(AWS_CONTAINER_CREDENTIALS_FULL_URI) would do as well while there is one, and fail the kernel that
outlives its supervisor. Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
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
from nbrun.kernel.roles.environment import FOLDER, Part

SHORTEST, LONGEST = 900, 43_200  # seconds of a session: STS, AssumeRole, DurationSeconds
_FALLBACK_REGION = "us-east-1"  # of STS alone, where no region is set
_CONFIG, _CREDENTIALS, PRINTED = "role.aws-config", "role.aws-credentials", "role.aws.json"
_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken")
# What an SDK would take credentials from before it looks into the files that are given to it.
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
class Aws:
    """What a role says of AWS. `duration` in seconds, None for the default of STS (an hour);
    `session_tags`: the session has tags, which the role's trust policy has to allow."""

    profile: str = ""
    role_arn: str = ""
    duration: int | None = None
    session_tags: bool = True


def part(where: str, wanted: Aws, operator: str, run: str, environ: Mapping[str, str]) -> Part:
    """Become who `wanted` says, for the run `run` of `operator`.

    Raises:
        UsageError: it can't be done.
    """
    key = "aws_role_arn" if wanted.role_arn else "aws_profile"
    with _told(f"{where}: {key}"):
        session = _session(wanted.profile)
        region = session.region_name or environ.get("AWS_REGION")  # which boto3 does not read
        sts = _sts(session, region or _FALLBACK_REGION)
        if not wanted.role_arn:
            return _profile(session, sts, wanted.profile, environ)
        return _assumed(sts.assume_role(**_request(wanted, operator, run)), region)


def secrets_of(text: str) -> dict[str, str]:
    """What is secret in the file PRINTED of a kernel's folder. ValueError when it is none."""
    keys = json.loads(text)
    return _secrets(*(str(keys[name]) for name in _NAMES))


def session_name(operator: str, run: str) -> str:
    """`OPERATOR@RUN` in 64 characters: what STS does not take becomes `-`; of a long operator's
    name the first 20 are kept, and of a long run's the beginning and the last 5.

    Source: STS, AssumeRole, RoleSessionName: `[\\w+=,.@-]*`, 2 to 64.
    """
    who = _ascii(operator)[:20]
    room = 64 - len(who) - 1
    what = _ascii(run)
    return f"{who}@{what if len(what) <= room else what[: room - 5] + what[-5:]}"


def tag_value(text: str) -> str:
    """`text` in 256 characters; what STS does not take becomes `-`.

    Source: STS, Tag, Value: `[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*`.
    """
    good = (unicodedata.category(each)[0] in "LZN" or each in "_.:/=+-@" for each in text)
    return "".join(each if ok else "-" for each, ok in zip(text, good, strict=True))[:256]


def _ascii(text: str) -> str:
    return re.sub(r"[^\w+=,.@-]", "-", text, flags=re.ASCII)


@contextmanager
def _told(where: str) -> Iterator[None]:
    """What boto3 raises as an error of the operator's."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise UsageError(
            f"{where}: needs boto3, which is not installed: pip install 'nbrun-cli[aws]'"
        ) from None
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        told, hint = " ".join(str(error).split()), ""
        if "TagSession" in told:
            hint = ". The session has tags: allow sts:TagSession, or set aws_session_tags = false"
        raise UsageError(f"{where}: {told}{hint}") from error
    except EOFError as error:  # a profile with mfa_serial asks, and there is no terminal
        raise UsageError(f"{where}: it asks for something, such as a code of MFA") from error


def _session(profile: str) -> Any:
    import boto3

    return boto3.Session(profile_name=profile or None)


def _sts(session: Any, region: str) -> Any:
    from botocore.config import Config

    patient = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3})
    return session.client("sts", region_name=region, config=patient)


def _request(wanted: Aws, operator: str, run: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "RoleArn": wanted.role_arn,
        "RoleSessionName": session_name(operator, run),
    }
    if wanted.session_tags:
        told = {"nbrun-operator": operator, "nbrun-run": run}
        request["Tags"] = [{"Key": key, "Value": tag_value(text)} for key, text in told.items()]
    if wanted.duration is not None:
        request["DurationSeconds"] = wanted.duration
    return request


def _profile(session: Any, sts: Any, profile: str, environ: Mapping[str, str]) -> Part:
    """The name of the profile and where its files are; who that is, asked of AWS."""
    who = sts.get_caller_identity()
    keys = session.get_credentials().get_frozen_credentials()
    files = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    return Part(
        env={"AWS_PROFILE": profile, "AWS_SDK_LOAD_CONFIG": "1"}
        | {name: environ[name] for name in files if name in environ},
        secrets=_secrets(keys.access_key, keys.secret_key, keys.token),
        identity=Identity(kind="aws", who=who["Arn"], detail=f"profile {profile}"),
    )


def _assumed(answer: dict[str, Any], region: str | None) -> Part:
    keys = answer["Credentials"]
    until = _rfc3339(keys["Expiration"])
    printed = {"Version": 1, **{name: keys[name] for name in _NAMES}, "Expiration": until}
    config = f'[default]\ncredential_process = {shutil.which("cat")} "{FOLDER}/{PRINTED}"\n'
    if region:
        config += f"region = {region}\n"
    return Part(
        env={
            "AWS_CONFIG_FILE": f"{FOLDER}/{_CONFIG}",
            "AWS_SHARED_CREDENTIALS_FILE": f"{FOLDER}/{_CREDENTIALS}",
            "AWS_SDK_LOAD_CONFIG": "1",  # without it Go's first SDK reads no config
            "AWS_EC2_METADATA_DISABLED": "true",  # never the machine's own identity instead
        },
        files={_CONFIG: config, _CREDENTIALS: "", PRINTED: json.dumps(printed)},
        secrets=_secrets(*(keys[name] for name in _NAMES)),
        identity=Identity(kind="aws", who=answer["AssumedRoleUser"]["Arn"], until=until),
    )


def _secrets(key: str, secret: str, token: str | None) -> dict[str, str]:
    found = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    return found | ({"AWS_SESSION_TOKEN": token} if token else {})


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
