r"""LaTeX as MathML, which browsers lay out by themselves. The only importer of latex2mathml.

What is made is not safe yet: `\text{<b>}` is passed on as it stands. See `safe_html`.
"""

import html
import re
from collections.abc import Iterator

from nbrun.views.render import latex
from nbrun.views.text.sanitize import visible

_LONGEST = 5_000  # characters; nobody reads a longer formula, and the parser is recursive
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<bracket>.+?)\\\]"
    r"|\\begin\{(?P<name>equation|displaymath|math)\*?\}(?P<equation>.+?)\\end\{(?P=name)\*?\}"
    r"|(?P<lines>\\begin\{(?P<env>align|gather)\*?\}.+?\\end\{(?P=env)\*?\})"
    r"|(?<!\\)\$(?P<inline>(?:\\.|[^$\\])+)\$|\\\((?P<paren>.+?)\\\)",
    re.S,
)
_INLINE = ("inline", "paren")
_UNSURE = re.compile(r"\\(text|mbox|operatorname)[^<&]*[<&]")  # would become a tag, or an entity


def to_mathml(source: str) -> str | None:
    """A text with formulas (`$…$`, `\\[…\\]`, `equation`, …) as HTML with MathML, not sanitised.

    None where there is no formula, or one that isn't understood: nothing is shown half.
    """
    if len(source) > _LONGEST:
        return None
    parts = list(_parts(source))
    if not any(part is None or part.startswith("<math") for part in parts):
        return None
    return None if None in parts else "".join(filter(None, parts))


def _parts(source: str) -> Iterator[str | None]:
    """Texts and formulas in their order; None for a formula that isn't understood."""
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
    """Between formulas: the spaces at its ends stand between words."""
    words = source.strip()
    return source.replace(words, html.escape(visible(latex.to_unicode(words)))) if words else source


def _formula(source: str, display: str) -> str | None:
    if _UNSURE.search(source):
        return None
    from latex2mathml.converter import convert

    try:
        made = str(convert(visible(source), display=display))
    except Exception:  # noqa: BLE001  its parser raises whatever it comes to
        return None
    return None if "\\" in made else made  # a macro that it does not know is passed on
