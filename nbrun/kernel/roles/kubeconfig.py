"""A Kubernetes identity for a kernel: a kubeconfig of its own with one context, and nothing else of
the operator's.

Sources: kubectl's "Organizing Cluster Access Using kubeconfig Files" (how files are merged, and to
what relative paths are relative), and its v1 Config API (the keys).
"""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbrun.core.model import Identity
from nbrun.core.secret_encodings import secret_fault
from nbrun.errors import UsageError
from nbrun.kernel.roles.environment import FOLDER, Part

RESERVED = frozenset({"KUBECONFIG"})
FILE = "role.kubeconfig"
_KINDS = {"contexts": "context", "clusters": "cluster", "users": "user"}
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_AS = ("as", "as-uid", "as-groups", "as-user-extra")
_TELLING = ("token", "secret", "password", "key")  # in the name of what holds a secret

Entry = dict[str, Any]


@dataclass(frozen=True)
class Kube:
    """What a role says of Kubernetes: a context, and the user and groups to impersonate in it."""

    context: str
    impersonate: str = ""
    groups: tuple[str, ...] = ()


def part(where: str, wanted: Kube, environ: Mapping[str, str], *, whole: bool) -> Part:
    """A kubeconfig with the context alone. `whole`: with the contents of the files that it names,
    which the kernel's user can't read.

    Raises:
        UsageError: there is no such context, or it can't be read.
    """
    where = f"{where}: kube_context {wanted.context!r}"
    known = _merged(where, _files(environ))
    context = _entry(where, known, "contexts", wanted.context)
    cluster_name, user_name = str(context.get("cluster", "")), str(context.get("user", ""))
    cluster = _entry(where, known, "clusters", cluster_name)
    user = _entry(where, known, "users", user_name)
    if wanted.impersonate:
        user = {key: value for key, value in user.items() if key not in _AS}
        user["as"] = wanted.impersonate
        if wanted.groups:
            user["as-groups"] = list(wanted.groups)
    secrets = _checked(where, dict(_secrets(where, cluster, user)))
    if whole:
        cluster, user = _inlined(where, cluster), _inlined(where, user)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": wanted.context,
        "contexts": [{"name": wanted.context, "context": context}],
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": user_name, "user": user}],
    }
    return Part(
        env={"KUBECONFIG": f"{FOLDER}/{FILE}"},
        files={FILE: json.dumps(config, indent=1)},  # JSON is YAML
        secrets=secrets,
        identity=_identity(wanted.context, user, user_name, cluster, cluster_name),
    )


def secrets_of(text: str) -> dict[str, str]:
    """What is secret in the file FILE of a kernel's folder. ValueError when it is none; UsageError
    when what it names can't be read."""
    config = json.loads(text)
    (cluster,), (user,) = config["clusters"], config["users"]
    return dict(_secrets(FILE, cluster["cluster"], user["user"]))


def _identity(context: str, user: Entry, user_name: str, cluster: Entry, name: str) -> Identity:
    groups = ", ".join(map(str, user.get("as-groups") or ()))
    details = [f"context {context}", f"cluster {name} at {_without_password(cluster)}"]
    if "as" in user:
        details.append(f"impersonated by {user_name}")
    details += [f"groups {groups}"] if groups else []
    return Identity(
        kind="kubernetes", who=str(user.get("as", user_name)), detail=", ".join(details)
    )


def _without_password(cluster: Entry) -> str:
    server = urlsplit(str(cluster.get("server", "")))
    return server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()


# ── the operator's files ─────────────────────────────────────────────────────────────────────


def _files(environ: Mapping[str, str]) -> list[Path]:
    """$KUBECONFIG's list, else the one in the home."""
    listed = [each for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if not listed:
        return [Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"]
    return [Path(each).absolute() for each in dict.fromkeys(listed)]


def _merged(where: str, files: list[Path]) -> dict[str, dict[str, Entry]]:
    """By kind and name: the first file that has a name has all of it. Files that are not there are
    passed over."""
    found: dict[str, dict[str, Entry]] = {kind: {} for kind in _KINDS}
    for path in files:
        config = _read(where, path)
        for kind, inner in _KINDS.items():
            for name, entry in _listed(where, path, config, kind, inner):
                found[kind].setdefault(name, _absolute(entry, path.parent))
    return found


def _read(where: str, path: Path) -> Entry:
    import yaml

    try:
        config = yaml.load(path.read_text("utf-8"), _loader())  # noqa: S506  it builds data alone
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{where}: {path} can't be read: {why}") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{path}:{mark.line + 1}" if mark else str(path)
        why = getattr(error, "problem", None) or "it can't be read"
        raise UsageError(f"{where}: {at} is not YAML: {why}") from None  # it may quote a secret
    if not isinstance(config or {}, dict):
        raise UsageError(f"{where}: {path} is no kubeconfig: it has no mapping at its top")
    return config or {}


def _loader() -> Any:
    """A loader for which all is text that is not null, true or false: a name `007` stays it."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {  # by the first character of what they resolve
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.endswith((":null", ":merge")) or (tag.endswith(":bool") and first in "tTfF")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _listed(
    where: str, path: Path, config: Entry, kind: str, inner: str
) -> Iterator[tuple[str, Entry]]:
    entries = config.get(kind) or []
    if not isinstance(entries, list):
        raise UsageError(f"{where}: {path} is no kubeconfig: its {kind} are no list")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get(inner) or {}, dict):
            raise UsageError(f"{where}: {path} is no kubeconfig: one of its {kind} is no mapping")
        yield str(entry.get("name", "")), dict(entry.get(inner) or {})


def _absolute(entry: Entry, folder: Path) -> Entry:
    """Relative paths are relative to the file that they stand in; so is the command of a plugin,
    if it has a slash in it."""
    found = entry | {key: str(folder / str(entry[key])) for key in _PATHS if entry.get(key)}
    command = (entry.get("exec") or {}).get("command")
    if command and "/" in str(command):
        found["exec"] = entry["exec"] | {"command": str(folder / str(command))}
    return found


def _entry(where: str, known: Mapping[str, Mapping[str, Entry]], kind: str, name: str) -> Entry:
    if name not in known[kind]:
        names = ", ".join(sorted(known[kind])) or "none"
        raise UsageError(f"{where}: there is no {_KINDS[kind]} {name!r} (known: {names})")
    return known[kind][name]


# ── what is secret in it ─────────────────────────────────────────────────────────────────────


def _inlined(where: str, entry: Entry) -> Entry:
    """The contents of the files that `entry` names, in place of their names. Beside data of its
    own, or a token, a file counts for nothing."""
    found = {key: value for key, value in entry.items() if key not in _PATHS}
    for key in _PATHS:
        if not entry.get(key):
            continue
        instead = "token" if key == "tokenFile" else f"{key}-data"
        if key == "tokenFile":
            found[instead] = _contents(where, entry[key]).decode("utf-8", "replace").strip()
        elif not found.get(instead):
            found[instead] = base64.b64encode(_contents(where, entry[key])).decode()
    return found


def _contents(where: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{where}: {path} can't be read: {error.strerror}") from error


def _secrets(where: str, cluster: Entry, user: Entry) -> Iterator[tuple[str, str]]:
    for key in ("token", "password"):
        if user.get(key):
            yield f"KUBE_{key.upper()}", str(user[key])
    if user.get("tokenFile"):
        yield "KUBE_TOKEN_FILE", _contents(where, user["tokenFile"]).decode("utf-8", "replace")
    if user.get("client-key-data"):
        yield "KUBE_CLIENT_KEY_DATA", str(user["client-key-data"])
        yield "KUBE_CLIENT_KEY", _decoded(where, str(user["client-key-data"]))
    elif user.get("client-key"):
        yield "KUBE_CLIENT_KEY", _contents(where, user["client-key"]).decode("utf-8", "replace")
    yield from _of_plugins(user)
    password = urlsplit(str(cluster.get("proxy-url") or "")).password
    if password:
        yield "KUBE_PROXY_PASSWORD", password


def _of_plugins(user: Entry) -> Iterator[tuple[str, str]]:
    """What an auth provider keeps, and the variables of a plugin, by what they are called."""
    kept = dict((user.get("auth-provider") or {}).get("config") or {})
    variables = (user.get("exec") or {}).get("env") or []
    kept |= {str(each.get("name")): each.get("value") for each in variables}
    for name, value in kept.items():
        if value and any(word in name.lower() for word in _TELLING):
            yield f"KUBE_{name}", str(value)


def _decoded(where: str, data: str) -> str:
    try:
        return base64.b64decode(data).decode("utf-8", "replace")
    except ValueError:
        raise UsageError(f"{where}: its client-key-data is no base64") from None


def _checked(where: str, secrets: dict[str, str]) -> dict[str, str]:
    for name, value in secrets.items():
        fault = secret_fault(value)
        if fault is not None:
            raise UsageError(f"{where}: {name}: {fault}")
    return secrets
