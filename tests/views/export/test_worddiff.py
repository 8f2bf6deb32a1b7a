"""Differences between sources, word by word."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.export.worddiff import word_diff


def test_only_changed_word_marked() -> None:
    assert word_diff("a = 10\nb\n", "a = 3\nb\n") == "a = <del>10</del><ins>3</ins>\nb\n"


def test_inserted_and_deleted_lines_marked_whole() -> None:
    assert word_diff("a\nb\n", "a\nb\nc\n") == "a\nb\n<ins>c\n</ins>"
    assert word_diff("a\nb\n", "b\n") == "<del>a\n</del>b\n"


def test_unrelated_line_not_mixed_with_old_one() -> None:
    assert word_diff("import os\n", "x = 5 + y\n") == "<del>import os\n</del><ins>x = 5 + y\n</ins>"


def test_code_escaped() -> None:
    assert "<b>" not in word_diff("<b>", "<b><script>")


@given(st.text("ab \n<&", max_size=40), st.text("ab \n<&", max_size=40))
def test_both_versions_recoverable(before: str, after: str) -> None:
    made = word_diff(before, after)
    new = re.sub(r"<del>.*?</del>", "", made, flags=re.S)
    old = re.sub(r"<ins>.*?</ins>", "", made, flags=re.S)
    assert html.unescape(re.sub(r"</?ins>", "", new)) == after
    assert html.unescape(re.sub(r"</?del>", "", old)) == before
