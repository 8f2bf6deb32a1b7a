"""`nbrun check`: print the errors and risks in runbooks, one a line, as a linter does."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nbrun import config
from nbrun.audit import runbook_trust
from nbrun.cli.commands.console_output import print_json
from nbrun.errors import ExitCode
from nbrun.runbook import lint
from nbrun.runbook.lint import Finding
from nbrun.views.text.sanitize import plain


def check(runbooks: Sequence[Path], *, json: bool, unattended: bool, strict: bool) -> ExitCode:
    """Print every finding. Return USAGE if one is an error, or if there is any with `strict`.

    Raises:
        UsageError: an nbrun.toml can't be read, or a setting in it is wrong.
    """
    found = [each for path in runbooks for each in _findings(path, unattended=unattended)]
    for finding in found:
        if json:
            print_json(asdict(finding))
        else:
            sys.stdout.write(plain(str(finding)) + "\n")
    failed = any(strict or finding.level == "error" for finding in found)
    return ExitCode.USAGE if failed else ExitCode.COMPLETED


def _findings(path: Path, *, unattended: bool) -> list[Finding]:
    settings = config.load_for(path.absolute())
    found = lint.findings(path, settings.defaults, unattended=unattended)
    if settings.runbook_rules:
        found += runbook_trust.findings(path, settings.runbook_rules)
    return found
