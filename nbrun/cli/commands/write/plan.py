"""`nbrun plan`: show what a run would do, without running anything."""

from dataclasses import replace
from typing import Any

import msgspec

from nbrun.cli.commands.console_output import open_console, print_json
from nbrun.cli.commands.gather_parameters import ParameterOptions, gather, read_declarations
from nbrun.cli.commands.operate.start import has_terminal
from nbrun.cli.commands.prompts import Prompts
from nbrun.errors import ExitCode
from nbrun.notifications import receivers
from nbrun.runbook.loader import Runbook
from nbrun.supervisor import kernel_plan, prepare
from nbrun.supervisor.prepare import CheckedRequest
from nbrun.supervisor.requests import StartRequest
from nbrun.views.terminal import plan as view
from nbrun.views.text import identities, runbook_facts
from nbrun.views.text.header_footer import settings_rows


def show(request: StartRequest, parameters: ParameterOptions, *, json: bool) -> ExitCode:
    """Check the request as `nbrun start` does, and print the plan. No kernel is started.

    No source of a secret is read: the plan says where each secret would come from.

    Raises:
        UsageError: the request, the notebook or a parameter is wrong.
    """
    prompts = Prompts() if not json and has_terminal() else None
    declarations = read_declarations(request.runbook, request.options.kernel)
    given = gather(parameters, declarations, prompts, read_sources=False)
    request = msgspec.structs.replace(request, given=given)
    checked = prepare.check(request, kernel_plan.plan_kernel(request))
    runbook, values = _redacted(checked, prepare.plan(checked))
    unread = {name: raw.unread for name, raw in given.items() if raw.unread}
    rows = [("kernel", checked.kernelspec)]
    gateway = checked.gateway
    rows += [("gateway", gateway.settings.url)] if gateway else [("folder", str(checked.cwd))]
    role = checked.role.taken.recorded() if checked.role else None
    if json:
        data = view.as_data(runbook, values, checked.policy, rows, role)
        data["settings"] = msgspec.to_builtins(checked.config.files)
        data["proofs"] = msgspec.to_builtins(checked.proofs)
        data["includes"] = msgspec.to_builtins(runbook.includes)
        print_json(data | {"sources": unread}, indent=1)
    else:
        rows += settings_rows(checked.config.files) + runbook_facts.rows(
            checked.proofs, runbook.includes
        )
        rows += identities.rows(role)
        rows += receivers.rows(checked.config)
        rows += [("parameter", f"{name}: {source}") for name, source in unread.items()]
        values = {name: value for name, value in values.items() if name not in unread}
        open_console().print(view.renderable(runbook, values, checked.policy, rows))
    return ExitCode.COMPLETED


def _redacted(checked: CheckedRequest, runbook: Runbook) -> tuple[Runbook, dict[str, Any]]:
    """Return the plan and the parameter values without secrets, as a record would have them."""
    redaction = checked.redaction()
    shown = replace(
        runbook,
        steps=redaction.redact(runbook.steps),
        includes=redaction.redact(runbook.includes),
        notices=checked.notices(),
    )
    return shown, redaction.redact_parameters(checked.parameters.values)
