"""The parameter values that an included runbook gets from the including one.

A value in the include cell is a literal of JSON. In a text, `{name}` stands for the value of that
parameter of the including runbook; a text that is `{name}` and nothing else is that value itself,
with its type, and may be a secret.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nbrun.errors import NbrunError
from nbrun.runbook import contract, notebook
from nbrun.runbook.includes.cells import IncludeFault
from nbrun.runbook.includes.files import IncludedNotebook
from nbrun.runbook.parameters.declarations import Declarations, declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.resolve import ResolvedParameters, resolve
from nbrun.runbook.parameters.types import RawValue

_REFERENCE = re.compile(r"\{([^{}]+)\}")
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_ORIGIN = "of the include"


@dataclass(frozen=True)
class BoundInclude:
    """An included runbook with its parameter values, and those that it includes itself.

    `shown`: the values that are known before the run, as a record has them.
    """

    source: IncludedNotebook
    parameters: ResolvedParameters
    shown: Mapping[str, Any]
    included: tuple["BoundInclude", ...]


class Binder:
    """Gives included runbooks their values. What is wrong is added to `faults`, and left out."""

    def __init__(self) -> None:
        self.faults: list[IncludeFault] = []

    def bind(
        self,
        included: Collection[IncludedNotebook],
        outer: ResolvedParameters,
        above: Collection[str] = (),
    ) -> tuple[BoundInclude, ...]:
        """Return `included` with values of `outer`, the parameters of the including runbook.

        `above`: the names of the parameters of the runbooks that include that one.
        """
        return tuple(
            bound for each in included if (bound := self._bound(each, outer, above)) is not None
        )

    def _bound(
        self, source: IncludedNotebook, outer: ResolvedParameters, above: Collection[str]
    ) -> BoundInclude | None:
        cell, metadata = source.cell, source.notebook.metadata
        language = _language(metadata) or outer.declarations.language
        if language != outer.declarations.language:
            self.faults.append(
                cell.fault(
                    f"{source.name} is written in {language} and this runbook in "
                    f"{outer.declarations.language}: their steps share one kernel"
                )
            )
            return None
        known = {*outer.declarations.parameters, *outer.values}
        try:
            binding = _Binding(
                outer, declarations_of(source.notebook.node, language, source.notebook.places)
            )
            faults = binding.faults(cell.parameters, known, above)
            if not faults:
                parameters = resolve(binding.inner, binding.given)
        except NbrunError as error:
            faults = [str(error)]
        if faults:
            self.faults += [cell.fault(f"{source.name}: {fault}") for fault in faults]
            return None
        below = self.bind(source.included, parameters, {*known, *above})
        return BoundInclude(source, parameters, binding.shown(parameters), below)


def _language(metadata: Mapping[str, Any]) -> str:
    """Return the language of an included runbook; empty if it names neither that nor a kernel."""
    kernel, language = notebook.kernel_name(metadata), notebook.language(metadata)
    return language_name(kernel, language) if kernel or language else ""


class _Binding:
    """The values of one include cell, as `given`, and what is wrong with them."""

    def __init__(self, outer: ResolvedParameters, inner: Declarations) -> None:
        self.inner = inner
        self.given: dict[str, RawValue] = {}
        self._outer = outer
        self._context = outer.contract_context({})
        self._secrets: dict[str, str] = {}  # the outer parameter's name, by the inner one's

    def faults(
        self, written: Mapping[str, Any], known: Collection[str], above: Collection[str]
    ) -> list[str]:
        """Read the values as written, and return everything that is wrong with them."""
        found = []
        for name, value in written.items():
            if name not in self.inner.parameters:
                declared = ", ".join(self.inner.parameters) or "none"
                found.append(f"declares no parameter {name!r} (declared: {declared})")
                continue
            faults = [*self._value_faults(name, value)]
            found += faults or self._type_faults(name)
        missing = ", ".join(each.name for each in self.inner.missing(written))
        if missing:
            found.append(f"requires {missing}: give it in metadata.nbrun.parameters")
        clashes = (_clash(name, written, known, above) for name in self.inner.parameters)
        return found + [fault for fault in clashes if fault]

    def shown(self, parameters: ResolvedParameters) -> dict[str, Any]:
        """Return the values that are known before the run, without secrets."""
        known = parameters.contract_context({}).values
        return {**known, **{name: f"[secret:{of}]" for name, of in self._secrets.items()}}

    def _value_faults(self, name: str, value: Any) -> list[str]:
        """Read one value as written, and return what is wrong with it."""
        reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        secret = reference is not None and reference[1] in self._context.hidden
        if self.inner.parameters[name].secret and not secret:
            return [f"{name} is a secret: pass a secret parameter of this runbook, as {{NAME}}"]
        if reference is not None:
            return self._reference_faults(name, reference[1], secret=secret)
        if not isinstance(value, str):
            self.given[name] = RawValue(value, None, _ORIGIN)
            return []
        faults = [*contract.field_faults(f"parameters.{name}", value, self._context)]
        if not faults:
            self._render(name, value)
        return faults

    def _render(self, name: str, template: str) -> None:
        text = contract.render_question(template, self._context)
        used = {each[1] for each in _FIELD.finditer(template) if each[1]}
        unread = text if used & self._outer.unread else ""
        self.given[name] = RawValue(text, None, _ORIGIN, unread=unread)

    def _reference_faults(self, name: str, outer: str, *, secret: bool) -> list[str]:
        values = {**self._context.values, **self._outer.values}
        if outer not in values:
            if outer not in self._outer.declarations.parameters:
                return [f"{name}: this runbook has no parameter {outer!r}"]
            return [
                f"{name}: the value of {outer} is not known before the run: give it with -p, or "
                "make its default a literal"
            ]
        if secret:
            self._secrets[name] = outer
        unread = str(values[outer]) if outer in self._outer.unread else ""
        self.given[name] = RawValue(values[outer], None, _ORIGIN, secret, unread)
        return []

    def _type_faults(self, name: str) -> list[str]:
        parameters = {
            other: replace(each, required=False) for other, each in self.inner.parameters.items()
        }
        try:
            resolve(replace(self.inner, parameters=parameters), {name: self.given[name]})
        except NbrunError as error:
            return [str(error)]
        return []


def _clash(
    name: str, written: Mapping[str, Any], known: Collection[str], above: Collection[str]
) -> str:
    """Return why the included parameter `name` would change one of an including runbook; or "".

    The steps share one kernel: the included runbook's cell assigns its parameters there.
    """
    if name in known and written.get(name) != f"{{{name}}}":
        return (
            f"{name} is a parameter of this runbook too, and their steps share one kernel: pass it "
            f'on ("{name}": "{{{name}}}"), or rename one of them'
        )
    if name in above and name not in known:
        return (
            f"{name} is a parameter of a runbook that includes this one, and their steps share one "
            "kernel: pass it on through this runbook, or rename one of them"
        )
    return ""
