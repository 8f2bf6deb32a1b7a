"""Kubernetes identities of kernels: a kubeconfig with one context and nothing else.

Sources: the Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files" (how files
are merged, and what relative paths are relative to), and its "kubeconfig (v1)" API (the keys).
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nbrun.core.model import Identity
from nbrun.core.redaction.secret_encodings import secret_fault
from nbrun.errors import UsageError
from nbrun.kernel.roles.environment import RUNTIME_DIR, RolePart
from nbrun.kernel.roles.kubectl import Context, Entry, Kubectl
from nbrun.system.files import open_regular

RESERVED = frozenset({"KUBECONFIG"})  # variables that the role sets
FILE = "role.kubeconfig"
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")  # keys of a user
# Words in the names of secrets that an auth provider or a plugin's variables hold.
_SECRET_WORDS = ("token", "secret", "password", "key")
_LARGEST = 2**20  # bytes of a key or a token


@dataclass(frozen=True)
class KubeSettings:
    """The Kubernetes keys of a role: a context, and the user and groups to impersonate in it."""

    context: str
    impersonate: str = ""
    groups: tuple[str, ...] = ()


def role_part(
    where: str, wanted: KubeSettings, environ: Mapping[str, str], *, embed_token: bool
) -> RolePart:
    """Return a kubeconfig that has only the context, its cluster and its user.

    Certificates and keys are embedded. So is the token of a `tokenFile` if `embed_token` is set,
    for a kernel of another Unix user, who can't read that file; otherwise its path is kept, and
    clients read the file again when the token changes.

    Raises:
        UsageError: kubectl is missing, the context is not defined, or a file can't be read.
    """
    where = f"{where}: kube_context {wanted.context!r}"
    found = Kubectl(where, environ).context(wanted.context)
    user = _impersonating(wanted, found.user)
    secrets = _checked(where, dict(_secrets(where, found.cluster, user)))
    if embed_token:
        user = _with_token(where, user)
    return RolePart(
        env={"KUBECONFIG": f"{RUNTIME_DIR}/{FILE}"},
        files={FILE: json.dumps(_config(wanted.context, found, user), indent=1)},  # JSON is YAML
        secrets=secrets,
        identity=_identity(wanted.context, found, user),
    )


def secrets_of(text: str) -> dict[str, str]:
    """Return the secrets in a kernel's kubeconfig, given its text.

    Raises:
        ValueError: `text` is not such a file.
        UsageError: a file that it names can't be read.
    """
    config = json.loads(text)
    (cluster,), (user,) = config["clusters"], config["users"]
    return dict(_secrets(FILE, cluster["cluster"], user["user"]))


def _impersonating(wanted: KubeSettings, user: Entry) -> Entry:
    if not wanted.impersonate:
        return user
    own = {key: value for key, value in user.items() if key not in _IMPERSONATION}
    groups = {"as-groups": list(wanted.groups)} if wanted.groups else {}
    return own | {"as": wanted.impersonate} | groups


def _with_token(where: str, user: Entry) -> Entry:
    """Return `user` with the token itself instead of the path of its file."""
    if not user.get("tokenFile"):
        return user
    token = _read(where, user["tokenFile"]).decode("utf-8", "replace").strip()
    return {key: value for key, value in user.items() if key != "tokenFile"} | {"token": token}


def _config(name: str, found: Context, user: Entry) -> Entry:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": found.settings}],
        "clusters": [{"name": found.cluster_name, "cluster": found.cluster}],
        "users": [{"name": found.user_name, "user": user}],
    }


def _identity(context: str, found: Context, user: Entry) -> Identity:
    groups = ", ".join(map(str, user.get("as-groups") or ()))
    cluster = f"cluster {found.cluster_name} at {_without_password(found.cluster)}"
    details = [f"context {context}", cluster]
    if "as" in user:
        details.append(f"impersonated by {found.user_name}")
    details += [f"groups {groups}"] if groups else []
    return Identity(
        kind="kubernetes", who=str(user.get("as", found.user_name)), detail=", ".join(details)
    )


def _without_password(cluster: Entry) -> str:
    server = urlsplit(str(cluster.get("server", "")))
    return server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()


# ── secrets in a kubeconfig ──────────────────────────────────────────────────────────────────


def _secrets(where: str, cluster: Entry, user: Entry) -> Iterator[tuple[str, str]]:
    for key in ("token", "password"):
        if user.get(key):
            yield f"KUBE_{key.upper()}", str(user[key])
    if user.get("tokenFile"):
        yield "KUBE_TOKEN_FILE", _read(where, user["tokenFile"]).decode("utf-8", "replace")
    if user.get("client-key-data"):
        yield "KUBE_CLIENT_KEY_DATA", str(user["client-key-data"])
        yield "KUBE_CLIENT_KEY", _decoded(where, str(user["client-key-data"]))
    elif user.get("client-key"):  # a kernel of an earlier nbrun: it kept the path
        yield "KUBE_CLIENT_KEY", _read(where, user["client-key"]).decode("utf-8", "replace")
    yield from _plugin_secrets(user)
    password = urlsplit(str(cluster.get("proxy-url") or "")).password
    if password:
        yield "KUBE_PROXY_PASSWORD", password


def _plugin_secrets(user: Entry) -> Iterator[tuple[str, str]]:
    """Yield values of an auth provider, and of a plugin's variables, whose names say `secret`."""
    values = dict((user.get("auth-provider") or {}).get("config") or {})
    variables = (user.get("exec") or {}).get("env") or []
    values |= {str(each.get("name")): each.get("value") for each in variables}
    for name, value in values.items():
        if value and any(word in name.lower() for word in _SECRET_WORDS):
            yield f"KUBE_{name}", str(value)


def _read(where: str, path: str) -> bytes:
    """Read a file that a kubeconfig names. A cell may have written that of its kernel."""
    try:
        with open_regular(Path(path).resolve()) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{where}: {path} can't be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"{where}: {path} can't be read: it has more than {_LARGEST} bytes")
    return content


def _decoded(where: str, data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except ValueError:
        raise UsageError(f"{where}: its client-key-data is not base64") from None


def _checked(where: str, secrets: dict[str, str]) -> dict[str, str]:
    for name, value in secrets.items():
        fault = secret_fault(value)
        if fault is not None:
            raise UsageError(f"{where}: {name}: {fault}")
    return secrets
