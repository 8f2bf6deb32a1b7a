"""LaTeX as Unicode text. The only importer of pylatexenc."""

import logging
import re

_MAX_CHARACTERS = 20_000  # the parser's time grows faster than its input
_MAX_GROUPS = 500  # opening braces
_SUPERSCRIPTS = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW ′",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ ′",
        strict=True,
    )
)
_SUBSCRIPTS = dict(
    zip("0123456789+-=()aehijklmnoprstuvx ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ ", strict=True)
)
_SCRIPT = re.compile(r"(\\[A-Za-z]+)?(?<!\\)([\^_])(?:\{([^{}]*)\}|([0-9A-Za-z′]))")
_MAX_NESTED_GROUPS = 8


def to_unicode(source: str) -> str:
    """Convert LaTeX to Unicode: `\\frac{a}{b}^2` becomes `a/b²`.

    Return `source` unchanged if it is too long, or if nothing is left of it.
    """
    if len(source) > _MAX_CHARACTERS or source.count("{") > _MAX_GROUPS:
        return source
    from pylatexenc.latex2text import LatexNodes2Text

    # Its warnings about what it can't convert would be printed onto the operator's screen.
    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)
    converter = LatexNodes2Text(math_mode="text", fill_text=False, strict_latex_spaces=False)
    converted = str(converter.latex_to_text(_replace_scripts(source)))
    lines = [re.sub(r"(?<=\S) {2,}", " ", line).rstrip() for line in converted.split("\n")]
    text = "\n".join(line for line in lines if line.strip())
    return text or source


def _replace_scripts(source: str) -> str:
    """Replace superscripts and subscripts that Unicode has, from the innermost group outwards."""
    for _ in range(_MAX_NESTED_GROUPS):
        changed = _SCRIPT.sub(_script, source)
        if changed == source:
            break
        source = changed
    return source


def _script(found: re.Match[str]) -> str:
    macro, sign, group, letter = found.groups()
    characters = letter if group is None else group
    table = _SUPERSCRIPTS if sign == "^" else _SUBSCRIPTS
    # An empty group ends the macro's name, which would else include the letters that follow.
    prefix = f"{macro}{{}}" if macro else ""
    if all(each in table for each in characters):
        return prefix + "".join(table[each] for each in characters)
    if group is not None and len(group) > 1 and group[0] != "(" and "\\" not in group:
        return f"{prefix}{sign}{{({group})}}"
    return found[0]
