"""`nbrun check`: what is wrong or unwise in runbooks, as a linter prints it."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from nbrun import config
from nbrun.errors import ExitCode
from nbrun.runbook import lint
from nbrun.runbook.lint import Finding
from nbrun.views.text.sanitize import plain


def check(runbooks: Sequence[Path], *, json: bool, unattended: bool, strict: bool) -> ExitCode:
    """Print every finding, one a line; USAGE when one is an error, or with `strict` any.

    Raises:
        UsageError: an nbrun.toml makes no sense.
    """
    found = [
        finding
        for path in runbooks
        for finding in lint.findings(
            path, config.load_for(path.absolute()).defaults, unattended=unattended
        )
    ]
    for finding in found:
        sys.stdout.write((_as_json(finding) if json else plain(str(finding))) + "\n")
    wrong = any(strict or finding.level == "error" for finding in found)
    return ExitCode.USAGE if wrong else ExitCode.COMPLETED


def _as_json(finding: Finding) -> str:
    return msgspec.json.encode(asdict(finding)).decode()
