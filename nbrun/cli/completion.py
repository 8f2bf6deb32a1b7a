"""What a shell offers for `-p`: the names of a runbook's parameters, and the values of a choice."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbrun.cli.commands.gather_parameters import declared_in
from nbrun.cli.completion_words import NAME
from nbrun.errors import NbrunError
from nbrun.runbook.parameters.resolve import Parameter
from nbrun.views.terminal.parameters import spelled, takes


def parameter(environ: Mapping[str, str], incomplete: str) -> list[tuple[str, str]]:
    """What `incomplete`, the word after `-p`, may become, each with a few words about it.

    `environ` holds what the shell says of the line. Nothing where the notebook can't be read: a
    shell that completes has nowhere to say why.
    """
    runbook = _runbook(environ)
    try:
        declared = declared_in(runbook, None) if runbook else {}
    except NbrunError:
        return []
    if environ.get(NAME) in declared:
        return list(_values(declared[environ[NAME]], incomplete))
    return list(_offers(declared, incomplete))


def _runbook(environ: Mapping[str, str]) -> Path | None:
    """The notebook on the line. While an option has no value yet, Typer knows no argument."""
    line = environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS", "")
    try:
        words = shlex.split(line)
    except ValueError:  # an open quote
        return None
    return next((Path(word).expanduser() for word in words if word.endswith(".ipynb")), None)


def _offers(declared: dict[str, Parameter], incomplete: str) -> Iterator[tuple[str, str]]:
    name, divider, typed = incomplete.partition("=")
    if divider and name in declared:
        yield from ((f"{name}={value}", told) for value, told in _values(declared[name], typed))
    elif not divider:
        names = (each for each in declared.values() if each.name.startswith(name))
        yield from ((f"{each.name}=", each.help or takes(each)) for each in names)


def _values(parameter: Parameter, typed: str) -> Iterator[tuple[str, str]]:
    values = parameter.choices or [True, False] * (parameter.type == "bool")
    yield from ((text, parameter.help) for text in map(spelled, values) if text.startswith(typed))
