"""A Markdown cell as something rich can print: the only importer of its Markdown."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

from nbrun.views.render import html
from nbrun.views.render.source import highlight
from nbrun.views.text.sanitize import visible

if TYPE_CHECKING:
    from markdown_it.token import Token

_DEEPEST = 15  # the Markdown parser leaves out what is nested 20 levels deep
_LONGEST_ADDRESS = 80
_FORMATTING = re.compile(
    r"<!|</?(a|abbr|b|big|center|code|div|em|font|i|kbd|mark|p|s|small|span|strong|sub|sup|u)\b",
    re.I,
)
# rich puts code on black, which is unreadable with the colours of many light terminals.
_ANY_BACKGROUND = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})


class _Heading(Heading):
    """A heading at the left, in bold: rich centres the first level."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        text.stylize("bold")
        yield text


class _Code(CodeBlock):
    """A block of code, shown as a source is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(highlight(str(self.text).rstrip(), self.lexer_name), (0, 0, 0, 4))


class TerminalMarkdown(Markdown):
    """Markdown to be read in a terminal: addresses are written out, and no text is lost."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "html_block": Paragraph,
    }

    def __init__(self, text: str) -> None:
        super().__init__(text, hyperlinks=False)
        self._depth = max((token.level for token in self.parsed), default=0)
        self.parsed = list(_safe(self.parsed))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Quotes and lists are indented by level: past the width, rich would show no text.
        if self._depth > min(_DEEPEST, max(1, options.max_width // 4 - 3)):
            return iter([Text(self.markup)])
        return self._themed(console, options)

    def _themed(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(_ANY_BACKGROUND):
            yield from super().__rich_console__(console, options)


def _safe(tokens: "Iterable[Token]") -> "Iterator[Token]":
    """Yield Markdown tokens made safe once parsed: an entity or a `%1b` in a link is a control."""
    rest = iter(tokens)
    for token in rest:
        if token.type == "html_inline" and not _becomes_text(token):
            continue
        if token.markup == "autolink":  # an opening, a text and a closing token, all one address
            next(rest), next(rest)
            _turn(token, str(token.attrs["href"]))
        elif token.type == "image":
            _turn(token, f"[image: {token.content} ({_short(str(token.attrs['src']))})]")
        elif token.type == "html_block":
            token.content = html.to_text(token.content)
            if not token.content:
                continue
        token.content = visible(token.content)
        token.children = list(_safe(token.children)) if token.children else None
        yield token


def _becomes_text(token: "Token") -> bool:
    """Say whether inline HTML is shown: a line break, or no HTML at all, such as `<host>`."""
    if token.content.lower().startswith("<br"):
        token.type = "hardbreak"
    elif not _FORMATTING.match(token.content):
        _turn(token, token.content)
    return token.type != "html_inline"


def _turn(token: "Token", text: str) -> None:
    token.type, token.tag, token.content, token.children = "text", "", text, None


def _short(address: str) -> str:
    return address if len(address) <= _LONGEST_ADDRESS else address[:_LONGEST_ADDRESS] + "…"
