"""Options and arguments that several commands share.

The options of `RunOptions` and `DisplayOptions` are declared once each. A command that is decorated
with `takes_run_options` or `takes_display_options` has them in its signature, where Typer finds
them, and receives one value that holds them all.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from nbrun import units
from nbrun.core.run_options import NestedErrors, OnFailure, RunOptions, ShellErrors
from nbrun.views.text.options import DisplayOptions

Command = Callable[..., None]

Runbook = Annotated[
    str,
    typer.Argument(
        metavar="RUNBOOK", help="The notebook, or its address: https://, s3://, gs://, abs://."
    ),
]
RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="The run's id, a unique part of the id, a path, or last."),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(
        help="The folder that holds the runs. Also NBRUN_RUNS_DIR, or runs_dir in nbrun.toml."
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Foreign = Annotated[
    bool,
    typer.Option(
        "--foreign",
        help="Act on a run that this account did not begin here: a copy, or as root another "
        "user's.",
    ),
]
AllowedSigners = Annotated[
    Path | None,
    typer.Option(help="The keys that may sign records: a file as in ssh-keygen(1)."),
]
Plain = Annotated[
    bool,
    typer.Option("--plain", help="No colours, boxes or redrawing: for screen readers and logs."),
]
JournalLines = Annotated[bool, typer.Option("--json", help="Print the journal's lines.")]
JsonObject = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


# ── parameters ───────────────────────────────────────────────────────────────────────────────


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
SecretsAgain = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=@SOURCE",
        help="Give a secret of the run again; sources as for start.",
    ),
]
ParametersFile = Annotated[
    Path | None,
    typer.Option("-f", "--parameters-file", help="Set parameters from a YAML file."),
]
AllowSources = Annotated[
    bool,
    typer.Option(
        "--allow-sources",
        help="Read @SOURCE also in the parameters file and in the environment.",
    ),
]


# ── options of a run ─────────────────────────────────────────────────────────────────────────


def _wait_for(text: str) -> float | None:
    return units.parse_duration(text, "--wait-for") if text else None


def _max_output(text: str) -> int | None:
    return units.parse_size(text, "--max-output") if text else None


# The fields of RunOptions, in the order in which --help lists them.
_RUN_OPTIONS: dict[str, Any] = {
    "undeclared": Annotated[
        bool, typer.Option("--undeclared", help="Accept parameters that the notebook lacks.")
    ],
    "runs_dir": RunsDir,
    "kernel": Annotated[
        str | None, typer.Option(help="Use this kernel instead of the notebook's own.")
    ],
    "gateway": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Run the kernel on this Jupyter server or gateway; none: on this machine.",
        ),
    ],
    "cwd": Annotated[
        Path | None, typer.Option(help="Run in this folder instead of the notebook's folder.")
    ],
    "step": Annotated[bool, typer.Option("--step", help="Stop and ask before every step.")],
    "by_hand": Annotated[
        bool,
        typer.Option(
            "--by-hand",
            help="Run nothing: ask for each step whether you have done it, as in a checklist.",
        ),
    ],
    "strict": Annotated[
        bool, typer.Option("--strict", help="Refuse every decision that leaves the script.")
    ],
    "on_failure": Annotated[
        OnFailure,
        typer.Option(
            help="At a failed step: ask the operator, end the run, or wait until someone attaches."
        ),
    ],
    "wait_for": Annotated[
        float | None,
        typer.Option(
            parser=_wait_for,
            metavar="TIME",
            help="How long a stop waits while nobody is attached, for example 2h; then the run "
            "fails.",
        ),
    ],
    "shell_errors": Annotated[
        ShellErrors,
        typer.Option(help="Whether a failed shell command in a cell fails its step."),
    ],
    "nested_errors": Annotated[
        NestedErrors,
        typer.Option(help="Whether an error that IPython shows without ending the cell fails it."),
    ],
    "role": Annotated[
        str | None, typer.Option(help="Run the kernel with this role of nbrun.toml.")
    ],
    "group": Annotated[str, typer.Option(help="Let the members of this group watch and approve.")],
    "operators": Annotated[
        str,
        typer.Option(help="Share the run with this group, and let it be handed over to a member."),
    ],
    "yes": Annotated[
        bool,
        typer.Option("--yes", help="Confirm steps in advance, except destructive ones."),
    ],
    "yes_destructive": Annotated[
        bool, typer.Option("--yes-destructive", help="Confirm destructive steps, too.")
    ],
    "reason": Annotated[str, typer.Option(help="Why you start this run, for the record.")],
    "ticket": Annotated[
        str, typer.Option(help="The ticket that this run belongs to, for the record.")
    ],
    "sign": Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign the record with this OpenSSH key.")
    ],
    "max_output": Annotated[
        int | None,
        typer.Option(
            parser=_max_output,
            metavar="SIZE",
            help="How much output of a step is kept: 64MiB by default, 0 for no limit.",
        ),
    ],
}


def takes_run_options(*names: str) -> Callable[[Command], Command]:
    """Give a command the options of a run: those called `names`, or all of them.

    The command receives a `RunOptions` as its argument `options`.
    """
    chosen = {name: _RUN_OPTIONS[name] for name in names or _RUN_OPTIONS}
    return _takes("options", RunOptions, chosen, RunOptions())


# ── options of the display ───────────────────────────────────────────────────────────────────

_DISPLAY_OPTIONS: dict[str, Any] = {
    "plain": Plain,
    "full_traceback": Annotated[
        bool, typer.Option("--full-traceback", help="Show every frame of a traceback.")
    ],
    "max_lines": Annotated[
        int, typer.Option(min=0, help="How many lines of one output are printed; 0 for all.")
    ],
}


def takes_display_options(**defaults: Any) -> Callable[[Command], Command]:
    """Give a command the options that say how a run is shown; `defaults` override the usual ones.

    The command receives a `DisplayOptions` as its argument `display`.
    """
    return _takes("display", DisplayOptions, _DISPLAY_OPTIONS, DisplayOptions(**defaults))


def _takes(
    parameter: str, build: Callable[..., Any], options: Mapping[str, Any], defaults: Any
) -> Callable[[Command], Command]:
    """Put `options` in the place of `parameter` in a command's signature, which Typer reads.

    `options` are fields of what `build` returns; `defaults` holds the default of each.
    """
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(defaults, name),
            annotation=annotation,
        )
        for name, annotation in options.items()
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**arguments: Any) -> None:
            built = build(**{name: arguments.pop(name) for name in options})
            command(**arguments, **{parameter: built})

        own = inspect.signature(command)
        kept = [each for each in own.parameters.values() if each.name != parameter]
        vars(run)["__signature__"] = own.replace(parameters=[*kept, *added])
        run.__annotations__ = {each.name: each.annotation for each in (*kept, *added)}
        return run

    return decorate
