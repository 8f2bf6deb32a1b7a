"""An error handler for text streams that writes `...` where the encoding lacks `…`."""

import codecs

_REPLACEMENTS = {
    "─": "-", "━": "-", "│": "|", "┃": "|", "·": "-", "…": "...", "×": "x", "–": "-", "—": "-",
    "→": "->", "“": '"', "”": '"', "‘": "'", "’": "'", "•": "*", "█": "#", "░": ".", "\u2007": " ",
    "\xa0": " ",
}  # fmt: skip

ERRORS = "nbrun-plainer"


def register() -> None:
    """Register the handler `ERRORS`, for the `errors=` of a text stream.

    A character without a replacement is written as `\\u1234`.
    """
    codecs.register_error(ERRORS, _replace)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if not all(character in _REPLACEMENTS for character in text):
        text = error.object[error.start]
        if text not in _REPLACEMENTS:
            one = UnicodeEncodeError(
                error.encoding, error.object, error.start, error.start + 1, error.reason
            )
            return codecs.backslashreplace_errors(one)
    return "".join(_REPLACEMENTS[character] for character in text), error.start + len(text)
