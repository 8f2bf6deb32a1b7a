"""The options of a run, from the command line through the supervisor to the run's policy.

The choices are written here and nowhere else: Typer, the request to the supervisor and the
journal's `Policy` take them from here. Shell completion loads this module at each Tab, so it
imports neither msgspec nor pydantic.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OnFailure = Literal["ask", "stop", "wait"]  # what the run does at a failed step
ShellErrors = Literal["fail", "ignore"]  # what a failed shell command in a cell does to its step
NestedErrors = Literal["fail", "ignore"]  # the same for an error that is shown, and ends no cell


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options as the operator gave them, before nbrun.toml is taken into account.

    `undeclared`: accept parameters that the notebook does not declare. `runs_dir`, `kernel` (the
    name of a kernelspec), `gateway` (a URL, or `none`), `cwd`, `role`, `sign` (a key file) and
    `max_output` are None if they were not given. `wait_for` is in seconds, None to wait forever;
    `max_output` is in bytes, 0 for no limit. `group` and `operators` are empty if the run is not
    shared. Relative paths start at the working folder.
    """

    undeclared: bool = False
    runs_dir: Path | None = None
    kernel: str | None = None
    gateway: str | None = None
    cwd: Path | None = None
    step: bool = False
    by_hand: bool = False
    strict: bool = False
    on_failure: OnFailure = "ask"
    wait_for: float | None = None
    shell_errors: ShellErrors = "fail"
    nested_errors: NestedErrors = "fail"
    role: str | None = None
    group: str = ""
    operators: str = ""
    yes: bool = False
    yes_destructive: bool = False
    reason: str = ""
    ticket: str = ""
    sign: Path | None = None
    max_output: int | None = None
