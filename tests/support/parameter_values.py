"""Hypothesis strategies for parameter values that are hard to write as literals."""

import json

from hypothesis import strategies as st

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
hostile = st.text(st.sampled_from("\"'\\$`(){};#!%\n\r\t\x03\x15\x7f\x85‘’‚‛“”\u2028é😀 a0ux"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | hostile
)
# YAML keeps a key on one line and within 1024 characters, escapes and all (YAML 1.2, 7.4.2)
keys = text.filter(lambda key: len(json.dumps(key)) < 1000) | hostile.filter(
    lambda key: len(json.dumps(key)) < 1000
)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
