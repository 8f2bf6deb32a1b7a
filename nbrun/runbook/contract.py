"""What a runbook asks of whoever runs a step, read from a cell's tags and metadata.

`cell.metadata.nbrun` goes before the notebook's `nbrun.defaults`, and those before `[defaults]` in
`nbrun.toml`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from nbrun.core.model import Contract, Impact
from nbrun.errors import RunbookError

IMPACTS = get_args(Impact)
_DAY = 86400.0  # seconds
_LONGEST = 31 * _DAY
_MOST_RETRIES = 100
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONFIRM = "Run this step?"

TAGS = frozenset(
    ("parameters", "injected-parameters", "setup", "fill", "confirm", "approve", "manual")
) | {"shell-errors-ok", "skip-execution", "raises-exception"}


@dataclass(frozen=True)
class Ground:
    """What all cells of a runbook stand on: defaults of contracts, and what a `{name}` in a
    question means. `hidden` are the names of secrets."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


def of_cell(where: str, kind: str, metadata: Mapping[str, Any], ground: Ground) -> Contract:
    """The contract of a cell of `kind` (code or markdown).

    RunbookError, with `where`, when it is broken.
    """
    for fault in faults(kind, metadata, ground):
        raise RunbookError(f"{where}: {fault}")
    tags, own = _tags(metadata), _own(metadata)
    manual = kind == "markdown" and "manual" in tags
    said = own if manual else {**ground.defaults, **own}
    return Contract(
        manual=manual,
        confirm=_question(tags, own, ground),
        typed=rendered(own["type"], ground) if "type" in own else "",
        timeout=None if said.get("timeout") is None else float(said["timeout"]),
        retries=said.get("retries", 0),
        retry_delay=float(said.get("retry_delay", 0)),
        impact=said.get("impact"),
        approve=_approvers(tags, own),
    )


def is_manual(cell: Mapping[str, Any]) -> bool:
    """A Markdown cell that a person acts on."""
    return cell["cell_type"] == "markdown" and "manual" in _tags(cell["metadata"])


def faults(kind: str, metadata: Mapping[str, Any], ground: Ground) -> Iterator[str]:
    """What is wrong with a cell's contract, each with what to do."""
    tags, own = _tags(metadata), _own(metadata)
    yield from wrong_values("metadata.nbrun", own, CELL)
    if kind == "code" and "manual" in tags:
        yield "the tag manual is for Markdown cells: a person does what it says; remove it"
    asks = {"confirm", "approve"} & tags or set(own) - {"title"}
    if kind != "code" and "manual" not in tags and asks:
        yield "only a code cell, or a Markdown cell tagged manual, is a step; tag it manual"
    if "manual" in tags:
        for key in sorted({"timeout", "retries", "retry_delay"} & set(own)):
            yield f"metadata.nbrun.{key} means nothing for a step that a person does; remove it"
    for key in ("confirm", "type"):
        if isinstance(own.get(key), str):
            yield from _template_faults(key, own[key], ground)


def wrong_values(
    where: str, said: Any, known: Mapping[str, tuple[Callable[[Any], bool], str]]
) -> Iterator[str]:
    """What is unknown or of a wrong value in a table of settings."""
    if not isinstance(said, Mapping):
        yield f"{where} must be an object, not {_short(said)}"
        return
    for key, value in said.items():
        if key not in known:
            yield f"{where}.{key} is not known (known: {', '.join(sorted(known))})"
            continue
        is_right, expected = known[key]
        if not is_right(value):
            yield f"{where}.{key} must be {expected}, not {_short(value)}"


def _tags(metadata: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(metadata.get("tags", ()))


def _own(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metadata.get("nbrun", {})
    return found


def _approvers(tags: frozenset[str], own: Mapping[str, Any]) -> str | None:
    told = own.get("approve", "approve" in tags)
    if isinstance(told, Mapping):
        return str(told["group"])
    return "" if told else None


# ── questions with values in them ────────────────────────────────────────────────────────────


def _question(tags: frozenset[str], own: Mapping[str, Any], ground: Ground) -> str | None:
    told = own.get("confirm")
    if isinstance(told, str):
        return rendered(told, ground)
    asked = told is True or "type" in own or ("confirm" in tags and told is not False)
    return _CONFIRM if asked else None


def rendered(template: str, ground: Ground) -> str:
    """`template` with each `{name}` replaced by that parameter's value, once: braces in a value
    mean nothing. `{{` stands for a brace."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        found = ground.values[match[1]]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _FIELD.sub(value, template)


def _template_faults(key: str, template: str, ground: Ground) -> Iterator[str]:
    for match in _FIELD.finditer(template):
        name = match[1]
        if name is None and len(match[0]) == 1:
            yield f"metadata.nbrun.{key} has a brace alone: write {{{{ or }}}} for one"
        elif name is not None and name in ground.hidden:
            yield f"metadata.nbrun.{key} names the secret {name}; ask for something else"
        elif name is not None and name not in ground.values:
            yield (
                f"metadata.nbrun.{key} names {{{name}}}, whose value is not known before the run; "
                "name a parameter that is given, or has a plain default"
            )


# ── what each key may be ─────────────────────────────────────────────────────────────────────


def _is_seconds(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= _LONGEST


def _is_timeout(value: Any) -> bool:
    return value is None or (_is_seconds(value) and value > 0)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_RETRIES


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_approve(value: Any) -> bool:
    if isinstance(value, bool):
        return True
    return isinstance(value, Mapping) and set(value) == {"group"} and _is_line(value["group"])


Rules = Mapping[str, tuple[Callable[[Any], bool], str]]
DEFAULTS: Rules = {
    "timeout": (_is_timeout, "seconds, more than 0 and at most 31 days, or null"),
    "retries": (_is_count, f"a whole number from 0 to {_MOST_RETRIES}"),
    "retry_delay": (_is_seconds, "seconds, from 0 to 31 days"),
    "impact": (lambda value: value in IMPACTS, f"one of {', '.join(IMPACTS)}"),
}
CELL: Rules = {
    **DEFAULTS,
    "title": (lambda value: isinstance(value, str), "a text"),
    "confirm": (lambda value: isinstance(value, bool) or _is_line(value), "a question, or true"),
    "type": (_is_line, "a text of one line that the operator has to type"),
    "approve": (_is_approve, 'true, or {"group": NAME}'),
}
NOTEBOOK: Rules = {
    "parameters": (lambda _value: True, ""),  # `parameter_schema` reads it
    "defaults": (lambda value: isinstance(value, Mapping), "an object"),
}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
