"""JSON as an indented tree with folded levels."""

import json

from hypothesis import given
from hypothesis import strategies as st

from nbrun.views.render.json_tree import render_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def test_deepest_levels_folded_until_tree_fits() -> None:
    value = {"a": [1, 2, {"b": [1, 2, 3]}], "c": {"d": 1}}
    assert render_json(value, 9).plain.splitlines() == [
        "{",
        '  "a": [… 3 items],',
        '  "c": {… 1 keys}',
        "}",
    ]


def test_long_first_level_cut_and_counted() -> None:
    assert render_json(list(range(1000)), 4).plain.splitlines() == [
        *("[", "  0,", "  1,", "  2,"),
        "… 998 more lines",
    ]


@given(VALUES)
def test_unlimited_tree_parses_as_its_value(value: object) -> None:
    text = render_json(value, 0).plain
    if "<U+" not in text and "^" not in text:  # controls are made visible
        assert json.loads(text) == value


@given(VALUES, st.integers(1, 30))
def test_tree_never_exceeds_max_lines(value: object, most: int) -> None:
    assert len(render_json(value, most).plain.split("\n")) <= most + 1
