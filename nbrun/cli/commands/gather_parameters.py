"""Gather parameter values: from the command line, the environment, a file, and prompts.

The values stay raw here. The supervisor resolves them (see `runbook.parameters.resolve`), because
it knows the kernel. Fetching and prompting need the operator's terminal and environment, so they
happen in this process, which loads no nbformat.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nbrun.errors import ParameterError, UsageError
from nbrun.runbook import loader, notebook
from nbrun.runbook.parameters import resolve, sources
from nbrun.runbook.parameters.declarations import Declarations, declarations_of
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.types import Parameter, RawValue, raw_text
from nbrun.runbook.parameters.yaml_file import read_file

if TYPE_CHECKING:
    from nbrun.cli.commands.console_output import CommandConsole


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
    runbook: Path,
    kernel: str | None,
    *,
    interactive: bool,
    read_sources: bool = True,
) -> dict[str, RawValue]:
    """Return the raw values for the parameters of the notebook at `runbook`, by name.

    `-p` takes precedence over the environment, and the environment over the file. Secrets are
    fetched, or only described without `read_sources`. With `interactive`, the operator is asked for
    each required value that is missing.

    Raises:
        ParameterError: a value is refused, missing, or a secret that can't be fetched.
        RunbookError: the file is not a notebook.
    """
    declarations = read_declarations(runbook, kernel)
    given = _given(options, declarations)
    declared = declarations.parameters
    if not options.allow_sources:
        for name, raw in given.items():
            sources.refuse_source(name, raw, declared_secret=_is_secret(name, declared))
    unread = {} if read_sources else _left_unread(given)
    to_fetch = {name: raw for name, raw in given.items() if name not in unread}
    fetched = _fetch(to_fetch, declared, interactive=interactive) | unread
    missing = declarations.missing(given)
    if not interactive:
        resolve.refuse_missing(missing)
    return fetched | {each.name: _ask_until_valid(each) for each in missing}


def gather_secrets(
    assignments: tuple[str, ...], secrets: Mapping[str, Parameter], *, ask: bool
) -> dict[str, RawValue]:
    """Return the raw values of a resumed run's `secrets`, by name, fetched as `-p` says.

    With `ask`, the operator is asked for the others. Enter leaves a secret out.

    Raises:
        ParameterError: a secret is refused, or can't be fetched.
    """
    fetched = _fetch(sources.parse_assignments(assignments), secrets, interactive=True)
    asked = [name for name in secrets if name not in fetched] if ask else []
    entered = {name: _ask_for_optional_secret(name) for name in asked}
    return fetched | {name: raw for name, raw in entered.items() if raw is not None}


def read_declarations(path: Path, kernel: str | None) -> Declarations:
    """Return the parameters that the notebook at `path` declares, for the kernelspec `kernel`.

    Raises:
        RunbookError: the file is not a notebook, or its schema is not valid.
    """
    parsed = loader.parse(path)
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
    given: Mapping[str, RawValue], declared: Mapping[str, Parameter], *, interactive: bool
) -> dict[str, RawValue]:
    """Replace each `@SOURCE` in `given` by its secret, and refuse secrets in plain text."""
    ask = _ask_for_secret if interactive else None
    fetched = {name: sources.fetch(name, raw, ask) for name, raw in given.items()}
    for name, raw in fetched.items():
        resolve.refuse_unencodable(name, raw)
        if _is_secret(name, declared):
            sources.refuse_secret_in_argv(name, raw)
    return fetched


# ── prompts ──────────────────────────────────────────────────────────────────────────────────


def _ask_until_valid(parameter: Parameter) -> RawValue:
    """Ask for a required value. Print why an answer is refused, and ask again."""
    from rich.text import Text

    from nbrun.views.terminal import parameters as view
    from nbrun.views.text.sanitize import plain

    screen = _prompt_screen()
    while True:
        screen.print(view.question(parameter))
        raw = _read_line(screen, f"{plain(parameter.name)}: ", secret=parameter.secret)
        try:
            resolve.value_of(parameter.name, raw, parameter)
        except ParameterError as error:
            screen.print(Text(plain(str(error))))
        else:
            return raw


def _ask_for_secret(name: str) -> str:
    from nbrun.views.text.sanitize import plain

    return _read_line(_prompt_screen(), f"{plain(name)} (secret): ", secret=True).text or ""


def _ask_for_optional_secret(name: str) -> RawValue | None:
    from nbrun.views.text.sanitize import plain

    prompt = f"{plain(name)} (secret; Enter to continue without it): "
    raw = replace(_read_line(_prompt_screen(), prompt, secret=True), secret=True)
    return raw if raw.text else None


def _read_line(screen: "CommandConsole", prompt: str, *, secret: bool) -> RawValue:
    """Return the line that the operator types after `prompt`.

    Input from before the prompt is dropped. The echo is off before a secret's prompt appears.

    Raises:
        UsageError: the input ends without a line.
    """
    from nbrun.views.terminal.line_input import Keyboard

    def write(text: str) -> None:
        screen.file.write(text)
        screen.file.flush()

    never_ready, end = os.pipe()  # `ask` waits for events of a run too; here there are none
    try:
        line = Keyboard(sys.stdin.fileno(), write).ask(
            prompt, never_ready, lambda: None, secret=secret
        )
    except EOFError:
        raise UsageError("no answer was given: nothing was run") from None
    finally:
        os.close(never_ready)
        os.close(end)
    return raw_text(line or "", "typed")


def _prompt_screen() -> "CommandConsole":
    """Return a screen for prompts: the terminal, also if stdout is redirected to a file."""
    from nbrun.cli.commands.console_output import CommandConsole

    return CommandConsole(
        stderr=not sys.stdout.isatty(), highlight=False, emoji=False, markup=False
    )
