"""`nbrun plan`: what a run would do, without running anything."""

from dataclasses import replace
from typing import Any

import msgspec

from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.gather_parameters import Wanted, gather
from nbrun.cli.commands.operate.start import has_terminal
from nbrun.errors import ExitCode
from nbrun.runbook.loader import Runbook
from nbrun.supervisor import kernel_plan, prepare
from nbrun.supervisor.prepare import Checked
from nbrun.supervisor.requests import StartRequest
from nbrun.views.terminal import plan as view
from nbrun.views.text import identities


def show(request: StartRequest, wanted: Wanted, *, json: bool) -> ExitCode:
    """Check the request as `nbrun start` does, and print what would happen; no kernel is started.

    Raises:
        UsageError: something is wrong with the request.
    """
    given = gather(
        wanted, request.runbook, request.options.kernel, interactive=not json and has_terminal()
    )
    request = msgspec.structs.replace(request, given=given)
    checked = prepare.check(request, kernel_plan.of(request))
    book, values = _redacted(checked, prepare.planned(checked))
    rows = [("kernel", checked.kernelspec), ("folder", str(checked.cwd))]
    role = checked.role.taken.told() if checked.role else None
    if json:
        data = view.as_data(book, values, checked.policy, rows, role)
        open_console().out(msgspec.json.format(msgspec.json.encode(data), indent=1).decode())
    else:
        told = [*rows, *identities.rows(role)]
        open_console().print(view.shown(book, values, checked.policy, told))
    return ExitCode.COMPLETED


def _redacted(checked: Checked, book: Runbook) -> tuple[Runbook, dict[str, Any]]:
    """The plan and the parameters as a record would have them: secrets stay out of here, too."""
    redaction = checked.redaction()
    notices = (*book.notices, *checked.given.notices)
    seen = replace(book, steps=redaction.redact(book.steps), notices=notices)
    return seen, redaction.redact_parameters(checked.given.values)
