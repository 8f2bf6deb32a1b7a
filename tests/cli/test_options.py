"""Options that several commands share."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from nbrun.cli.main import app
from nbrun.cli.options import takes_display_options, takes_run_options
from nbrun.core.run_options import NestedErrors, OnFailure, RunOptions, ShellErrors
from nbrun.supervisor import requests
from nbrun.supervisor.requests import StartRequest
from nbrun.views.text.options import DisplayOptions

EVERY_OPTION = RunOptions(
    undeclared=True,
    runs_dir=Path("runs"),
    kernel="bash",
    gateway="https://gateway.example.com",
    cwd=Path("there"),
    step=True,
    strict=True,
    on_failure="wait",
    wait_for=7200.0,
    shell_errors="ignore",
    nested_errors="ignore",
    role="reader",
    group="ops",
    operators="ops",
    yes=True,
    yes_destructive=True,
    by_hand=True,
    reason="the disk alarm",
    ticket="OPS-1",
    sign=Path("key"),
    max_output=2**20,
)
AS_TYPED = (
    *("--undeclared", "--runs-dir", "runs", "--kernel", "bash", "--cwd", "there", "--step"),
    *("--gateway", "https://gateway.example.com"),
    *("--strict", "--on-failure", "wait", "--wait-for", "2h", "--shell-errors", "ignore"),
    *("--nested-errors", "ignore"),
    *(
        "--role",
        "reader",
        "--group",
        "ops",
        "--operators",
        "ops",
        "--yes",
        "--yes-destructive",
        "--by-hand",
    ),
    *("--reason", "the disk alarm", "--ticket", "OPS-1", "--sign", "key", "--max-output", "1MiB"),
)


def options_from(*words: str, names: tuple[str, ...] = ()) -> RunOptions:
    """Return what a command that takes the options called `names` receives for `words`."""
    received: list[RunOptions] = []
    program = typer.Typer()

    @program.command()
    @takes_display_options()
    @takes_run_options(*names)
    def command(*, options: RunOptions, display: DisplayOptions) -> None:
        assert display == DisplayOptions()
        received.append(options)

    result = CliRunner().invoke(program, words)
    assert result.exit_code == 0, result.output
    return received[0]


def test_run_options_are_defaults_if_none_is_given() -> None:
    assert options_from() == RunOptions()


def test_every_run_option_reaches_the_struct() -> None:
    usual = asdict(RunOptions())
    assert all(value != usual[name] for name, value in asdict(EVERY_OPTION).items())
    assert options_from(*AS_TYPED) == EVERY_OPTION


def test_run_options_keep_defaults_if_command_takes_only_some() -> None:
    assert options_from("--kernel", "bash", names=("kernel",)) == RunOptions(kernel="bash")


def test_every_run_option_reaches_the_supervisor() -> None:
    order = StartRequest(runbook=Path("a.ipynb"), attended=True, options=EVERY_OPTION)
    assert requests.decode_request(requests.encode(order)) == order


def test_start_takes_every_run_option() -> None:
    declared = {each.name for each in typer.main.get_command(app).commands["start"].params}  # type: ignore[attr-defined]
    assert {field.name for field in fields(RunOptions)} <= declared


@pytest.mark.parametrize(
    ("option", "choices"),
    [("on_failure", OnFailure), ("shell_errors", ShellErrors), ("nested_errors", NestedErrors)],
)
def test_help_lists_choices_of_run_options(option: str, choices: Any) -> None:
    printed = CliRunner().invoke(app, ["start", "--help"], env={"COLUMNS": "200"}).stdout
    assert f"--{option.replace('_', '-')}" in printed
    assert "|".join(get_args(choices)) in printed
    for choice in get_args(choices):
        assert getattr(options_from(f"--{option.replace('_', '-')}", choice), option) == choice


@pytest.mark.parametrize(("text", "value"), [("", None), ("0", 0), ("64MiB", 2**26)])
def test_max_output_is_parsed_into_bytes(text: str, value: int | None) -> None:
    assert options_from("--max-output", text).max_output == value
