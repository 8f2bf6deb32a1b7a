"""A Markdown cell as a rich renderable. The only importer of rich's Markdown."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

from nbrun.views.render import html
from nbrun.views.render.nbformat_text import truncate
from nbrun.views.render.source import highlight
from nbrun.views.text.sanitize import visible

if TYPE_CHECKING:
    from markdown_it.token import Token

_MAX_DEPTH = 15  # levels; the Markdown parser drops text that is nested 20 levels deep
_MAX_ADDRESS = 80  # characters
_TEXTUAL = ("text", "code_inline", "softbreak")  # types of tokens in a heading
_FORMATTING_TAG = re.compile(
    r"<!|</?(a|abbr|b|big|center|code|div|em|font|i|kbd|mark|p|s|small|span|strong|sub|sup|u)\b",
    re.I,
)
# rich puts code on black, which is unreadable with the colours of many light terminals.
_CODE_WITHOUT_BACKGROUND = Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})


class _Heading(Heading):
    """A bold heading at the left: rich centres those of the first level."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        text.stylize("bold")
        yield text


class _Code(CodeBlock):
    """A block of code, highlighted as a cell's source is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(highlight(str(self.text).rstrip(), self.lexer_name), (0, 0, 0, 4))


class TerminalMarkdown(Markdown):
    """Markdown on a terminal: links show their address and are not active, no text is dropped."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
        "html_block": Paragraph,
    }

    def __init__(self, text: str, title: str = "") -> None:
        """Parse `text`. Leave out a heading that repeats `title`."""
        super().__init__(text, hyperlinks=False)
        self._depth = max((token.level for token in self.parsed), default=0)
        self.parsed = list(_sanitize(without_heading(self.parsed, title)))

    @property
    def is_empty(self) -> bool:
        return not self.parsed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # rich indents quotes and lists by level. It shows no text where the indent fills the width.
        if self._depth > min(_MAX_DEPTH, max(1, options.max_width // 4 - 3)):
            return iter([Text(self.markup)])
        return self._render_themed(console, options)

    def _render_themed(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(_CODE_WITHOUT_BACKGROUND):
            yield from super().__rich_console__(console, options)


def without_heading(tokens: "Iterable[Token]", text: str) -> "Iterator[Token]":
    """Yield Markdown tokens without headings that have this text, which is shown elsewhere."""
    rest = iter(tokens)
    for token in rest:
        if token.type != "heading_open":
            yield token
            continue
        inline, end = next(rest), next(rest)
        children = inline.children or ()
        shown = "".join(child.content for child in children if child.type in _TEXTUAL)
        if not text or shown.strip() != text:
            yield from (token, inline, end)


def _sanitize(tokens: "Iterable[Token]") -> "Iterator[Token]":
    """Yield Markdown tokens with visible controls and without active links, images and HTML.

    This comes after parsing, since an entity or a `%1b` in a link becomes a control only there.
    """
    rest = iter(tokens)
    for token in rest:
        if token.type == "html_inline" and not _keep_inline_html(token):
            continue
        if token.markup == "autolink":  # three tokens for one address: opening, text, closing
            next(rest), next(rest)
            _make_text(token, str(token.attrs["href"]))
        elif token.type == "image":
            address = truncate(str(token.attrs["src"]), _MAX_ADDRESS)
            _make_text(token, f"[image: {token.content} ({address})]")
        elif token.type == "html_block":
            token.content = html.to_text(token.content)
            if not token.content:
                continue
        token.content = visible(token.content)
        token.children = list(_sanitize(token.children)) if token.children else None
        yield token


def _keep_inline_html(token: "Token") -> bool:
    """Return True if inline HTML is shown: a line break, or text such as `<host>`."""
    if token.content.lower().startswith("<br"):
        token.type = "hardbreak"
    elif not _FORMATTING_TAG.match(token.content):
        _make_text(token, token.content)
    return token.type != "html_inline"


def _make_text(token: "Token", text: str) -> None:
    token.type, token.tag, token.content, token.children = "text", "", text, None
