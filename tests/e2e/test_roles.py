"""Roles: the environment of a kernel, and what the record says about it."""

import json
import re

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.sts_server import Sts
from tests.support.terminal import Desk, files_below, wait_until

ROLE = """
[roles.dba]
inherit = ["TAKEN_OVER"]
env = { PGHOST = "$(id) {x}" }
env_from_cmd = { PGPASSWORD = "cat password" }
"""
SHOW = (
    "import os; print(*(os.environ.get(n) for n in ('TAKEN_OVER', 'PGHOST', 'PGPASSWORD', 'LEFT')))"
)


@pytest.fixture
def book(desk: Desk) -> Desk:
    desk.configure(ROLE)
    (desk.folder / "password").write_text("c4n4ry-c4n4ry\n")
    desk.variables |= {"TAKEN_OVER": "yes", "LEFT": "behind"}
    desk.book(
        code(SHOW, id="show"),
        code("print(len(os.environ['PGPASSWORD'])); import shutil; print(shutil.which('sh'))"),
        code("!echo $PGPASSWORD", id="leak"),
    )
    return desk


def test_kernel_gets_the_environment_of_its_role(book: Desk) -> None:
    ended = book.unattended("--role", "dba")
    assert ended.returncode == 0, ended.stdout
    assert book.printed("show") == "yes $(id) {x} [secret:PGPASSWORD] None\n"
    assert re.search("^role +dba", ended.stdout, re.M)
    role = book.events(ev.RunStarted)[0].role
    assert role is not None
    assert (role.name, role.inherit) == ("dba", ("TAKEN_OVER",))
    assert role.env_from_cmd == ("PGPASSWORD",)
    assert all(b"c4n4ry" not in data for _, data in files_below(book.runs))
    assert "c4n4ry" not in ended.stdout


@pytest.mark.sweep
def test_kernel_without_a_role_gets_nbruns_environment(book: Desk) -> None:
    book.unattended()
    assert book.printed("show") == "yes None None behind\n"
    assert book.events(ev.RunStarted)[0].role is None


@pytest.mark.parametrize(
    ("role", "said"), [("nobody", "there is no role 'nobody' in nbrun.toml (known: dba)")]
)
def test_unknown_role_starts_nothing(book: Desk, role: str, said: str) -> None:
    ended = book.unattended("--role", role)
    assert (ended.returncode, said in ended.stderr) == (2, True)
    assert not book.runs.exists()


def test_failing_role_starts_nothing(book: Desk) -> None:
    (book.folder / "password").unlink()
    ended = book.unattended("--role", "dba")
    assert ended.returncode == 2
    assert "the role dba, PGPASSWORD: cat password: ended with exit code 1" in ended.stderr
    assert not book.runs.exists()


# ── who it is for AWS and for Kubernetes ─────────────────────────────────────────────────────

ELSEWHERE = """
[roles.ops]
inherit = ["AWS_ENDPOINT_URL_STS"]
aws_role_arn = "arn:aws:iam::123456789012:role/dba"
kube_context = "prod"
kube_impersonate = "ops@example.com"
"""
KUBECONFIG = """
contexts: [{name: prod, context: {cluster: blue, user: ada}}, {name: other, context: {}}]
clusters: [{name: blue, cluster: {server: "https://blue.example.com"}}]
users: [{name: ada, user: {token: c4n4ry-kube-token}}]
"""
AS_WHOM = """import boto3, json, os, pathlib, time
keys = boto3.Session().get_credentials()
first = keys.get_frozen_credentials().secret_key
print(boto3.client('sts').get_caller_identity()['Arn'], first, flush=True)
config = json.loads(pathlib.Path(os.environ['KUBECONFIG']).read_text())
print([each['name'] for each in config['contexts']], config['users'])
"""
UNTIL_FRESH = "while keys.get_frozen_credentials().secret_key == first: time.sleep(0.05)\n"


@pytest.fixture
def elsewhere(desk: Desk, sts: Sts) -> Desk:
    desk.configure(ELSEWHERE)
    (desk.folder / "kubeconfig").write_text(KUBECONFIG)
    desk.variables |= sts.variables() | {"KUBECONFIG": str(desk.folder / "kubeconfig")}
    return desk


@pytest.mark.sweep
def test_kernel_uses_its_role_and_refreshed_credentials(elsewhere: Desk, sts: Sts) -> None:
    sts.lifetime = 8.0
    elsewhere.book(
        code(AS_WHOM, id="who"),
        code(UNTIL_FRESH + "print('fresh', keys.get_frozen_credentials().token)", id="fresh"),
    )
    ended = elsewhere.unattended("--role", "ops")
    assert ended.returncode == 0, ended.stdout
    run = elsewhere.run.name
    arn, user = f"arn:aws:sts::123456789012:assumed-role/dba/root@{run}", "ops@example.com"
    who, config = elsewhere.printed("who").splitlines()
    assert re.fullmatch(re.escape(arn) + r" \[secret:AWS_SECRET_ACCESS_KEY( \d+)?\]", who)
    told = "{'token': '[secret:KUBE_TOKEN]', 'as': 'ops@example.com'}"
    assert config == f"['prod'] [{{'name': 'ada', 'user': {told}}}]"
    assert re.match(r"fresh \[secret:AWS_SESSION_TOKEN \d", elsewhere.printed("fresh"))
    (started,), (refreshed, *_) = map(elsewhere.events, (ev.KernelStarted, ev.RoleRefreshed))
    assert [each.who for each in started.identities] == [arn, user]
    assert [each.who for each in refreshed.identities] == [arn, user]
    assert refreshed.identities[0].until > started.identities[0].until
    assert {asked["RoleSessionName"] for asked in sts.requests if "RoleArn" in asked} == {
        f"root@{run}"
    }
    told = " ".join(ended.stdout.split())
    assert f"acts as AWS {arn}, until 2" in told
    assert f"acts as Kubernetes user {user} (context prod, cluster blue at https" in told
    assert "the role ops was refreshed" in told
    canaries = [*sts.issued, "c4n4ry"]
    assert len(sts.issued) >= 4
    assert not [
        name for name, data in files_below(elsewhere.runs) for c in canaries if c.encode() in data
    ]
    assert not [c for c in canaries if c in ended.stdout]


HOLD = """import os, time
open('began', 'w').close()
while not os.path.exists('go'): time.sleep(0.01)
"""


@pytest.mark.sweep
def test_secrets_of_an_adopted_kernel_stay_out_of_the_record(elsewhere: Desk, sts: Sts) -> None:
    elsewhere.book(
        code("import boto3; old = boto3.Session().get_credentials().token", id="old"),
        code(HOLD, id="hold"),
        code("print(old, boto3.Session().get_credentials().token)", id="both"),
    )
    terminal = elsewhere.start("--role", "ops")
    wait_until((elsewhere.folder / "began").exists)
    elsewhere.kill_supervisor()
    assert terminal.wait() == 6
    terminal = elsewhere.open("resume")
    terminal.until("its role was refreshed: AWS")
    (elsewhere.folder / "go").touch()
    terminal.answer("did step 2 happen?", "happened")
    terminal.answer("reason (Enter for none, Ctrl-C to go back):", "")
    assert terminal.wait() == 0
    old, new = elsewhere.printed("both").split("] ")
    assert (old, new) == ("[secret:AWS_SESSION_TOKEN 2", "[secret:AWS_SESSION_TOKEN]\n")
    kept = b"".join(data for _, data in files_below(elsewhere.runs)) + terminal.raw
    assert not [each for each in sts.issued if each.encode() in kept]
    role = elsewhere.events(ev.RunResumed)[0].role
    assert role is not None
    assert [each.kind for each in role.identities] == ["aws", "kubernetes"]


@pytest.mark.sweep
def test_refused_role_fails_start_and_plan(elsewhere: Desk, sts: Sts) -> None:
    elsewhere.book(code())
    told = elsewhere.command("plan", "runbook.ipynb", "--role", "ops", "--json")
    assert [each["kind"] for each in json.loads(told.stdout)["identities"]] == ["aws", "kubernetes"]
    sts.refusing = True
    ended = elsewhere.unattended("--role", "ops")
    assert ended.returncode == 2
    assert "the role ops: aws_role_arn: An error occurred (AccessDenied)" in ended.stderr
    sts.refusing = False
    (elsewhere.folder / "kubeconfig").unlink()
    ended = elsewhere.unattended("--role", "ops")
    assert ended.returncode == 2
    assert "the role ops: kube_context 'prod': there is no context 'prod'" in ended.stderr
    assert not elsewhere.runs.exists()
