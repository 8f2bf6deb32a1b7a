"""The parts of events that are never redacted, because nbrun itself reads them back.

They are its own words, ids, paths, and names of kernels, users and roles. A secret such as `python`
or `postgres` may be a part of them by chance, and a run whose paths are redacted can't be resumed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from nbrun.core import events as ev
from nbrun.core.model import Identity, IncludedRunbook, RoleTaken

_OWN_WORDS = (
    "tags",
    "kind",
    "kinds",
    "outcome",
    "cause",
    "decision",
    "finding",
    "impact",
    "state",
    "on",
)
_IDS = ("run", "undoes", "step", "id", "git_commit", "boot_id", "sign_key", "binding")
_HASHES = ("runbook_sha256", "notebook_sha256", "sha256")
_PLACES = ("runbook", "cwd", "kept_in", "process", "host", "target", "settings")
_RUNBOOKS = ("proofs", "included")
_KERNELS = ("kernelspec", "language", "language_info", "implementation", "versions")
_PEOPLE = ("operator", "approver", "group", "approve", "until", "signed", "to", "acts_as")
_POLICY = ("typed", "policy", "secrets", "counts")

FIELDS = frozenset(
    (*_OWN_WORDS, *_IDS, *_HASHES, *_PLACES, *_RUNBOOKS, *_KERNELS, *_PEOPLE, *_POLICY)
)

_ROLE_FIELDS = ("name", "inherit", "env_from_cmd", "keys")
# Keys of a notebook's metadata that tell which kernel runs it
_METADATA_KEYS = frozenset(("kernelspec", "language_info"))
# Keys of a JSON Schema, and of a contract, whose values are words or names
_SCHEMA_KEYS = frozenset(("type", "format", "required", "$ref", "$schema", "impact"))
_OUTPUT_KEYS = frozenset(
    ("output_type", "name", "text", "data", "metadata", "execution_count", "ename", "evalue")
) | {"traceback", "transient"}
_MIME_TYPE = re.compile(
    r"text/(?:plain|html|markdown|latex|csv)|image/(?:png|jpeg|gif|webp|svg\+xml)"
    r"|application/(?:json|geo\+json|javascript|pdf)"
    r"|application/vnd\.(?:jupyter|plotly|vega|vegalite|bokehjs)[a-z_]*\.[a-z0-9.-]+\+json"
)

Redact = Callable[[Any], Any]


def exceptions(part: Any, redact: Redact) -> dict[str, Any]:
    """Return the values of those fields of `part` that are not redacted, or only in places.

    `part` is an event or a part of one. `redact` redacts a value.
    """
    match part:
        case ev.RunStarted(metadata=metadata):
            return {"metadata": _metadata(metadata, redact)}
        case ev.Output(output=output):
            return {"output": _output(output, redact)}
        case ev.OutputUpdated(data=data):
            return {"data": _mime_bundle(data, redact)}
        case ev.WidgetsChanged(models=models):
            return {
                "models": {model: _values(changes, redact) for model, changes in models.items()}
            }
        case ev.Stopped(reason=reason):
            return {"reason": reason}
        case ev.RoleRefreshed(role=role) | ev.RoleNotRefreshed(role=role):
            return {"role": role}
        case RoleTaken():
            return {name: getattr(part, name) for name in _ROLE_FIELDS}
        case IncludedRunbook(cell=cell, path=path):
            return {"cell": cell, "path": path}
        case Identity(who=who, until=until):
            return {"who": who, "until": until}
    return {}


def _values(mapping: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    return {key: redact(item) for key, item in mapping.items()}


def _metadata(metadata: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    """Redact a notebook's metadata, but not what tells how to run the notebook."""
    redacted = {}
    for key, item in metadata.items():
        if key in _METADATA_KEYS:
            redacted[key] = item
        elif key == "nbrun":
            redacted[key] = _own_metadata(item, redact)
        else:
            redacted[redact(key)] = redact(item)
    return redacted


def _own_metadata(value: Any, redact: Redact) -> Any:
    """Redact the texts in nbrun's metadata, but not its keys, and not the words of a schema."""
    if isinstance(value, list):
        return [_own_metadata(item, redact) for item in value]
    if not isinstance(value, dict):
        return redact(value)
    return {
        key: item if key in _SCHEMA_KEYS else _own_metadata(item, redact)
        for key, item in value.items()
    }


def _output(output: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    """Redact an output, but not the keys and names that nbformat gives it."""
    redacted = {
        key if key in _OUTPUT_KEYS else redact(key): redact(item) for key, item in output.items()
    }
    names = ["output_type", "name"] if output.get("output_type") == "stream" else ["output_type"]
    redacted |= {name: output[name] for name in names if name in output}
    if isinstance(output.get("data"), dict):
        redacted["data"] = _mime_bundle(output["data"], redact)
    return redacted


def _mime_bundle(data: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    return {
        key if _MIME_TYPE.fullmatch(key) else redact(key): redact(item)
        for key, item in data.items()
    }
