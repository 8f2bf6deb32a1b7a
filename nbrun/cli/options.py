"""Options and arguments that several commands take."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
MaxLines = Annotated[
    int, typer.Option(min=0, help="Lines of one output that are printed; 0 for all.")
]
FullTraceback = Annotated[
    bool, typer.Option("--full-traceback", help="Show every frame of a traceback.")
]
AllowedSigners = Annotated[
    Path | None, typer.Option(help="Who may sign: a file as ssh-keygen(1) describes it.")
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, a unique part of it, a path, or last.")
]


def _complete_parameter(incomplete: str) -> list[tuple[str, str]]:
    from nbrun.commands import completion

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
    typer.Option(help="Run with the environment of this role of nbrun.toml.", show_default=False),
]


def text(path: Path | None) -> str | None:
    return None if path is None else str(path)
