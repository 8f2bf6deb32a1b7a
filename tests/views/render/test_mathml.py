"""LaTeX formulas converted to MathML."""

import re

import pytest

from nbrun.views.render import mathml


def shape(source: str) -> str:
    """Return the MathML without its attributes."""
    return re.sub(r"<(\w+) [^>]*>", r"<\1>", mathml.to_mathml(source) or "")


@pytest.mark.parametrize(("source", "display"), [
    ("$x$", "inline"), (r"\(x\)", "inline"), ("$$x$$", "block"), (r"\[x\]", "block"),
    (r"\begin{equation*}x\end{equation*}", "block"),
])  # fmt: skip
def test_formula_found_between_any_delimiters(source: str, display: str) -> None:
    assert shape(source) == "<math><mrow><mi>x</mi></mrow></math>"
    assert f'display="{display}"' in (mathml.to_mathml(source) or "")


def test_text_between_formulas_keeps_spaces() -> None:
    made = shape(r"with $a$ and $b$ <b>free</b>")
    formulas = [f"<math><mrow><mi>{name}</mi></mrow></math>" for name in "ab"]
    assert made == f"with {formulas[0]} and {formulas[1]} &lt;b&gt;free&lt;/b&gt;"


def test_align_environment_becomes_table() -> None:
    made = shape(r"\begin{align*}a&=b\\c&=d\end{align*}")
    assert made.count("<mtr>") == 2
    assert "&" not in made.replace("&#x", "")


DEEP = "$" + "{" * 2_000 + "x" + "}" * 2_000 + "$"


@pytest.mark.parametrize("source", [
    "plain", r"costs \$5 and \$6", r"$\nosuchmacro{x}$", r"$x$ and $\nosuchmacro{x}$", DEEP,
    DEEP[:-1], r"$\text{a<b}$", "$" + "x" * 5_001 + "$", r"$\frac$", "$}{$",
    r"\begin{eqnarray}a&=&b\end{eqnarray}",
])  # fmt: skip
def test_text_without_convertible_formulas_gives_none(source: str) -> None:
    assert mathml.to_mathml(source) is None
