"""Options and arguments that several commands take."""

import inspect
import os
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from nbrun.views.text.options import DisplayOptions


class OnFailure(StrEnum):
    ask = "ask"
    stop = "stop"
    wait = "wait"


class ShellErrors(StrEnum):
    fail = "fail"
    ignore = "ignore"


RunsDir = Annotated[
    Path | None,
    typer.Option(help="Where runs are kept. Also NBRUN_RUNS_DIR, or runs_dir in nbrun.toml."),
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="No colours, no boxes, nothing redrawn: for screen readers."),
]
AllowedSigners = Annotated[
    Path | None, typer.Option(help="Who may sign: a file as ssh-keygen(1) describes it.")
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, a unique part of it, a path, or last.")
]


def _complete_parameter(incomplete: str) -> list[tuple[str, str]]:
    from nbrun.cli import completion

    return completion.parameter(os.environ, incomplete)


Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        help="Set a parameter. VALUE may be @env:VAR, @file:PATH, @prompt, @keyring:… or @cmd:….",
        autocompletion=_complete_parameter,
    ),
]
ParametersFile = Annotated[
    Path | None,
    typer.Option("-f", "--parameters-file", help="Set parameters from a YAML file."),
]
Undeclared = Annotated[
    bool,
    typer.Option("--undeclared", help="Take parameters that the notebook does not declare."),
]
KernelName = Annotated[
    str | None, typer.Option(help="Run on this kernel instead of the notebook's own.")
]


RoleName = Annotated[
    str | None,
    typer.Option(help="Run as this role of nbrun.toml.", show_default=False),
]


# ── how a run is shown ───────────────────────────────────────────────────────────────────────

_LOOK: dict[str, Any] = {
    "plain": Plain,
    "full_traceback": Annotated[
        bool, typer.Option("--full-traceback", help="Show every frame of a traceback.")
    ],
    "max_lines": Annotated[
        int, typer.Option(min=0, help="Lines of one output that are printed; 0 for all.")
    ],
}


def shown(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command that takes a `look` the options that make one, each a field of `Look` with
    its default there or in `defaults`. Typer finds them in the signature, in place of `look`."""
    usual = DisplayOptions(**defaults)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            display = DisplayOptions(**{name: arguments.pop(name) for name in _LOOK})
            command(**arguments, display=display)

        own = inspect.signature(command)
        taken = [each for each in own.parameters.values() if each.name != "display"]
        options = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=getattr(usual, name), annotation=kind
            )
            for name, kind in _LOOK.items()
        ]
        vars(run)["__signature__"] = own.replace(parameters=[*taken, *options])
        run.__annotations__ = {each.name: each.annotation for each in (*taken, *options)}
        return run

    return decorate


def text(path: Path | None) -> str | None:
    return None if path is None else str(path)
