"""The choice of lexers for IPython's Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name

from nbrun.views.render.lexers import find_lexer

PYTHON = st.lists(
    st.sampled_from(
        [
            *("for ", "x", " = ", "1.5e3", "'a'", '"""', "#", "\n", "    ", "(", ")", "@f\n", ":"),
            *("def f", "f'{x}'", "lambda", "**", "\\", "é", "\t", "class A", "None", "async "),
        ]
    ),
    max_size=30,
).map("".join)


@given(PYTHON)
def test_python_lexer_agrees_with_ipython_lexer(code: str) -> None:
    theirs = get_lexer_by_name("ipython3", stripnl=False)
    assert list(find_lexer(code, "ipython3").get_tokens(code)) == list(theirs.get_tokens(code))


@pytest.mark.parametrize("code", ["!ls -l", "%%bash\nls -l", "x = %sx ls", "print?"])
def test_magics_use_ipython_lexer(code: str) -> None:
    assert type(find_lexer(code, "ipython3")) is type(get_lexer_by_name("ipython3"))
