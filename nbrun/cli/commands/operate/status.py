"""`nbrun status`: print where a run stands, and what may be decided there."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import open_console, print_json
from nbrun.cli.commands.damaged_records import reading
from nbrun.core.choices.options import find_step
from nbrun.core.state import RunState
from nbrun.errors import ExitCode, NbrunError, UsageError
from nbrun.journal import run_directory
from nbrun.supervisor.programs.status import read_fold
from nbrun.views.export.run_status import OptionStatus, RunStatus
from nbrun.views.text import phrases
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain, visible


def status(run: str, runs_dir: Path | None, *, step: str, json: bool) -> ExitCode:
    """Print the status of a run as text, or with `json` as one JSON object.

    `step`: the step that decisions which can name one are about; "" for the current one.

    Raises:
        RunNotFoundError: there is no such run.
        UsageError: the run has no such step.
    """
    directory = run_directory.find(config.runs_dir(runs_dir), run)
    found, code = _status(directory, step)
    if json:
        print_json(found)
    else:
        show(found, open_console())
    return code


def _status(directory: run_directory.RunDirectory, step: str) -> tuple[RunStatus, ExitCode]:
    try:
        with reading(directory.id):
            fold, alive = read_fold(directory)
            named = _step(fold.state, step) if step else None
            return fold.status(alive=alive, step=named), ExitCode.COMPLETED
    except UsageError:
        raise
    except (NbrunError, OSError) as error:
        code = error.exit_code if isinstance(error, NbrunError) else ExitCode.INTERNAL
        return RunStatus(run=directory.id, phase="unreadable", detail=str(error)), code


def _step(state: RunState, called: str) -> str:
    step = find_step(state, called)
    if step is None:
        raise UsageError(f"there is no step {called!r}: 1 to {len(state.order)}, or an id")
    return step


def show(status: RunStatus, out: Console) -> None:
    """Print `status` for a person."""
    show_place(status, out)
    failure = status.failure
    if failure is not None and failure.printed:
        out.print(Text("\n" + visible(failure.printed)))
    if status.decisions:
        out.print(Text("\nwhat can be decided:"))
        out.print(
            facts([(_name(each), _needs(each)) for each in status.decisions if each.possible])
        )


def show_place(status: RunStatus, out: Console) -> None:
    """Print where the run stands, without what it printed and what may be decided."""
    out.print(facts([row for row in _rows(status) if row[1]]))


def _rows(status: RunStatus) -> list[tuple[str, str]]:
    step, waiting, failure, proposal = status.step, status.waiting, status.failure, status.proposal
    rows = [
        ("run", status.run),
        ("runbook", status.runbook),
        ("status", " · ".join(filter(None, (status.phase, status.outcome)))),
        ("why", status.detail),
        ("seq", str(status.seq) if status.seq >= 0 else ""),
        ("step", f"{step.number} of {step.of} · {step.title}" if step else ""),
        ("waits", f"for {waiting.whom}: {waiting.why}" if waiting else ""),
        ("since", phrases.timestamp(waiting.since) if waiting and waiting.since else ""),
        ("broke", f"{failure.step}, attempt {failure.attempt}: {failure.how}" if failure else ""),
    ]
    if proposal is not None:
        where = f" {proposal.step}" if proposal.step else ""
        where += f": {proposal.allows}" if proposal.allows else ""
        by = f"{proposal.by}: " if proposal.by else ""
        what = phrases.with_reason(f"{by}{proposal.decision}{where}", proposal.reason)
        rows.append(("proposed" if proposal.by else "approval", what))
    rows += [("off script", each) for each in status.off_script]
    return [*rows, *(("operator", each) for each in status.operators)]


def _name(option: OptionStatus) -> str:
    return f"{option.decision} {option.step}" if option.step else option.decision


def _needs(option: OptionStatus) -> str:
    """Return what an option leads to and needs, on one line."""
    parts = [
        f"off script: {', '.join(option.off_script)}" if option.off_script else "",
        "needs --reason" if option.reason else "",
        f"needs --typed {option.typed}" if option.typed else "",
        f"asks: {option.question}" if option.question else "",
        f"needs the approval of {option.approval}" if option.approval else "",
        f"a program {option.program}" if option.program else "not for a program",
    ]
    return plain("; ".join(filter(None, parts)))
