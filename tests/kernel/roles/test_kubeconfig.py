"""The kubeconfig of a kernel: one context of the operator's files, read by the real kubectl."""

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.roles import kubectl
from nbrun.kernel.roles.kubeconfig import KubeSettings
from nbrun.kernel.roles.roles import Role, RoleContext, TakenRole, secrets_in, take

KEY = "-----BEGIN PRIVATE KEY-----\nc4n4ryc4n4ryc4n4ry\n-----END PRIVATE KEY-----\n"
MAIN = """
apiVersion: v1
kind: Config
current-context: other
contexts:
- name: prod
  context: {cluster: blue, user: ada, namespace: db}
- name: other
  context: {cluster: green, user: bob}
- name: "007"
  context: {cluster: "blue", user: "no"}
- name: "$(id) 'x' -u"
  context: {cluster: blue, user: ada}
- name: lost
  context: {cluster: nowhere, user: ada}
- name: nobody
  context: {cluster: blue}
- name: stranger
  context: {cluster: blue, user: mallory}
clusters:
- name: blue
  cluster:
    server: https://blue.example.com:6443
    certificate-authority: pki/ca.crt
    insecure-skip-tls-verify: false
- name: green
  cluster: {server: "https://ops:proxy@green.example.com", proxy-url: "http://x:pr0xy-pass@p:3128"}
users:
- name: ada
  user: {client-certificate: pki/ada.crt, client-key: pki/ada.key}
- name: bob
  user: {token: bobs-own-token, as: someone}
- name: "no"
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./login
      args: null
      env:
      - {name: AWS_PROFILE, value: prod}
      - {name: VAULT_TOKEN, value: hvs.s3cr3t}
"""
SECOND = """
contexts:
- name: prod
  context: {cluster: green, user: eve}
- name: second
  context: {cluster: own, user: eve}
clusters:
- name: own
  cluster: {server: "https://own.example.com"}
users:
- name: eve
  user: {tokenFile: token}
"""

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "pki").mkdir(parents=True)
    second.mkdir()
    (first / "config").write_text(MAIN)
    (second / "config").write_text(SECOND)
    for name in ("ca.crt", "ada.crt"):
        (first / "pki" / name).write_text(name)
    (first / "pki" / "ada.key").write_text(KEY)
    (second / "token").write_text("eves-own-token\n")
    return tmp_path


def take_role(kube: KubeSettings, **variables: str) -> TakenRole:
    environ = {"PATH": os.environ["PATH"], **variables}
    return take(Role("ops", kube=kube), RoleContext(environ, "", cwd="/", here=Path("/")))


def take_context(
    folder: Path, context: str, user: str = "", files: str = "", **more: Any
) -> TakenRole:
    listed = files or f"{folder}/first/config:{folder}/not-there::{folder}/second/config"
    return take_role(KubeSettings(context, user, **more), KUBECONFIG=listed)


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(role: TakenRole) -> Any:
    assert role.environment.variables("/k")["KUBECONFIG"] == "/k/role.kubeconfig"
    return json.loads(role.environment.file_texts("/k")["role.kubeconfig"])


def test_kubeconfig_has_one_context_and_embeds_its_certificates(folder: Path) -> None:
    found = config(take_context(folder, "prod"))
    assert found == {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod",
        "contexts": [
            {"name": "prod", "context": {"cluster": "blue", "user": "ada", "namespace": "db"}}
        ],
        "clusters": [
            {
                "name": "blue",
                "cluster": {
                    "server": "https://blue.example.com:6443",
                    "certificate-authority-data": base64_of("ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": "ada",
                "user": {
                    "client-certificate-data": base64_of("ada.crt"),
                    "client-key-data": base64_of(KEY),
                },
            }
        ],
    }


def test_first_file_that_defines_a_name_counts(folder: Path) -> None:
    """Files that do not exist are skipped."""
    other = f"{folder}/second/config:{folder}/first/config"
    context = config(take_context(folder, "prod", files=other))["contexts"][0]["context"]
    assert context == {"cluster": "green", "user": "eve"}
    assert config(take_context(folder, "second"))["users"][0]["user"] == {
        "tokenFile": f"{folder}/second/token"
    }


def test_file_in_the_home_is_read_without_a_list(folder: Path) -> None:
    (folder / ".kube").mkdir()
    shutil.copy(folder / "second" / "config", folder / ".kube")
    (folder / ".kube" / "token").write_text("another-token")
    found = take_role(KubeSettings("second"), HOME=str(folder))
    assert found.secrets == {"KUBE_TOKEN_FILE": "another-token"}


def test_role_impersonation_replaces_that_of_the_file(folder: Path) -> None:
    role = take_context(folder, "other", "$(id) 'x'", groups=("dba", "a,b"))
    (user,) = config(role)["users"]
    assert user["user"]["as"] == "$(id) 'x'"
    assert user["user"]["as-groups"] == ["dba", "a,b"]
    (who,) = role.identities
    assert (who.kind, who.who) == ("kubernetes", "$(id) 'x'")
    assert who.detail == (
        "context other, cluster green at https://green.example.com, impersonated by bob, "
        "groups dba, a,b"
    )
    assert take_context(folder, "other").identities[0].who == "someone"


@pytest.mark.parametrize("name", ["007", "$(id) 'x' -u"])
def test_context_name_may_look_like_a_number_or_a_command(folder: Path, name: str) -> None:
    assert config(take_context(folder, name))["current-context"] == name


@pytest.mark.parametrize(
    ("context", "secrets"),
    [
        ("prod", {"KUBE_CLIENT_KEY_DATA": base64_of(KEY), "KUBE_CLIENT_KEY": KEY}),
        ("other", {"KUBE_TOKEN": "bobs-own-token", "KUBE_PROXY_PASSWORD": "pr0xy-pass"}),
        ("007", {"KUBE_VAULT_TOKEN": "hvs.s3cr3t"}),
        ("second", {"KUBE_TOKEN_FILE": "eves-own-token\n"}),
    ],
)
def test_secrets_of_the_file_are_known(folder: Path, context: str, secrets: dict[str, str]) -> None:
    role = take_context(folder, context)
    assert role.secrets == secrets
    assert secrets_in(role.environment.file_texts("/k")) == secrets
    assert not any(secret in str(role.recorded()) for secret in secrets.values())


def test_secrets_of_a_file_with_paths_are_known(folder: Path) -> None:
    """An earlier nbrun, whose kernel may be adopted, wrote the paths of keys."""
    user = {"client-key": f"{folder}/first/pki/ada.key"}
    text = json.dumps({"clusters": [{"cluster": {}}], "users": [{"user": user}]})
    assert secrets_in({"role.kubeconfig": text}) == {"KUBE_CLIENT_KEY": KEY}


def test_plugin_path_is_relative_to_its_own_file(folder: Path) -> None:
    plugin = config(take_context(folder, "007"))["users"][0]["user"]["exec"]
    assert plugin["command"] == f"{folder}/first/login"
    assert plugin["args"] is None


def test_token_is_embedded_for_another_unix_user(folder: Path) -> None:
    from nbrun.kernel.roles import kubeconfig

    environ = {
        "PATH": os.environ["PATH"],
        "KUBECONFIG": f"{folder}/first/config:{folder}/second/config",
    }
    for context, user in (
        (
            "prod",
            {
                "client-certificate-data": base64_of("ada.crt"),
                "client-key-data": base64_of(KEY),
            },
        ),
        ("second", {"token": "eves-own-token"}),
    ):
        part = kubeconfig.role_part("", KubeSettings(context), environ, embed_token=True)
        assert json.loads(part.files["role.kubeconfig"])["users"][0]["user"] == user
        assert str(folder) not in part.files["role.kubeconfig"]


@pytest.mark.parametrize(
    ("text", "context", "why"),
    [
        (MAIN, "nowhere", "there is no context 'nowhere' (known: $(id) 'x' -u, 007, lost, nobody,"),
        (MAIN, "lost", "there is no cluster 'nowhere' (known: blue, green)"),
        (MAIN, "stranger", "there is no user 'mallory' (known: ada, bob, no)"),
        (MAIN, "nobody", "the context names no user"),
        ("contexts: [", "a", "first/config: yaml: line 1: did not find expected node content"),
        ("- a", "a", "first/config: kubectl can't read the kubeconfig: run `kubectl config view`"),
        # kubectl gives the reason from version 1.21 on
        ("contexts: 3", "a", "first/config: "),
        ("contexts: [3]", "a", "first/config: "),
        ("token: s3cr3t-t0ken: x", "a", "first/config: yaml: mapping values are not allowed"),
        ("{? {token: s3cr3t}: x}", "a", "first/config: kubectl can't read the kubeconfig: run"),
        ("users: *s3cr3t", "a", "first/config: kubectl can't read the kubeconfig: run"),
        ("a: !!int s3cr3t", "a", "first/config: kubectl can't read the kubeconfig: run"),
        ("", "a", "there is no context 'a' (known: none)"),
        (MAIN.replace("bobs-own-token", "abc"), "other", "KUBE_TOKEN: a secret of less than 6"),
        (
            MAIN.replace("pki/ada.key", "gone.key"),
            "prod",
            "first/gone.key can't be read: no such file or directory",
        ),
        (MAIN.replace("pki/ada.key", "."), "prod", "first can't be read: is a directory"),
        (SECOND.replace("token}", "gone}"), "second", "first/gone can't be read: No such file"),
    ],
)
def test_error_names_the_file_or_key_and_no_secret(
    folder: Path, text: str, context: str, why: str
) -> None:
    (folder / "first" / "config").write_text(text)
    with pytest.raises(UsageError) as caught:
        take_context(folder, context, files=str(folder / "first" / "config"))
    assert str(caught.value).startswith(f"the role ops: kube_context {context!r}: ")
    assert why in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_missing_kubectl_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"kubectl, .* is not on PATH: install kubectl"):
        take_role(KubeSettings("prod"), KUBECONFIG=f"{folder}/first/config", PATH=str(folder))


def test_kubectl_that_does_not_end_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kubectl").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (folder / "kubectl").chmod(0o700)
    monkeypatch.setattr(kubectl, "TIMEOUT", 0.2)
    with pytest.raises(UsageError, match=r"kubectl did not end within 0 s"):
        take_role(KubeSettings("prod"), PATH=str(folder))


@pytest.mark.parametrize("said", ["error found in #10 byte of ...|s3cr3t|...", "", "s3cr3t"])
def test_unknown_words_of_kubectl_are_not_repeated(folder: Path, said: str) -> None:
    """kubectl 1.20 quotes what surrounds a fault."""
    (folder / "kubectl").write_text(f"#!/bin/sh\necho 'error: {said}' >&2\nexit 1\n")
    (folder / "kubectl").chmod(0o700)
    with pytest.raises(UsageError, match=r"run `kubectl config view` to see why") as caught:
        take_role(KubeSettings("prod"), PATH=str(folder))
    assert "s3cr3t" not in str(caught.value)


# ── what kubectl makes of it ─────────────────────────────────────────────────────────────────


class Api:
    """A server that notes with which headers it was asked."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.headers.append(dict(self.headers.items()))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_kubectl_accepts_the_file_and_impersonates(folder: Path, api: Api, tmp_path: Path) -> None:
    program = str(shutil.which("kubectl"))
    file = folder / "first" / "config"
    file.write_text(f"""
contexts: [{{name: here, context: {{cluster: local, user: bob}}}}]
clusters: [{{name: local, cluster: {{server: "http://127.0.0.1:{api.server.server_port}"}}}}]
users: [{{name: bob, user: {{username: bob, password: bobs-password}}}}]
""")
    role = take_context(folder, "here", "ops@example.com", groups=("dba",), files=str(file))
    assert api.headers == [], "reading the files asks no cluster"
    private = tmp_path / "role.kubeconfig"
    private.write_text(role.environment.file_texts(str(tmp_path))["role.kubeconfig"])
    env = {"HOME": str(tmp_path), **role.environment.variables(str(tmp_path))}
    subprocess.run([program, "get", "--raw", "/whoami"], env=env, check=True, timeout=60)
    asked = api.headers[-1]
    assert asked["Impersonate-User"] == "ops@example.com"
    assert asked["Impersonate-Group"] == "dba"
