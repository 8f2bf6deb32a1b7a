"""The values of a runbook's parameters, as a command line, its environment and its terminal give
them."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nbrun.errors import ParameterError, UsageError
from nbrun.runbook import notebook
from nbrun.runbook.parameters import resolve, sources
from nbrun.runbook.parameters.resolve import Given, Parameter

if TYPE_CHECKING:
    from nbrun.cli.commands.console_output import CommandConsole


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    assignments: tuple[str, ...] = ()
    file: Path | None = None


def gather(
    wanted: Wanted, runbook: Path, kernel: str | None, *, interactive: bool
) -> dict[str, Given]:
    """Everything given for the parameters of the notebook at `runbook`, by precedence: -p, the
    environment, the file; secrets fetched, and what must be given and was not asked for.

    This needs the operator's terminal and environment, and little else: it loads no nbformat.
    `interactive`: there is a terminal to ask on.

    Raises:
        ParameterError: a value is refused, or can't be fetched.
    """
    declared = declared_in(runbook, kernel)
    given = _given(wanted, declared)
    ask = _secret_asker() if interactive else None
    fetched = {name: sources.fetch(name, each, ask) for name, each in given.items()}
    for name, each in fetched.items():
        resolve.refuse_unrecordable(name, each)
        if name in declared and declared[name].secret:
            sources.refuse_in_plain_view(name, each)
    missing = resolve.missing(declared, given)
    if not interactive:
        resolve.refuse_missing(missing)
    return fetched | {each.name: _ask_until_right(each) for each in missing}


def given_again(
    assignments: tuple[str, ...], declared: dict[str, Parameter], *, ask_for: bool
) -> dict[str, Given]:
    """The secrets of a run that goes on, `declared` as it recorded them: those of `-p`, fetched,
    and with `ask_for` the others, asked for without an echo. Enter goes on without one.

    Raises:
        ParameterError: one is refused, or can't be fetched.
    """
    given = sources.parse_assignments(assignments)
    ask = _secret_asker()
    fetched = {name: sources.fetch(name, each, ask) for name, each in given.items()}
    for name, each in fetched.items():
        resolve.refuse_unrecordable(name, each)
        sources.refuse_in_plain_view(name, each)
    asked = [name for name in declared if name not in fetched] if ask_for else []
    typed = {name: _typed_again(name) for name in asked}
    return fetched | {name: each for name, each in typed.items() if each is not None}


def _typed_again(name: str) -> Given | None:
    from nbrun.views.text.sanitize import plain

    prompt = f"{plain(name)} (a secret; Enter to go on without it): "
    given = replace(_typed(_asking_screen(), prompt, secret=True), secret=True)
    return given if given.text else None


def declared_in(path: Path, kernel: str | None) -> dict[str, Parameter]:
    """The parameters of the notebook at `path`, read as far as it takes to know them.

    Raises:
        RunbookError: it is no notebook.
    """
    document = notebook.parse(path, notebook.read_bytes(path))
    notebook.check_metadata(path, document)
    metadata = document["metadata"]
    names = (metadata.get(key) for key in ("language_info", "kernelspec"))
    language, own = (each.get("name") if isinstance(each, dict) else None for each in names)
    return resolve.declared(document, language, kernel or own)


def _given(wanted: Wanted, declared: dict[str, Parameter]) -> dict[str, Given]:
    from_file = resolve.read_file(wanted.file) if wanted.file else {}
    from_environment = sources.from_environment(os.environ, declared)
    return from_file | from_environment | sources.parse_assignments(wanted.assignments)


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def _ask_until_right(parameter: Parameter) -> Given:
    """A line that fits; what does not is said, and it is asked again."""
    from rich.text import Text

    from nbrun.views.terminal import parameters as view
    from nbrun.views.text.sanitize import plain

    screen = _asking_screen()
    while True:
        screen.print(view.question(parameter))
        given = _typed(screen, f"{plain(parameter.name)}: ", secret=parameter.secret)
        try:
            resolve.value_of(parameter.name, given, parameter)
        except ParameterError as error:
            screen.print(Text(plain(str(error))))
        else:
            return given


def _secret_asker() -> Callable[[str], str]:
    def ask(name: str) -> str:
        from nbrun.views.text.sanitize import plain

        return _typed(_asking_screen(), f"{plain(name)} (a secret): ", secret=True).text or ""

    return ask


def _typed(screen: "CommandConsole", prompt: str, *, secret: bool) -> Given:
    """The line typed after `prompt`: keys pressed before are no answer to it, and the echo of a
    secret is off before it is asked for."""

    from nbrun.views.terminal.line_input import Keyboard

    def write(text: str) -> None:
        screen.file.write(text)
        screen.file.flush()

    nothing, end = os.pipe()  # that `ask` could have to tell of meanwhile
    try:
        line = Keyboard(sys.stdin.fileno(), write).ask(prompt, nothing, lambda: None, secret=secret)
    except EOFError:
        raise UsageError("no answer was given: nothing was run") from None
    finally:
        os.close(nothing)
        os.close(end)
    return resolve.as_text(line or "", "typed")


def _asking_screen() -> "CommandConsole":
    """Questions go to the terminal, also where stdout is a file."""
    from nbrun.cli.commands.console_output import CommandConsole

    return CommandConsole(
        stderr=not sys.stdout.isatty(), highlight=False, emoji=False, markup=False
    )
