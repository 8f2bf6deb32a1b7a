"""LaTeX as Unicode text. The only importer of pylatexenc."""

import re

_LONGEST = 20_000  # characters; the parser's time grows faster than what it reads
_RAISED = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW ′",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ ′",
        strict=True,
    )
)
_LOWERED = dict(
    zip("0123456789+-=()aehijklmnoprstuvx ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ ", strict=True)
)
_SCRIPT = re.compile(r"(\\[A-Za-z]+)?(?<!\\)([\^_])(?:\{([^{}]*)\}|([0-9A-Za-z′]))")
_MOST_NESTED = 8


def to_unicode(source: str) -> str:
    """`\\frac{a}{b}^2` as `a/b²`. What isn't understood, or is too long, stays as it is written."""
    if len(source) > _LONGEST or source.count("{") > 500:
        return source
    from pylatexenc.latex2text import LatexNodes2Text

    reader = LatexNodes2Text(math_mode="text", fill_text=False, strict_latex_spaces=False)
    text = str(reader.latex_to_text(_with_scripts(source)))
    lines = [re.sub(r"(?<=\S) {2,}", " ", line).rstrip() for line in text.split("\n")]
    shown = "\n".join(line for line in lines if line.strip())
    return shown or source


def _with_scripts(source: str) -> str:
    """Raised and lowered characters where Unicode has them, from the innermost group outwards."""
    for _ in range(_MOST_NESTED):
        changed = _SCRIPT.sub(_script, source)
        if changed == source:
            break
        source = changed
    return source


def _script(found: re.Match[str]) -> str:
    macro, sign, group, letter = found.groups()
    characters = letter if group is None else group
    table = _RAISED if sign == "^" else _LOWERED
    ended = f"{macro}{{}}" if macro else ""  # else its name would take in the letters that follow
    if all(each in table for each in characters):
        return ended + "".join(table[each] for each in characters)
    if group is not None and len(group) > 1 and group[0] != "(" and "\\" not in group:
        return f"{ended}{sign}{{({group})}}"
    return found[0]
