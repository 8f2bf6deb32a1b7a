"""`nbrun decide`: send a decision to a run from a script or another program."""

import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import exit_code, open_console, print_json
from nbrun.cli.commands.damaged_records import reading
from nbrun.cli.commands.operate import status as status_command
from nbrun.cli.commands.operate.no_supervisor import explain_no_supervisor
from nbrun.core.choices.options import Arguments, named_decision
from nbrun.errors import (
    ExitCode,
    NbrunError,
    NoSupervisorError,
    RefusedAttachError,
    UsageError,
)
from nbrun.journal import own_runs, run_directory
from nbrun.journal.run_directory import RunDirectory
from nbrun.supervisor.programs.decide import Answer, send_decision
from nbrun.supervisor.programs.status import read_fold
from nbrun.system.files import open_regular
from nbrun.views.export.run_status import RunStatus
from nbrun.views.text.sanitize import plain

_LARGEST_SOURCE = 16 * 2**20  # bytes


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The output of `--json`: the result of the decision, and the state of the run after it."""

    decision: str
    result: str
    seq: int
    why: str
    status: RunStatus


@dataclass(frozen=True)
class DecideOptions:
    """The command line of `nbrun decide`; `nbrun decide --help` describes the options."""

    run: str
    decision: str
    argument: str = ""
    source: str | None = None
    reason: str = ""
    typed: str = ""
    yes: bool = False
    expect_seq: int | None = None
    wait: bool = False
    json: bool = False
    foreign: bool = False
    runs_dir: Path | None = None


@reading("the run")
def decide(options: DecideOptions) -> ExitCode:
    """Send the decision, print what became of it, and return 0, 2 or 8; with `wait` the run's code.

    Raises:
        UsageError: the decision is wrong, or the run has ended or was interrupted. With `json`, a
            run that takes no decisions is printed instead.
        ForeignRunError: the run is another user's, this is root, and `foreign` was not given.
        NoSupervisorError: the supervisor ended before it answered.
    """
    given = Arguments(
        argument=_text(options),
        source=None if options.source is None else _read_source(options.source),
        reason=options.reason,
        typed=options.typed,
        confirmed=options.yes,
    )
    directory = run_directory.find(config.runs_dir(options.runs_dir), options.run)
    own_runs.require_foreign_option(directory, foreign=options.foreign)
    try:
        answer = send_decision(
            directory,
            lambda state: named_decision(state, options.decision, given),
            expect_seq=options.expect_seq,
            wait=options.wait,
        )
    except NoSupervisorError as error:
        return _no_supervisor(options, directory, error)
    except RefusedAttachError as error:
        return _not_taken(options, directory, error)
    return _report(options, answer)


def _no_supervisor(
    options: DecideOptions, directory: RunDirectory, error: NoSupervisorError
) -> ExitCode:
    explained = explain_no_supervisor(directory, error)
    if isinstance(explained, UsageError):
        return _not_taken(options, directory, explained)
    raise explained


def _not_taken(options: DecideOptions, directory: RunDirectory, error: NbrunError) -> ExitCode:
    """Print with `--json` that the run takes no decision, else raise `error`."""
    if not options.json:
        raise error
    fold, alive = read_fold(directory)
    status = fold.status(alive=alive)
    print_json(
        Told(decision=options.decision, result="refused", seq=-1, why=str(error), status=status)
    )
    return error.exit_code


def _report(options: DecideOptions, answer: Answer) -> ExitCode:
    status = answer.fold.status(alive=True)
    if options.json:
        print_json(
            Told(
                decision=options.decision,
                result=answer.result,
                seq=answer.seq,
                why=answer.why,
                status=status,
            )
        )
    else:
        out = open_console(stderr=answer.result == "refused")
        why = f": {answer.why}" if answer.why else ""
        out.print(Text(plain(f"{status.run}: {options.decision}: {answer.result}{why}")))
        if answer.result == "refused" or options.wait:
            status_command.show_place(status, out)
    return _exit_code(options, answer)


def _exit_code(options: DecideOptions, answer: Answer) -> ExitCode:
    state = answer.fold.state
    if answer.result == "refused":
        return ExitCode.USAGE
    if options.wait and state.finished is not None:
        return exit_code(state)
    if answer.result in ("proposed", "rejected"):
        return ExitCode.WAITING
    return ExitCode.WAITING if options.wait else ExitCode.COMPLETED


def _text(options: DecideOptions) -> str:
    """Return the argument; of `answer -`, a line from stdin: others can read a command line."""
    if options.decision != "answer" or options.argument != "-":
        return options.argument
    return sys.stdin.readline().rstrip("\n")


def _read_source(path: str) -> str:
    """Return the code in the file `path`, or on stdin for `-`."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(_LARGEST_SOURCE + 1)
        else:
            with open_regular(Path(path).expanduser().resolve()) as file:
                content = file.read(_LARGEST_SOURCE + 1)
        if len(content) > _LARGEST_SOURCE:
            raise UsageError(f"--source {path}: has more than {_LARGEST_SOURCE} bytes")
        return content.decode("utf-8")
    except (OSError, RuntimeError) as error:
        raise UsageError(f"--source {path}: can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--source {path}: is not UTF-8: {error}") from error
