"""A kubeconfig of a kernel's own: one context of the operator's files, merged as kubectl does."""

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.roles.kubeconfig import Kube
from nbrun.kernel.roles.roles import Ground, Role, Taken, secrets_in, take

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
- name: 007
  context: {cluster: "blue", user: no}
- name: "$(id) 'x' -u"
  context: {cluster: blue, user: ada}
- name: lost
  context: {cluster: nowhere, user: ada}
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
- name: no
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


def taken(folder: Path, context: str, user: str = "", files: str = "", **more: Any) -> Taken:
    listed = files or f"{folder}/first/config:{folder}/not-there::{folder}/second/config"
    role = Role("ops", kube=Kube(context, user, **more))
    return take(role, Ground({"KUBECONFIG": listed}, "", cwd="/", here=Path("/")))


def config(role: Taken) -> Any:
    assert role.furnishing.environment("/k") == {"KUBECONFIG": "/k/role.kubeconfig"}
    return json.loads(role.furnishing.texts("/k")["role.kubeconfig"])


def test_it_has_that_context_and_nothing_else(folder: Path) -> None:
    found = config(taken(folder, "prod"))
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
                    "certificate-authority": f"{folder}/first/pki/ca.crt",
                    "insecure-skip-tls-verify": False,
                },
            }
        ],
        "users": [
            {
                "name": "ada",
                "user": {
                    "client-certificate": f"{folder}/first/pki/ada.crt",
                    "client-key": f"{folder}/first/pki/ada.key",
                },
            }
        ],
    }


def test_the_first_file_that_has_a_name_has_all_of_it(folder: Path) -> None:
    """And what it lacks is taken from the next; those that are not there are passed over."""
    other = f"{folder}/second/config:{folder}/first/config"
    context = config(taken(folder, "prod", files=other))["contexts"][0]["context"]
    assert context == {"cluster": "green", "user": "eve"}
    assert config(taken(folder, "second"))["users"][0]["user"] == {
        "tokenFile": f"{folder}/second/token"
    }


def test_without_a_list_it_is_the_file_in_the_home(folder: Path) -> None:
    (folder / ".kube").mkdir()
    shutil.copy(folder / "second" / "config", folder / ".kube")
    (folder / ".kube" / "token").write_text("another-token")
    role = Role("ops", kube=Kube("second"))
    found = take(role, Ground({"HOME": str(folder)}, "", cwd="/", here=Path("/")))
    assert found.secrets == {"KUBE_TOKEN_FILE": "another-token"}


def test_who_is_impersonated_takes_the_place_of_who_was(folder: Path) -> None:
    role = taken(folder, "other", "$(id) 'x'", groups=("dba", "a,b"))
    (user,) = config(role)["users"]
    assert user["user"]["as"] == "$(id) 'x'"
    assert user["user"]["as-groups"] == ["dba", "a,b"]
    (who,) = role.identities
    assert (who.kind, who.who) == ("kubernetes", "$(id) 'x'")
    assert who.detail == (
        "context other, cluster green at https://green.example.com, impersonated by bob, "
        "groups dba, a,b"
    )
    assert taken(folder, "other").identities[0].who == "someone"


@pytest.mark.parametrize("name", ["007", "$(id) 'x' -u"])
def test_a_name_is_text_whatever_it_looks_like(folder: Path, name: str) -> None:
    assert config(taken(folder, name))["current-context"] == name


@pytest.mark.parametrize(
    ("context", "secrets"),
    [
        ("prod", {"KUBE_CLIENT_KEY": KEY}),
        ("other", {"KUBE_TOKEN": "bobs-own-token", "KUBE_PROXY_PASSWORD": "pr0xy-pass"}),
        ("007", {"KUBE_VAULT_TOKEN": "hvs.s3cr3t"}),
        ("second", {"KUBE_TOKEN_FILE": "eves-own-token\n"}),
    ],
)
def test_what_is_secret_in_it_is_known_for_one(
    folder: Path, context: str, secrets: dict[str, str]
) -> None:
    role = taken(folder, context)
    assert role.secrets == secrets
    assert secrets_in(role.furnishing.texts("/k")) == secrets
    assert not any(secret in str(role.told()) for secret in secrets.values())


def test_a_plugin_with_a_path_is_found_from_its_own_file(folder: Path) -> None:
    plugin = config(taken(folder, "007"))["users"][0]["user"]["exec"]
    assert plugin["command"] == f"{folder}/first/login"
    assert plugin["args"] is None


def test_for_another_unix_user_the_files_contents_stand_in_it(folder: Path) -> None:
    from nbrun.kernel.roles import kubeconfig

    environ = {"KUBECONFIG": f"{folder}/first/config:{folder}/second/config"}
    part = kubeconfig.part("", Kube("prod"), environ, whole=True)
    found = json.loads(part.files["role.kubeconfig"])
    user, cluster = found["users"][0]["user"], found["clusters"][0]["cluster"]
    assert base64.b64decode(user.pop("client-key-data")).decode() == KEY
    assert base64.b64decode(user.pop("client-certificate-data")) == b"ada.crt"
    assert user == {}
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"ca.crt"
    assert str(folder) not in part.files["role.kubeconfig"]
    token = kubeconfig.part("", Kube("second"), environ, whole=True)
    assert '"token": "eves-own-token"' in token.files["role.kubeconfig"]


@pytest.mark.parametrize(
    ("text", "context", "why"),
    [
        (MAIN, "nowhere", "there is no context 'nowhere' (known: $(id) 'x' -u, 007, lost, other,"),
        (MAIN, "lost", "there is no cluster 'nowhere' (known: blue, green)"),
        ("contexts: [", "a", "config:1 is not YAML: "),
        ("- a", "a", "is no kubeconfig: it has no mapping at its top"),
        ("contexts: 3", "a", "is no kubeconfig: its contexts are no list"),
        ("contexts: [3]", "a", "one of its contexts is no mapping"),
        ("token: s3cr3t-t0ken: x", "a", "config:1 is not YAML: "),
        ("", "a", "there is no context 'a' (known: none)"),
        (MAIN.replace("bobs-own-token", "abc"), "other", "KUBE_TOKEN: a secret of less than 6"),
        (MAIN.replace("pki/ada.key", "gone.key"), "prod", "gone.key can't be read: No such file"),
    ],
)
def test_what_can_not_be_taken_is_said(folder: Path, text: str, context: str, why: str) -> None:
    (folder / "first" / "config").write_text(text)
    with pytest.raises(UsageError) as caught:
        taken(folder, context, files=str(folder / "first" / "config"))
    assert str(caught.value).startswith(f"the role ops: kube_context {context!r}: ")
    assert why in str(caught.value)
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


def test_kubectl_takes_it_and_asks_as_who_is_impersonated(
    folder: Path, api: Api, tmp_path: Path
) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    file = folder / "first" / "config"
    file.write_text(f"""
contexts: [{{name: here, context: {{cluster: local, user: bob}}}}]
clusters: [{{name: local, cluster: {{server: "http://127.0.0.1:{api.server.server_port}"}}}}]
users: [{{name: bob, user: {{username: bob, password: bobs-password}}}}]
""")
    role = taken(folder, "here", "ops@example.com", groups=("dba",), files=str(file))
    private = tmp_path / "role.kubeconfig"
    private.write_text(role.furnishing.texts(str(tmp_path))["role.kubeconfig"])
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    env |= role.furnishing.environment(str(tmp_path))
    subprocess.run([kubectl, "get", "--raw", "/whoami"], env=env, check=True, timeout=60)
    asked = api.headers[-1]
    assert asked["Impersonate-User"] == "ops@example.com"
    assert asked["Impersonate-Group"] == "dba"
