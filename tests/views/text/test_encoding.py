"""What is written where the encoding lacks a character."""

import io

from nbrun.views.text import encoding


def test_what_ascii_lacks_is_written_plainer_and_never_refused() -> None:
    encoding.register()
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, "ascii", errors=encoding.ERRORS)
    stream.write("step 1 · ok ── “a…b” 数 é")
    stream.flush()
    assert file.getvalue().decode() == 'step 1 - ok -- "a...b" \\u6570 \\xe9'
