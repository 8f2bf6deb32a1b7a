"""Gather parameter values: from the command line, the environment, a file, and prompts.

The values stay raw here. The supervisor resolves them (see `runbook.parameters.resolve`), because
it knows the kernel. Fetching and prompting need the operator's terminal and environment, so they
happen in this process, which loads no nbformat.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from nbrun.cli.commands.prompts import Prompts
from nbrun.errors import ParameterError, UsageError
from nbrun.runbook import loader, notebook
from nbrun.runbook.loader import ParsedNotebook
from nbrun.runbook.parameters import resolve, sources
from nbrun.runbook.parameters.declarations import Declarations, declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.types import Parameter, RawValue, raw_text
from nbrun.runbook.parameters.yaml_file import read_file


@dataclass(frozen=True)
class ParameterOptions:
    """Where a command line says that values come from.

    Attributes:
        assignments: `-p`.
        file: `-f`.
        allow_sources: read sources of secrets wherever a value names one, not only in `-p`.
    """

    assignments: tuple[str, ...] = ()
    file: Path | None = None
    allow_sources: bool = False


def gather(
    options: ParameterOptions,
    declarations: Declarations,
    prompts: Prompts | None,
    *,
    read_sources: bool = True,
) -> dict[str, RawValue]:
    """Return the raw values for the parameters that a notebook declares, by name.

    `-p` takes precedence over the environment, and the environment over the file. Secrets are
    fetched, or only described without `read_sources`. With `prompts`, the operator is asked for
    each required value that is missing.

    Raises:
        ParameterError: a value is refused, missing, or a secret that can't be fetched.
    """
    given = _given(options, declarations)
    declared = declarations.parameters
    if not options.allow_sources:
        for name, raw in given.items():
            sources.refuse_source(name, raw, declared_secret=_is_secret(name, declared))
    unread = {} if read_sources else _left_unread(given)
    to_fetch = {name: raw for name, raw in given.items() if name not in unread}
    fetched = _fetch(to_fetch, declared, prompts) | unread
    missing = declarations.missing(given)
    if prompts is None:
        resolve.refuse_missing(missing)
        return fetched
    return fetched | {each.name: _ask_until_valid(prompts, each) for each in missing}


def gather_secrets(
    assignments: tuple[str, ...],
    secrets: Mapping[str, Parameter],
    prompts: Prompts,
    *,
    ask: bool,
) -> dict[str, RawValue]:
    """Return the raw values of a resumed run's `secrets`, by name, fetched as `-p` says.

    With `ask`, the operator is asked for the others. Enter leaves a secret out.

    Raises:
        ParameterError: a secret is refused, or can't be fetched.
    """
    fetched = _fetch(sources.parse_assignments(assignments), secrets, prompts)
    asked = [name for name in secrets if name not in fetched] if ask else []
    entered = {name: _ask_for_optional_secret(prompts, name) for name in asked}
    return fetched | {name: raw for name, raw in entered.items() if raw is not None}


def read_declarations(path: Path, kernel: str | None) -> Declarations:
    """Return the parameters that the notebook at `path` declares, for the kernelspec `kernel`.

    Raises:
        RunbookError: the file is not a notebook, or its schema is not valid.
    """
    return declarations_in(loader.parse(path), kernel)


def declarations_in(parsed: ParsedNotebook, kernel: str | None) -> Declarations:
    """Return the parameters that `parsed` declares, for the kernelspec `kernel`.

    Raises:
        RunbookError: its schema is not valid.
    """
    kernel_name = kernel or notebook.kernel_name(parsed.metadata)
    language = language_name(kernel_name, notebook.language(parsed.metadata))
    return declarations_of(parsed.document, language)


def _given(options: ParameterOptions, declarations: Declarations) -> dict[str, RawValue]:
    from_file = read_file(options.file) if options.file else {}
    from_environment = sources.from_environment(os.environ, declarations.parameters)
    return from_file | from_environment | sources.parse_assignments(options.assignments)


def _left_unread(given: Mapping[str, RawValue]) -> dict[str, RawValue]:
    return {
        name: sources.leave_unread(name, raw)
        for name, raw in given.items()
        if sources.names_source(raw)
    }


def _is_secret(name: str, declared: Mapping[str, Parameter]) -> bool:
    return name in declared and declared[name].secret


def _fetch(
    given: Mapping[str, RawValue], declared: Mapping[str, Parameter], prompts: Prompts | None
) -> dict[str, RawValue]:
    """Replace each `@SOURCE` in `given` by its secret, and refuse secrets in plain text."""
    ask = partial(_ask_for_secret, prompts) if prompts else None
    fetched = {name: sources.fetch(name, raw, ask) for name, raw in given.items()}
    for name, raw in fetched.items():
        resolve.refuse_unencodable(name, raw)
        if _is_secret(name, declared):
            sources.refuse_secret_in_argv(name, raw)
    return fetched


# ── prompts ──────────────────────────────────────────────────────────────────────────────────


def _ask_until_valid(prompts: Prompts, parameter: Parameter) -> RawValue:
    """Ask for a required value. Print why an answer is refused, and ask again."""
    from rich.text import Text

    from nbrun.views.terminal import parameters as view
    from nbrun.views.text.sanitize import plain

    while True:
        prompts.screen.print(view.question(parameter))
        prompt = f"{plain(parameter.name)}: "
        raw = raw_text(_read(prompts, prompt, secret=parameter.secret), "typed")
        try:
            resolve.value_of(parameter.name, raw, parameter)
        except ParameterError as error:
            prompts.screen.print(Text(plain(str(error))))
        else:
            return raw


def _ask_for_secret(prompts: Prompts, name: str) -> str:
    from nbrun.views.text.sanitize import plain

    return _read(prompts, f"{plain(name)} (secret): ", secret=True)


def _ask_for_optional_secret(prompts: Prompts, name: str) -> RawValue | None:
    from nbrun.views.text.sanitize import plain

    prompt = f"{plain(name)} (secret; Enter to continue without it): "
    raw = replace(raw_text(_read(prompts, prompt, secret=True), "typed"), secret=True)
    return raw if raw.text else None


def _read(prompts: Prompts, prompt: str, *, secret: bool) -> str:
    """Return what the operator types after `prompt`.

    Raises:
        UsageError: the input ends without a line, or the terminal is gone.
    """
    try:
        return prompts.ask(prompt, secret=secret)
    except (EOFError, OSError):
        raise UsageError("no answer was given: nothing was run") from None
