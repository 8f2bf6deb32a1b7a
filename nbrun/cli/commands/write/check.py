"""`nbrun check`: print the errors and risks in runbooks, one a line, as a linter does."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from nbrun import config
from nbrun.audit import runbook_trust
from nbrun.cli.commands.console_output import print_json
from nbrun.errors import ExitCode
from nbrun.integrations.runbook_addresses.files import runbook_file
from nbrun.runbook import lint
from nbrun.runbook.lint import Finding
from nbrun.views.text.sanitize import plain


def check(runbooks: Sequence[str], *, json: bool, unattended: bool, strict: bool) -> ExitCode:
    """Print every finding. Return USAGE if one is an error, or if there is any with `strict`.

    Raises:
        UsageError: an nbrun.toml can't be read, or a setting in it is wrong; or an address can't be
            fetched.
    """
    found = [each for named in runbooks for each in _findings(named, unattended=unattended)]
    for finding in found:
        if json:
            print_json(asdict(finding))
        else:
            sys.stdout.write(plain(str(finding)) + "\n")
    failed = any(strict or finding.level == "error" for finding in found)
    return ExitCode.USAGE if failed else ExitCode.COMPLETED


def _findings(named: str, *, unattended: bool) -> list[Finding]:
    file = runbook_file(named)
    path, address = file.path, file.address
    settings = config.load_for_run(address or str(path.absolute()), Path.cwd())
    found = lint.findings(path, settings.defaults, unattended=unattended)
    if settings.runbook_rules:
        found += runbook_trust.findings(path, settings.runbook_rules)
    return [replace(each, path=address) for each in found] if address else found
