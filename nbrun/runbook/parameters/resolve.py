"""Resolve parameters: check what the operator gave against the notebook's declarations.

This is the only place that decides on names, types, schemas, secrecy and the length of secrets.
Everything later uses the result, `ResolvedParameters`.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbrun.core.redaction.secret_encodings import secret_fault
from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import Declarations
from nbrun.runbook.parameters.languages import check_name, check_undeclared_name
from nbrun.runbook.parameters.schema import schema_fault
from nbrun.runbook.parameters.types import Parameter, RawValue, from_text, of_type, refuse_unsafe

if TYPE_CHECKING:
    from nbrun.runbook.contract import ContractContext


@dataclass(frozen=True)
class ResolvedParameters:
    """The values of a run's parameters, each of its declared type.

    Attributes:
        values: by name, in the order of their declaration; JSON's types, exact in 64 bits.
        secrets: the names of the values that must not be recorded or shown.
        unread: the names of the values that are not known: `values` has a description of each.
    """

    declarations: Declarations
    values: dict[str, Any]
    secrets: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()

    @property
    def secret_values(self) -> dict[str, Any]:
        """The values of the secrets, by name."""
        return {name: self.values[name] for name in sorted(self.secrets)}

    def contract_context(self, defaults: Mapping[str, Any]) -> "ContractContext":
        """Return what the contracts of steps refer to: `defaults`, and values that can be shown."""
        from nbrun.runbook.contract import ContractContext  # the shell's completion needs none

        hidden = self.secrets | self.declarations.secrets
        known = self.declarations.literal_defaults() | self.values
        shown = {name: value for name, value in known.items() if name not in hidden}
        return ContractContext(defaults, shown, hidden)


def resolve(
    declarations: Declarations, given: Mapping[str, RawValue], *, undeclared: bool = False
) -> ResolvedParameters:
    """Resolve the values to inject: `given`, and the schema's defaults for what is not given.

    `undeclared`: accept names that the notebook does not declare, with their values as written.

    Raises:
        ParameterError: a name or a value is refused, or a required parameter is missing. The
            message names the parameter, the origin, and a value that is not secret.
        RunbookError: the schema refers to something that is not in it.
    """
    refuse_missing(declarations.missing(given))
    if undeclared and declarations.closed:
        raise ParameterError(
            "--undeclared: this runbook accepts only the parameters of its schema "
            "(additionalProperties is false)"
        )
    declared = declarations.parameters
    for name, raw in given.items():
        _check_name(name, raw, declarations, undeclared=undeclared)
    values = _schema_defaults(declared, given)
    values |= {name: value_of(name, raw, declared.get(name)) for name, raw in given.items()}
    _refuse_overwritten(values, declarations.overwritten)
    in_order = [*(name for name in declared if name in values), *values]
    # The schema's own default is not a secret: the notebook itself shows it.
    secrets = {name for name, raw in given.items() if raw.secret} | (
        declarations.secrets & given.keys()
    )
    return ResolvedParameters(
        declarations,
        {name: values[name] for name in in_order},
        frozenset(secrets),
        frozenset(name for name, raw in given.items() if raw.unread),
    )


def check_defaults(declarations: Declarations) -> None:
    """Check the schema's defaults, as a run without any given value does.

    Raises:
        ParameterError: the schema does not allow a default, or a cell would overwrite it.
        RunbookError: the schema refers to something that is not in it.
    """
    parameters = {
        name: replace(each, required=False) for name, each in declarations.parameters.items()
    }
    resolve(replace(declarations, parameters=parameters), {})


def refuse_missing(missing: Sequence[Parameter]) -> None:
    """Raise ParameterError if `missing`, the required parameters without a value, is not empty."""
    if missing:
        names = ", ".join(each.name for each in missing)
        raise ParameterError(
            f"the runbook requires {names}: give each with -p NAME=VALUE (see --help-parameters)"
        )


def _refuse_overwritten(values: Mapping[str, Any], overwritten: Mapping[str, str]) -> None:
    for name in values:
        if name in overwritten:
            raise ParameterError(
                f"parameter {name!r}: {overwritten[name]} is tagged as parameters too, and "
                "would overwrite the value: keep one such cell"
            )


def refuse_unencodable(name: str, raw: RawValue) -> None:
    """Raise ParameterError if neither a record nor a message can hold `raw` exactly."""
    try:
        refuse_unsafe(raw.value)
    except ParameterError as error:
        raise ParameterError(f"{_label(name, raw)}: {error}") from None


def value_of(name: str, raw: RawValue, parameter: Parameter | None) -> Any:
    """Convert `raw` to the value of a parameter; None stands for one that is not declared.

    A value that was not read has no type: it is described.

    Raises:
        ParameterError: the value is of another type, its schema does not allow it, or it is a
            secret that can't be redacted.
    """
    if raw.unread:
        return raw.unread
    parameter = parameter or Parameter(name, "any")
    value = _allowed_value(name, raw, parameter)
    fault = secret_fault(value) if raw.secret or parameter.secret else None
    if fault is not None:
        raise ParameterError(f"{_label(name, raw)}: {fault}")
    return value


def _check_name(name: str, raw: RawValue, declarations: Declarations, *, undeclared: bool) -> None:
    try:
        check_name(name, declarations.language)
        if name in declarations.parameters:
            return
        if not undeclared:
            raise ParameterError(_undeclared_fault(name, declarations.parameters))
        check_undeclared_name(name, declarations.language)
    except ParameterError as error:
        raise ParameterError(f"{_label(name, raw)}: {error}") from None


def _undeclared_fault(name: str, declared: Mapping[str, Parameter]) -> str:
    if not declared:
        return "this notebook declares no parameters; to set it anyway: --undeclared"
    near = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"not declared; {hint}the notebook declares {', '.join(declared)}"


def _schema_defaults(
    declared: Mapping[str, Parameter], given: Mapping[str, RawValue]
) -> dict[str, Any]:
    return {
        name: _allowed_value(
            name, RawValue(parameter.schema["default"], None, "the schema's default"), parameter
        )
        for name, parameter in declared.items()
        if "default" in parameter.schema and name not in given
    }


def _allowed_value(name: str, raw: RawValue, parameter: Parameter) -> Any:
    """Return the value of `raw`, of the parameter's type and as its schema allows."""
    secret = raw.secret or parameter.secret
    try:
        value = _typed_value(raw, parameter)
        fault = schema_fault(replace(parameter, secret=secret), value)
        if fault is not None:
            raise ParameterError(fault)
    except ParameterError as error:
        shown = "" if secret else f"{_short(raw.value if raw.text is None else raw.text)}: "
        raise ParameterError(f"{_label(name, raw)}: {shown}{error}") from None
    return value


def _typed_value(raw: RawValue, parameter: Parameter) -> Any:
    if raw.exact and not raw.secret:
        return of_type(raw.value, "any")
    choice = _choice(raw, parameter)
    if choice is not None:
        return choice
    if parameter.optional and _is_null(raw, parameter):
        return None
    if parameter.keyword == "readonly":
        raise ParameterError("the cell declares it readonly, so that no value can replace it")
    if parameter.type == "other":
        raise ParameterError(
            f"declared as {parameter.declared}, which nbrun can't pass: declare it as str, and "
            "convert it in a step"
        )
    if raw.value is None and parameter.type != "any":
        raise ParameterError(f"null where a {parameter.type} is expected; quote it if it is text")
    if raw.text is None or parameter.type == "any":
        return of_type(raw.value, parameter.type)
    return from_text(raw.text, parameter.type)


def _is_null(raw: RawValue, parameter: Parameter) -> bool:
    """Return True for null, and for the words none and null where text is not a valid value."""
    if raw.value is None:
        return True
    if parameter.choices:
        takes_text = raw.text in parameter.choices
    else:
        takes_text = parameter.type in ("str", "any")
    return not takes_text and raw.text is not None and raw.text.lower() in ("none", "null")


def _choice(raw: RawValue, parameter: Parameter) -> Any:
    """Return the choice that the text is in JSON, for an `enum` of mixed types; else None."""
    if raw.text is None or parameter.type != "any":
        return None
    others = (each for each in parameter.choices if not isinstance(each, str))
    return next((each for each in others if json.dumps(each) == raw.text), None)


def _label(name: str, raw: RawValue) -> str:
    return f"parameter {name!r} ({raw.origin})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
