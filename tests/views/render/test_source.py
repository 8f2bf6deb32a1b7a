"""Source code on a terminal."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name

from nbrun.views.render.source import find_lexer, highlight
from tests.support.rendered_text import MARKDOWN, SGR, is_safe, printed, screen


def test_source_has_colours_without_background() -> None:
    shown = screen(highlight("for x in y:\n    pass", "python"))
    assert shown.display[1].rstrip() == "    pass"
    assert shown.buffer[0][0].fg != "default"
    assert {cell.bg for cell in shown.buffer[0].values()} == {"default"}


@pytest.mark.parametrize("language", ["", "no such language", "\x1b[2J", "../x"])
def test_source_in_unknown_language_plain(language: str) -> None:
    assert printed(highlight("a <- 1", language)).rstrip() == "a <- 1"


def test_long_source_line_not_cut() -> None:
    assert SGR.sub("", printed(highlight("x" * 200, "python"))).count("x") == 200


@given(st.text() | MARKDOWN, st.sampled_from(["python", "bash", "r", "nothing"]))
def test_any_source_renders_safely(code: str, language: str) -> None:
    assert is_safe(highlight(code, language))


def test_highlighting_python_imports_no_other_lexers() -> None:
    seen = (
        "import sys\n"
        "from nbrun.views.render.source import highlight\n"
        "assert highlight('print(1)', 'ipython3').spans\n"
        "print(*(name for name in sys.modules if name.startswith('pygments.lexers.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=60
    )
    assert set(done.stdout.split()) == {"pygments.lexers._mapping", "pygments.lexers.python"}


# ── The choice of lexers for IPython's Python ───────────────────────────────────────────────

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
