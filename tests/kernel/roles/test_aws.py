"""AWS identities from a local STS (moto): sessions, credentials and errors."""

import json
import os
import re
import sys
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.errors import UsageError
from nbrun.kernel.roles.aws import AwsSettings, session_name, tag_value
from nbrun.kernel.roles.roles import Role, RoleContext, TakenRole, secrets_in, take
from tests.support.sts_server import ROLE, Sts

RUN = "20261125-065512-failover-x7f2"


@pytest.fixture(autouse=True)
def operator_environment(sts: Sts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the operator's environment, with a profile `prod` and nothing of this machine."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in sts.variables().items():
        monkeypatch.setenv(name, value)
    files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
    for name, file in files.items():
        monkeypatch.setenv(name, str(tmp_path / file))
    (tmp_path / "config").write_text("[profile prod]\nregion = us-west-2\n")
    keys = "aws_access_key_id = AKIAPRODPRODPROD\naws_secret_access_key = prod-secret-prod-secret\n"
    (tmp_path / "credentials").write_text(f"[prod]\n{keys}[$(id) 'x']\n{keys}")


def take_role(operator: str = "ada", run: str = RUN, **said: Any) -> TakenRole:
    context = RoleContext(
        dict(os.environ), python="", cwd="/", here=Path("/"), run=run, operator=operator
    )
    return take(Role("dba", aws=AwsSettings(**said)), context)


def test_session_names_the_operator_and_run(sts: Sts) -> None:
    role = take_role(role_arn=ROLE, duration=900)
    (asked,) = sts.requests
    assert asked["Action"] == "AssumeRole"
    assert asked["RoleSessionName"] == f"ada@{RUN}"
    assert asked["DurationSeconds"] == "900"
    tags = {asked[f"Tags.member.{n}.Key"]: asked[f"Tags.member.{n}.Value"] for n in (1, 2)}
    assert tags == {"nbrun-operator": "ada", "nbrun-run": RUN}
    (who,) = role.recorded().identities
    assert who.who == f"arn:aws:sts::123456789012:assumed-role/dba/ada@{RUN}"
    left = datetime.fromisoformat(who.until) - datetime.now(UTC)
    assert 800 < left.total_seconds() <= 900
    assert role.recorded().keys == {
        "aws_role_arn": ROLE,
        "aws_duration": 900,
        "aws_session_tags": True,
    }


def test_credentials_come_through_a_command_and_are_secret(sts: Sts) -> None:
    role = take_role(role_arn=ROLE)
    texts, env = role.environment.file_texts("/k f"), role.environment.variables("/k f")
    printed = json.loads(texts["role.aws.json"])
    assert printed["Version"] == 1
    assert {*role.secrets.values()} == {
        printed[key] for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")
    }
    command = r'^credential_process = /\S+ "/k f/role.aws.json"$'
    assert re.search(command, texts["role.aws-config"], re.MULTILINE)
    assert "region = eu-central-1" in texts["role.aws-config"]
    assert env["AWS_CONFIG_FILE"] == "/k f/role.aws-config"
    assert "AWS_ACCESS_KEY_ID" not in env
    assert not any(secret in str(role.recorded()) for secret in role.secrets.values())


def test_secrets_of_an_adopted_kernel_are_found_in_its_files(sts: Sts) -> None:
    role = take_role(role_arn=ROLE)
    assert secrets_in(role.environment.file_texts("/k")) == role.secrets
    assert secrets_in({"role.aws.json": "a cell's own", "role.kubeconfig": "[]"}) == {}
    assert secrets_in({}) == {}


def test_sdk_reads_the_credentials_of_the_kernel(sts: Sts, tmp_path: Path) -> None:
    import boto3

    role = take_role(role_arn=ROLE)
    for name, text in role.environment.file_texts(str(tmp_path)).items():
        (tmp_path / name).write_text(text)
    env = role.environment.variables(str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        session = boto3.Session()
        assert session.get_credentials().access_key == role.secrets["AWS_ACCESS_KEY_ID"]
        assert session.region_name == "eu-central-1"
        who = session.client("sts").get_caller_identity()
    assert who["Arn"] == role.identities[0].who


@pytest.mark.parametrize("profile", ["prod", "$(id) 'x'"])
def test_profile_gives_its_name_files_and_identity(sts: Sts, profile: str, tmp_path: Path) -> None:
    role = take_role(profile=profile)
    (asked,) = sts.requests
    assert asked["Action"] == "GetCallerIdentity"
    env = {name: text for name, text in role.environment.env.items() if name.startswith("AWS")}
    assert env == {
        "AWS_PROFILE": profile,
        "AWS_SDK_LOAD_CONFIG": "1",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    assert role.secrets["AWS_SECRET_ACCESS_KEY"] == "prod-secret-prod-secret"
    assert role.identities[0].detail == f"profile {profile}"
    assert role.environment.files == {}


def test_keys_of_the_assuming_profile_reach_no_kernel(sts: Sts) -> None:
    role = take_role(profile="prod", role_arn=ROLE, session_tags=False)
    (asked,) = sts.requests
    assert not any(key.startswith("Tags") for key in asked)
    assert "prod-secret" not in str(role.environment)
    assert "region = us-west-2" in role.environment.files["role.aws-config"]


@pytest.mark.parametrize(
    "operator", ["$(id)", "-u root", "a\nb", "Ünï", "x" * 300, "a'b\"c", "{x}"]
)
def test_sts_accepts_the_session_of_any_operator_name(sts: Sts, operator: str) -> None:
    take_role(operator=operator, run=f"20261125-065512-{'r' * 60}-x7f2", role_arn=ROLE)
    (asked,) = sts.requests
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", asked["RoleSessionName"], re.ASCII)
    assert asked["RoleSessionName"].endswith("-x7f2")


@given(st.text(), st.text())
def test_session_name_and_tags_have_only_allowed_characters(operator: str, run: str) -> None:
    assert re.fullmatch(r"[\w+=,.@-]{1,64}", session_name(operator, run), re.ASCII)
    value = tag_value(operator)
    assert len(value) == min(len(operator), 256)
    for was, now in zip(operator, value, strict=False):
        assert now == was or now == "-"
        assert unicodedata.category(now)[0] in "LZN" or now in "_.:/=+-@"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"profile": "nowhere"}, "aws_profile: The config profile (nowhere) could not be found"),
        ({"role_arn": "x"}, "aws_role_arn: Parameter validation failed"),
    ],
)
def test_error_names_the_key_of_the_role(sts: Sts, said: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        take_role(**said)
    assert f"the role dba: {why}" in str(caught.value)


def test_error_quotes_the_refusal_of_sts(sts: Sts) -> None:
    sts.refusing = True
    with pytest.raises(UsageError, match=r"dba: aws_role_arn: .*AccessDenied.*aws_session_tags"):
        take_role(role_arn=ROLE)
    with pytest.raises(UsageError, match=r"dba: aws_profile: .*AccessDenied"):
        take_role(profile="prod")


def test_unreachable_sts_is_an_error(sts: Sts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(UsageError, match="dba: aws_role_arn: Could not connect to the endpoint"):
        take_role(role_arn=ROLE)


def test_missing_credentials_of_the_operator_are_an_error(
    sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UsageError, match="dba: aws_role_arn: Unable to locate credentials"):
        take_role(role_arn=ROLE)


def test_missing_boto3_is_an_error_with_the_install_command(
    sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] in ("boto3", "botocore"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(
        UsageError, match=r"boto3, which is not installed: pip install 'nbrun-cli\[aws\]'"
    ):
        take_role(role_arn=ROLE)
