"""The values of a runbook's parameters, as a command line, its environment and its terminal give
them."""

import os
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbrun import parameter_sources as sources
from nbrun import parameters, redaction
from nbrun.commands.screens import Screen
from nbrun.errors import ParameterError, UsageError
from nbrun.parameters import Given, Parameter
from nbrun.runbook import Notebook
from nbrun.views import parameters as view


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line. `interactive`: there is a terminal to ask on."""

    assignments: tuple[str, ...] = ()
    file: Path | None = None
    undeclared: bool = False
    interactive: bool = False


@dataclass(frozen=True)
class Values:
    """Every value that is injected. `secret`: the names of those that nobody may see.

    `declared` is what the runbook has to say of them; `notices` what the operator should know.
    """

    values: dict[str, Any] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    declared: dict[str, Parameter] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def gather(wanted: Wanted, notebook: Notebook, kernel_name: str, language: str) -> Values:
    """Everything given, by precedence: -p, the environment, the file, the schema's defaults; what
    must be given and was not is asked for.

    Raises:
        ParameterError: a value or a name is refused, or one is missing and nobody can be asked.
    """
    declared = parameters.declared(notebook.node, language, kernel_name)
    given = _given(wanted, declared)
    ask = _secret_asker() if wanted.interactive else None
    fetched = {name: sources.fetch(name, each, ask) for name, each in given.items()}
    for name, each in fetched.items():
        if name in declared and declared[name].secret:
            sources.refuse_in_plain_view(name, each)
    fetched |= _asked_for(parameters.missing(declared, given), interactive=wanted.interactive)
    values = parameters.resolve(declared, fetched, language=language, undeclared=wanted.undeclared)
    secret = _secret(declared, fetched)
    for name in secret:
        redaction.check(name, values[name])
    return Values(values, secret, declared, _notices(declared))


def _given(wanted: Wanted, declared: dict[str, Parameter]) -> dict[str, Given]:
    from_file = parameters.read_file(wanted.file) if wanted.file else {}
    from_environment = sources.from_environment(os.environ, declared)
    return from_file | from_environment | sources.parse_assignments(wanted.assignments)


def _secret(declared: dict[str, Parameter], given: dict[str, Given]) -> frozenset[str]:
    marked = {name for name, each in declared.items() if each.secret}
    return frozenset(name for name, each in given.items() if each.secret or name in marked)


def _notices(declared: dict[str, Parameter]) -> tuple[str, ...]:
    return tuple(
        f"{variable} is set, and this runbook has no such parameter"
        for variable in sources.unheard(os.environ, declared)
    )


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def _asked_for(missing: list[Parameter], *, interactive: bool) -> dict[str, Given]:
    if missing and not interactive:
        names = ", ".join(each.name for each in missing)
        raise ParameterError(
            f"the runbook requires {names}: give each with -p NAME=VALUE (see --help-parameters)"
        )
    return {each.name: _ask_until_right(each) for each in missing}


def _ask_until_right(parameter: Parameter) -> Given:
    """A line that fits; what does not is said, and it is asked again."""
    screen = _asking_screen()
    while True:
        given = _typed(lambda: view.ask(screen, parameter))
        try:
            parameters.value_of(parameter.name, given, parameter)
        except ParameterError as error:
            screen.print(str(error), markup=False)
        else:
            return given


def _secret_asker() -> Callable[[str], str]:
    return lambda name: _typed(lambda: view.ask_secret(_asking_screen(), name)).text or ""


def _typed(ask: Callable[[], str]) -> Given:
    """What is typed after the question is shown: keys pressed before are no answer to it."""
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    try:
        return parameters.as_text(ask(), "typed")
    except EOFError:
        raise UsageError("no answer was given: nothing was run") from None


def _asking_screen() -> Screen:
    """Questions go to the terminal, also where stdout is a file."""
    return Screen(stderr=not sys.stdout.isatty(), highlight=False, emoji=False, markup=False)
