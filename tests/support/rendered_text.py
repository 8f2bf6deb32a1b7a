"""Kernel text and Markdown for property tests, and what a renderable looks like on a terminal."""

import io
import re
import unicodedata

import pyte
from hypothesis import strategies as st
from rich.console import Console, RenderableType

SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e\x1b]8;;http://evil\x1b\\"
TERMINAL_PIECES = st.sampled_from(
    [
        *("a", "bc", " ", "é", "日", "e\u0301", "👩\u200d🚀", "\t", "\n", "\r", "\b", "\r\n"),
        *(
            "\x1b",
            "[",
            "\x1b[31m",
            "\x1b[0m",
            "\x1b[8m",
            "\x1b[38;5;196m",
            "\x1b[1;4;44m",
            "m",
            "3",
        ),
        *("\x1b]0;t\x07", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "\x1bP1$q\x1b\\", "\x9b", "\x9d"),
        *("\u202e", "\u2028", "\ud800", "\x7f", "\U000e0041", "\x1b[" + "1;" * 40 + "m", "\x85"),
    ]
)
TERMINAL_TEXTS = st.lists(TERMINAL_PIECES | st.text(max_size=4), max_size=40).map("".join)
MARKDOWN = st.lists(
    st.sampled_from(
        [
            *("# ", "> ", "- ", "1. ", "    ", "```", "~~~py\n", "\n", "\n\n", "|a|b|\n|-|-|\n|c|"),
            *("*", "**", "`", "~~", "[x](y)", "![a](b)", "[![a](b)](c)", "<http://a/%1b%07>", "\\"),
            *(
                "<br>",
                "<kbd>",
                "</kbd>",
                "<b>",
                "<host>",
                "<!-- x -->",
                "<div>\n",
                "<![foo[",
                "---",
            ),
            *("&#27;", "&#x202e;", "&rlm;", "&#x9b;", "<script>", "text ", HOSTILE, "[x]: y\n"),
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


def printed(renderable: RenderableType, width: int = 80, *, crop: bool = True) -> str:
    """Return what rich writes to a terminal with colours."""
    file = io.StringIO()
    console = Console(force_terminal=True, color_system="truecolor", width=width, file=file)
    console.print(renderable, crop=crop)
    return file.getvalue()


def screen(renderable: RenderableType) -> pyte.Screen:
    """Return a screen of 80 columns and 40 rows after printing."""
    terminal = pyte.Screen(80, 40)
    pyte.Stream(terminal).feed(printed(renderable, crop=False).replace("\n", "\r\n"))
    return terminal


def rows(renderable: RenderableType) -> list[str]:
    """Return the rows of the screen that are not blank."""
    return [row.rstrip() for row in screen(renderable).display if row.strip()]


def is_safe(renderable: RenderableType, width: int = 80) -> bool:
    """Return True if nothing but colours and newlines takes effect on a terminal."""
    out = SGR.sub("", printed(renderable, width))
    unsafe = {c for c in out if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}} - {"\n"}
    return not unsafe and not set(out) & set("\u202e\u200f\u061c")
