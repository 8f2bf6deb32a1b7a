"""What is written where a terminal's encoding lacks a character: `-` for a rule, `...` for `…`."""

import codecs

_PLAINER = {
    "─": "-", "━": "-", "│": "|", "┃": "|", "·": "-", "…": "...", "×": "x", "–": "-", "—": "-",
    "→": "->", "“": '"', "”": '"', "‘": "'", "’": "'", "•": "*", "█": "#", "░": ".", "\u2007": " ",
    "\xa0": " ",
}  # fmt: skip

ERRORS = "nbrun-plainer"


def register() -> None:
    """Make `ERRORS` known, as `errors=` of a text stream; what has no plainer form is `\\u1234`."""
    codecs.register_error(ERRORS, _plainer)


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    if not all(character in _PLAINER for character in text):
        text = error.object[error.start]
        if text not in _PLAINER:
            one = UnicodeEncodeError(
                error.encoding, error.object, error.start, error.start + 1, error.reason
            )
            return codecs.backslashreplace_errors(one)
    return "".join(_PLAINER[character] for character in text), error.start + len(text)
