"""Read the operator's kubeconfig files with kubectl, which merges them as every client does.

Needs kubectl 1.20 or later. `kubectl config view` reads files only: it asks no cluster, and runs no
plugin. The kubectl of the Google Cloud CLI would first ask the context's cluster for its version,
to choose one of several programs.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbrun.errors import UsageError

TIMEOUT = 30.0  # seconds; kubectl needs some 0.1
_KINDS = {"contexts": "context", "clusters": "cluster", "users": "user"}
# No file defines this user, so that no program of the Google Cloud CLI can ask a cluster.
# `config view` itself ignores the option.
_NO_USER = "--user=nbrun-asks-no-cluster"
_VIEW = ("config", "view", "--output=json", _NO_USER)

# Reasons of kubectl that never quote a file's text, which may be a secret.
_SAFE_REASON = re.compile(
    r"yaml: (?!.*(?:anchor|map key|`)).*"
    r"|json: cannot unmarshal \w+ into Go [\w .\[\]]+"
    r"|illegal base64 data at input byte \d+"
    r"|(?:open|read) (?P<path>.+): (?P<why>[a-z ]+)"
    r"|cannot have values for both path and contents"
)
_IN_FILE = re.compile(r'error loading config file "(?P<file>[^"]+)": (?P<reason>.*)')

Entry = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """A context with its cluster and its user, each as its kubeconfig has it."""

    settings: Entry
    cluster_name: str
    cluster: Entry
    user_name: str
    user: Entry


class Kubectl:
    """The `kubectl` on the PATH of `environ`, which also names the kubeconfig files.

    `where` begins every error message.
    """

    def __init__(self, where: str, environ: Mapping[str, str]) -> None:
        """Raises UsageError when kubectl is not installed."""
        program = shutil.which("kubectl", path=environ.get("PATH"))
        if program is None:
            raise UsageError(
                f"{where}: kubectl, which reads the kubeconfig, is not on PATH: install kubectl"
            )
        self._where = where
        self._program = program
        self._environ = dict(environ)

    def context(self, name: str) -> Context:
        """Return the context `name`, with certificates and keys instead of their paths.

        Raises:
            UsageError: the context, its cluster or its user is not defined, or kubectl can't read a
                file.
        """
        minified = self._run(*_VIEW, "--minify", "--flatten", "--raw", f"--context={name}")
        if minified.returncode != 0:
            raise self._explain(name, minified.stderr)
        view = _parsed(minified.stdout)
        context = _entries(view, "contexts").get(name, {})
        cluster_name, user_name = str(context.get("cluster", "")), str(context.get("user", ""))
        for kind, wanted in (("clusters", cluster_name), ("users", user_name)):
            if wanted not in _entries(view, kind):  # kubectl accepts a context that names none
                raise self._undefined(kind, wanted, [])
        user = self._with_absolute_paths(user_name, _entries(view, "users")[user_name])
        cluster = _entries(view, "clusters")[cluster_name]
        return Context(context, cluster_name, cluster, user_name, user)

    def _with_absolute_paths(self, name: str, user: Entry) -> Entry:
        """Return `user` with the paths absolute that `--flatten` leaves as they are.

        They are the token's file and the command of a plugin, if that contains a slash. Both are
        relative to the file that defines the user, which kubectl's answer does not name.
        """
        command = str((user.get("exec") or {}).get("command") or "")
        token_file = str(user.get("tokenFile") or "")
        is_path = "/" in command
        if Path(token_file or "/").is_absolute() and (Path(command).is_absolute() or not is_path):
            return user
        folder = self._file_of_user(name).parent
        found = dict(user)
        if token_file:
            found["tokenFile"] = str(folder / token_file)
        if is_path:
            found["exec"] = user["exec"] | {"command": str(folder / command)}
        return found

    def _file_of_user(self, name: str) -> Path:
        """Return the kubeconfig file that defines the user `name`: the first that does."""
        files = [file for file in _files(self._environ) if file.exists()]
        for file in files[:-1]:
            done = self._run(*_VIEW, f"--kubeconfig={file}")
            if done.returncode == 0 and name in _entries(_parsed(done.stdout), "users"):
                return file
        return files[-1]

    # ── running it ───────────────────────────────────────────────────────────────────────────

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603  no shell; the context's name is one word
                [self._program, *words],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            why = f"{self._program} did not end within {TIMEOUT:.0f} s"
        except OSError as error:
            why = f"{self._program} can't be run: {error.strerror}"
        raise UsageError(f"{self._where}: {why}")

    def _explain(self, name: str, errors: str) -> UsageError:
        """Return the error for a context that kubectl did not give, from `errors`, its stderr."""
        whole = self._run(*_VIEW)  # without --raw: secrets are left out
        if whole.returncode != 0:
            return UsageError(f"{self._where}: {_reason(whole.stderr)}")
        view = _parsed(whole.stdout)
        contexts = _entries(view, "contexts")
        context = contexts.get(name, {})
        for kind, wanted in (
            ("contexts", name),
            ("clusters", str(context.get("cluster", ""))),
            ("users", str(context.get("user", ""))),
        ):
            known = _entries(view, kind)
            if wanted not in known:
                return self._undefined(kind, wanted, known)
        return UsageError(f"{self._where}: {_reason(errors)}")

    def _undefined(self, kind: str, name: str, known: Collection[str]) -> UsageError:
        if not name:
            return UsageError(f"{self._where}: the context names no {_KINDS[kind]}")
        names = ", ".join(sorted(known)) or "none"
        return UsageError(f"{self._where}: there is no {_KINDS[kind]} {name!r} (known: {names})")


def _reason(errors: str) -> str:
    """Return what kubectl's stderr says, without any text of a kubeconfig."""
    lines = errors.strip().splitlines()
    told = next((line for line in lines if line.startswith("error: ")), "").removeprefix("error: ")
    in_file = _IN_FILE.search(told)
    reason = in_file["reason"] if in_file else told
    safe = _SAFE_REASON.fullmatch(reason)
    if safe is None:
        reason = "kubectl can't read the kubeconfig: run `kubectl config view` to see why"
    elif safe["path"]:
        return f"{safe['path']} can't be read: {safe['why']}"
    return f"{in_file['file']}: {reason}" if in_file else reason


def _parsed(text: str) -> Entry:
    found: Entry = json.loads(text)
    return found


def _entries(view: Entry, kind: str) -> dict[str, Entry]:
    """Return the entries of `kind` by name."""
    return dict(_named(view.get(kind) or [], _KINDS[kind]))


def _named(entries: list[Entry], inner: str) -> Iterator[tuple[str, Entry]]:
    for entry in entries:
        yield str(entry.get("name", "")), dict(entry.get(inner) or {})


def _files(environ: Mapping[str, str]) -> list[Path]:
    """Return the files of $KUBECONFIG, or the one in the home folder, as kubectl does."""
    listed = [each for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if not listed:
        return [Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"]
    return [Path(each).absolute() for each in dict.fromkeys(listed)]
