"""`nbrun plan`: what a run would do, without running anything."""

from dataclasses import replace
from typing import Any

import msgspec

from nbrun.commands import start
from nbrun.commands.screens import screen
from nbrun.commands.start import Checked, Request
from nbrun.errors import ExitCode
from nbrun.runbook import Runbook
from nbrun.views import plan as view


def show(request: Request, *, json: bool) -> ExitCode:
    """Check the request as `nbrun start` does, and print what would happen; no kernel is started.

    Raises:
        UsageError: something is wrong with the request.
    """
    checked = start.check(request)
    book, values = _redacted(checked, start.planned(checked))
    rows = [("kernel", checked.kernelspec), ("folder", str(checked.cwd))]
    rows += [("role", checked.taken.role.name)] if checked.taken else []
    if json:
        data = view.as_data(book, values, checked.policy, rows)
        screen().out(msgspec.json.format(msgspec.json.encode(data), indent=1).decode())
    else:
        screen().print(view.shown(book, values, checked.policy, rows))
    return ExitCode.COMPLETED


def _redacted(checked: Checked, book: Runbook) -> tuple[Runbook, dict[str, Any]]:
    """The plan and the parameters as a record would have them: secrets stay out of here, too."""
    redaction = checked.redaction()
    notices = (*book.notices, *checked.given.notices)
    seen = replace(book, steps=redaction.clean(book.steps), notices=notices)
    return seen, redaction.parameters(checked.given.values)
