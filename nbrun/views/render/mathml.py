r"""LaTeX formulas as MathML for the report. The only importer of latex2mathml.

The result is not sanitized: `\text{<b>}` is passed on. `safe_html` does that afterwards.
"""

import html
import re
from collections.abc import Iterator

from nbrun.views.render import latex
from nbrun.views.text.sanitize import visible

_MAX_CHARACTERS = 5_000  # nobody reads a longer formula, and the parser is recursive
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]"
    r"|\\begin\{(?P<name>equation|displaymath|math)\*?\}(?P<equation>.+?)\\end\{(?P=name)\*?\}"
    r"|(?P<lines>\\begin\{(?P<env>align|gather)\*?\}.+?\\end\{(?P=env)\*?\})"
    r"|(?<!\\)\$(?P<inline>(?:\\.|[^$\\])+)\$|\\\((?P<paren>.+?)\\\)",
    re.S,
)
_INLINE = ("inline", "paren")
# A "<" or "&" in a text macro would become a tag or an entity.
_MARKUP_IN_TEXT = re.compile(r"\\(text|mbox|operatorname)[^<&]*[<&]")


def to_mathml(source: str) -> str | None:
    """Convert text with formulas (`$…$`, `\\[…\\]`, `equation`, …) to HTML with MathML.

    The HTML is not sanitized. Return None if there is no formula, or if any formula cannot be
    converted: a text with half of its formulas would mislead.
    """
    if len(source) > _MAX_CHARACTERS:
        return None
    parts = list(_parts(source))
    if not any(part is None or part.startswith("<math") for part in parts):
        return None
    return None if None in parts else "".join(filter(None, parts))


def _parts(source: str) -> Iterator[str | None]:
    """Yield text and formulas in order, with None for a formula that cannot be converted."""
    end = 0
    for found in _FORMULA.finditer(source):
        yield _text(source[end : found.start()])
        kind, formula = next(
            (kind, text)
            for kind, text in found.groupdict().items()
            if text and kind not in ("name", "env")
        )
        yield _formula(formula.strip(), "inline" if kind in _INLINE else "block")
        end = found.end()
    yield _text(source[end:])


def _text(source: str) -> str:
    """Convert the text between formulas. The spaces at its ends separate it from them."""
    words = source.strip()
    return source.replace(words, html.escape(visible(latex.to_unicode(words)))) if words else source


def _formula(source: str, display: str) -> str | None:
    if _MARKUP_IN_TEXT.search(source):
        return None
    from latex2mathml.converter import convert

    try:
        mathml = str(convert(visible(source), display=display))
    except Exception:  # noqa: BLE001  the parser raises errors of many kinds
        return None
    return None if "\\" in mathml else mathml  # unknown macros are left in the result
