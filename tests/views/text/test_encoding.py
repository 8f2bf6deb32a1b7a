"""Characters that an encoding lacks, replaced by plainer ones."""

import io

from nbrun.views.text import encoding


def test_missing_characters_are_replaced_or_escaped() -> None:
    encoding.register()
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, "ascii", errors=encoding.ERRORS)
    stream.write("step 1 · ok ── “a…b” 数 é")
    stream.flush()
    assert file.getvalue().decode() == 'step 1 - ok -- "a...b" \\u6570 \\xe9'
