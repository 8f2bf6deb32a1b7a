"""Shell completion of `-p`: the names of a runbook's parameters, and the choices of a value."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbrun.cli.commands.gather_parameters import read_declarations
from nbrun.cli.completion_words import NAME
from nbrun.errors import NbrunError
from nbrun.runbook.parameters.types import Parameter
from nbrun.runbook.text_formats.suffixes import is_text
from nbrun.views.terminal.parameters import as_text, takes


def parameter(environ: Mapping[str, str], incomplete: str) -> list[tuple[str, str]]:
    """Return the completions of `incomplete`, the word after `-p`, each with a description.

    `environ` holds the command line, as the shell passes it. The result is empty if the notebook
    can't be read: a shell has no place for an error.
    """
    runbook = _runbook_path(environ)
    try:
        declared = read_declarations(runbook, None).parameters if runbook else {}
    except NbrunError:
        return []
    if environ.get(NAME) in declared:
        return list(_values(declared[environ[NAME]], incomplete))
    return list(_names_or_values(declared, incomplete))


def _runbook_path(environ: Mapping[str, str]) -> Path | None:
    """Return the notebook on the command line.

    Typer does not parse the arguments while an option has no value yet.
    """
    line = environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS", "")
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed
        return None
    paths = (Path(word).expanduser() for word in words)
    return next((path for path in paths if path.suffix == ".ipynb" or is_text(path)), None)


def _names_or_values(declared: dict[str, Parameter], incomplete: str) -> Iterator[tuple[str, str]]:
    """Yield names with a `=`, or after the `=` whole assignments."""
    name, equals, value = incomplete.partition("=")
    if equals and name in declared:
        yield from ((f"{name}={text}", about) for text, about in _values(declared[name], value))
    elif not equals:
        matches = (each for each in declared.values() if each.name.startswith(name))
        yield from ((f"{each.name}=", each.help or takes(each)) for each in matches)


def _values(parameter: Parameter, incomplete: str) -> Iterator[tuple[str, str]]:
    choices = parameter.choices or [True, False] * (parameter.type == "bool")
    for text in map(as_text, choices):
        if text.startswith(incomplete):
            yield text, parameter.help
