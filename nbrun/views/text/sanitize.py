"""Escape control characters in text from kernels, runbooks and users before it is shown.

Only colours, tabs, newlines and carriage returns of a kernel's text take effect. The journal keeps
the original text. The escape sequences are those of ECMA-48, 5th edition; SGR ("select graphic
rendition", 8.3.117) sets colours.

Names, messages and sources are stricter than outputs: they show blank letters too. Two names that
differ only in such a letter look the same, and Python accepts most of them in a name.
"""

import json
import re

SGR = r"\x1b\[[0-9;:]{0,64}m"
# C0 except tab and newline, DEL and C1; then characters that reorder text, break lines or are
# invisible. The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
# Other letters that are blank and no spaces: Default_Ignorable_Code_Point of Unicode 16
# (DerivedCoreProperties.txt), and symbols without ink: Braille, Khitan and musical.
_BLANK = (
    r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufff0-\ufff8"
    r"\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a"
)
# A variation selector after an emoji, or before the frame of a keycap, is in its place; so is a
# joiner between two characters of a script that joins.
_OUT_OF_PLACE = r"(?<![^\w\s])[\ufe00-\ufe0f](?!\u20e3)|(?<![^\x00-\x7f])[\u200c\u200d]"
_ANY_UNSAFE = re.compile(f"[{_UNSAFE}]")
_UNSAFE_OR_BLANK = re.compile(f"[{_UNSAFE}{_BLANK}]|{_OUT_OF_PLACE}")
# Up, down, erase in line, and the cursor's visibility: progress bars on several lines need them.
MOVES = r"\x1b\[(?:[0-9]{0,3}[AB]|[0-2]?K|\?25[hl])"
_SGR_OR_UNSAFE = re.compile(rf"{SGR}|(?![\r\b])[{_UNSAFE}]")
_MOVE_OR_UNSAFE = re.compile(rf"{SGR}|{MOVES}|(?![\r\b])[{_UNSAFE}]")
_ONE_LINE_UNSAFE = re.compile(rf"[\t\n{_UNSAFE}{_BLANK}]|{_OUT_OF_PLACE}")
_HIDES = re.compile(r"[\[;:]0*[568](?=[;:m])")
_SHOW = "\x1b[25;26;28m"
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def has_controls(text: str) -> bool:
    """Return True if `text` contains a control character other than tab and newline."""
    return _ANY_UNSAFE.search(text) is not None


def neutralise(text: str, *, moves: bool = False) -> str:
    """Make every control visible except SGR, tab, newline, carriage return and backspace.

    C0 and DEL become caret notation (`^[`), the rest `<U+009B>`. Concealed text is revealed.
    `moves`: keep the sequences of `MOVES` too, for a caller that interprets them itself.
    """
    if not has_controls(text):
        return text
    return (_MOVE_OR_UNSAFE if moves else _SGR_OR_UNSAFE).sub(_replacement, text)


def visible_but_colours(text: str) -> str:
    """Make every control visible except SGR, tab and newline. Concealed text is revealed."""
    return re.sub("[\r\b]", _as_ascii, neutralise(text.replace("\r\n", "\n")))


def visible(text: str) -> str:
    """Make every control visible except tab and newline; SGR too."""
    return _ANY_UNSAFE.sub(_as_ascii, text.replace("\r\n", "\n"))


def visible_source(text: str) -> str:
    """Do as `visible` does, and make blank letters visible. For code that a person approves."""
    if text.isascii():
        return visible(text)
    return _UNSAFE_OR_BLANK.sub(_as_ascii, text.replace("\r\n", "\n"))


def message(text: str) -> str:
    """Make an error message harmless. Lines after the first are indented.

    A message may contain a name with a newline; what follows must not look like another message.
    """
    return visible_source(text).rstrip("\n").replace("\n", "\n  ")


def json_text(text: str) -> str:
    r"""Escape what `visible_source` makes visible as `\u009b`. The JSON keeps its value."""
    return _UNSAFE_OR_BLANK.sub(_json_escape, text)


def plain(text: str) -> str:
    r"""Return `text` on one line with all controls made visible: a newline is shown as `\n`."""
    if text.isascii() and text.isprintable():  # most text: skip the slower substitution
        return text
    return _ONE_LINE_UNSAFE.sub(lambda found: _ESCAPES.get(found[0]) or _as_ascii(found), text)


def _replacement(found: re.Match[str]) -> str:
    if len(found[0]) == 1:
        return _as_ascii(found)
    # Terminals differ in how they read odd parameters, so the sequence stays as it is. Concealing
    # and blinking are switched off right after it.
    return found[0] + _SHOW if _HIDES.search(found[0]) else found[0]


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def _as_ascii(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "^" + chr(code ^ 0x40) if code < 0x80 else f"<U+{code:04X}>"
