"""The lines of a terminal that report decisions, the kernel and the record, styled by severity."""

from rich.text import Text

from nbrun.views.text import event_summary, phrases
from nbrun.views.text.event_summary import EventSummary, Severity
from nbrun.views.text.sanitize import plain

_STYLES: dict[Severity, str] = {
    "detail": "dim",
    "info": "cyan",
    "good": "green",
    "notice": "yellow",
    "warning": "bold yellow",
    "error": "bold red",
}
# The kinds that the phrase of the event does not name itself.
_PREFIXES = {
    "answer": "answer by {who}: ",
    "approved": "approved by {who}: ",
    "note": "note by {who}: ",
    "off script": "off script: ",
    "refused": "refused: {who}: ",
    "rejected": "rejected by {who}: ",
    "waits for approval": "waits for approval: {who}: ",
}


def line(text: str, style: str = "") -> Text:
    """Return a line of nbrun's own, with control characters in `text` made visible."""
    return Text(plain(text), style=style)


def lines(summary: EventSummary) -> list[Text]:
    """Return the line of an event, with its time, and an indented line for each hint."""
    style = _STYLES[summary.severity]
    # A run may be resumed days later: the date is needed too.
    when = phrases.timestamp if summary.kind == "resumed" else phrases.time_of_day
    prefix = _PREFIXES.get(summary.kind, "{who}: " if summary.who else "")
    who = event_summary.who(summary)
    text = f"{prefix.format(who=who)}{event_summary.what_and_why(summary)}"
    hints = [line(f"  {hint}", style) for hint in summary.hints]
    return [line(f"{when(summary.at)} {text}", style), *hints]
