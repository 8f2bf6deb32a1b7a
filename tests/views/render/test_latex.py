"""LaTeX converted to Unicode."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.latex import to_unicode


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"$\displaystyle \frac{a}{b}^2 + \alpha_{12}$", "a/b² + α₁₂"),
        (r"$\sum_{i=1}^{n} i$", "∑ᵢ₌₁ⁿ i"),
        (r"$\sqrt{x_i} \leq \int_0^\infty f$", "√(xᵢ)≤∫₀^∞ f"),
        (r"$x^{qq}$", "x^(qq)"),
        (r"a\_b", "a_b"),
        (r"$\mathbb{R}$", "ℝ"),
        (r"\input{/etc/passwd}", r"\input{/etc/passwd}"),
    ],
)
def test_latex_converted_to_unicode(source: str, text: str) -> None:
    assert to_unicode(source) == text


def test_long_latex_unchanged() -> None:
    long = r"\alpha" * 10_000
    assert to_unicode(long) == long


@given(st.text(alphabet="\\{}^_$ab1 &frac\n", max_size=60))
def test_any_latex_gives_text(source: str) -> None:
    assert to_unicode(source) or not source.strip()
