"""All that a run is given for its parameters, and what follows from it: which values are secret,
what a question may name, what is redacted."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbrun.core.redaction import Redaction
from nbrun.errors import ParameterError
from nbrun.runbook.contract import Ground
from nbrun.runbook.parameters import resolve
from nbrun.runbook.parameters.resolve import Given, Parameter
from nbrun.runbook.parameters.schema import is_closed
from nbrun.runbook.parameters.sources import unheard


@dataclass(frozen=True)
class Values:
    """Every value that is injected. `secret`: the names of those that nobody may see.

    `declared` is what the runbook has to say of them; `notices` what the operator should know.
    """

    values: dict[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    declared: dict[str, Parameter] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def ground(self, defaults: Mapping[str, Any], language: str) -> Ground:
        """What the questions of a runbook may name, and the `defaults` of its contracts."""
        hidden = self.secret | {name for name, each in self.declared.items() if each.secret}
        known = resolve.known_values(self.declared, self.values, language)
        shown = {name: value for name, value in known.items() if name not in hidden}
        return Ground(defaults, shown, frozenset(hidden))

    def redaction(
        self,
        kernel_name: str,
        language: str,
        patterns: Iterable[str],
        others: Mapping[str, str] | None = None,
    ) -> Redaction:
        """What keeps the secrets, `others` beside them, and what `patterns` match out of the
        record."""
        secrets = {name: self.values[name] for name in sorted(self.secret)}
        literals = resolve.spellings(secrets, kernel_name, language) if secrets else {}
        return Redaction({**(others or {}), **secrets}, literals, patterns)


def resolved(
    given: Mapping[str, Given],
    node: Mapping[str, Any],
    *,
    kernel_name: str,
    language: str,
    undeclared: bool,
) -> Values:
    """The values for the notebook `node` of what was given and fetched.

    Raises:
        ParameterError: a value or a name is refused, or one that is required is missing.
        RunbookError: what the notebook declares makes no sense.
    """
    declared = resolve.declared(node, language, kernel_name)
    resolve.refuse_missing(resolve.missing(declared, given))
    if undeclared and is_closed(node["metadata"]):
        raise ParameterError(
            "--undeclared: this runbook takes no other parameters than those of its schema "
            "(additionalProperties is false)"
        )
    values = resolve.resolve(declared, given, language=language, undeclared=undeclared)
    marked = {name for name, each in declared.items() if each.secret}
    secret = frozenset(name for name, each in given.items() if each.secret or name in marked)
    return Values(values, secret, declared, _notices(declared))


def _notices(declared: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        f"{variable} is set, and this runbook has no such parameter"
        for variable in unheard(os.environ, declared)
    )
