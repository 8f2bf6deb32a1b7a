"""`nbrun approve --request`, `--offline`, `--signature`: approve where the run is not at hand."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from nbrun.audit import approval_signatures
from nbrun.cli.commands.console_output import open_console
from nbrun.cli.commands.prompts import Prompts
from nbrun.core import approval_request
from nbrun.core.approval_request import ApprovalRequest
from nbrun.core.decisions import SignedReply
from nbrun.errors import ExitCode, SignatureError, UsageError
from nbrun.system.files import open_regular
from nbrun.views.terminal import approval
from nbrun.views.text.header_footer import facts
from nbrun.views.text.sanitize import plain


def print_request(request: ApprovalRequest) -> ExitCode:
    """Print the text of a request, for any channel."""
    print(  # noqa: T201
        f"Approval asked for {request.run}. Save this text, and run: nbrun approve --offline FILE\n"
        f"{approval_request.to_text(request)}"
    )
    return ExitCode.COMPLETED


def sign(path: Path, key: Path | None, *, reason: str, yes: bool) -> ExitCode:
    """Show the request in the file `path`, ask, sign it, and print the signed approval on stdout.

    Raises:
        UsageError: there is no valid request, it has expired, the answer was no, or the key can't
            sign.
    """
    request = read(path, ApprovalRequest)
    statement = approval_request.new_statement(request, reason, datetime.now(UTC))
    screen = open_console(stderr=True)  # stdout is for the signed approval
    for each in approval.renderables(request):
        screen.print(each)
    screen.print(facts([row for row in approval.terms(request) if row[1]]))
    if not yes:
        _confirm(screen)
    try:
        signature = approval_signatures.sign(statement, key)
    except SignatureError as error:
        raise UsageError(
            f"{key or 'ssh-agent'}: can't sign: {error}. Add a key with a passphrase to ssh-agent"
        ) from error
    print(approval_request.to_text(approval_request.reply_with(statement, signature)))  # noqa: T201
    command = f"nbrun approve {plain(request.run)} --signature FILE"
    screen.print(Text(f"Send this text back. There, run: {command}"))
    return ExitCode.COMPLETED


_Message = TypeVar("_Message", ApprovalRequest, SignedReply)


def read(path: Path, kind: type[_Message]) -> _Message:
    """Return the message of this kind in the file `path`.

    Raises:
        UsageError: the file can't be read, or has no such message.
    """
    try:
        with open_regular(path.resolve()) as file:
            content = file.read(approval_request.LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > approval_request.LARGEST:
        raise UsageError(f"{path}: is too large for a request or a signed approval")
    try:
        return approval_request.from_text(content.decode("utf-8", "replace"), kind)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _confirm(screen: Console) -> None:
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: read the request, and pass --yes")
    screen.print(Text("You sign what is shown above, and nothing else."))
    try:
        answer = Prompts().ask("sign this approval? [y/N] ")
    except (EOFError, OSError):
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was signed")
