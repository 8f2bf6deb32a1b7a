"""Kernel text made safe to show: only its colours, tabs, newlines and cursor returns take effect.

Whatever comes from a kernel, a source, a Markdown cell, a parameter or a file name passes here on
its way to a terminal, and nowhere else: the journal keeps the original. Escape sequences are those
of ECMA-48, 5th edition; SGR ("select graphic rendition", 8.3.117) is the one that sets colours.
"""

import re

SGR = r"\x1b\[[0-9;:]{0,64}m"
# C0 but tab and newline, DEL, C1; then what reorders text, breaks lines or can't be seen. The
# joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them.
_UNSAFE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
_ANY_UNSAFE = re.compile(f"[{_UNSAFE}]")
# Up, down, erase in line, and the cursor's visibility: what progress bars on several lines use.
MOVES = r"\x1b\[(?:[0-9]{0,3}[AB]|[0-2]?K|\?25[hl])"
_SGR_OR_UNSAFE = re.compile(rf"{SGR}|(?![\r\b])[{_UNSAFE}]")
_MOVE_OR_UNSAFE = re.compile(rf"{SGR}|{MOVES}|(?![\r\b])[{_UNSAFE}]")
_ONE_LINE_UNSAFE = re.compile(rf"[\t\n{_UNSAFE}]")
_HIDES = re.compile(r"[\[;:]0*[568](?=[;:m])")
_SHOW = "\x1b[25;26;28m"
_WRITTEN = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def has_controls(text: str) -> bool:
    """Whether anything but a tab or a newline in `text` would take effect."""
    return _ANY_UNSAFE.search(text) is not None


def neutralise(text: str, *, moves: bool = False) -> str:
    """Return `text` with every control but SGR, tab, newline, return and backspace made visible.

    C0 and DEL become caret notation (`^[`), the rest `<U+009B>`. Text is never concealed. `moves`:
    MOVES stay too, for a reader that carries them out itself.
    """
    if not has_controls(text):
        return text
    return (_MOVE_OR_UNSAFE if moves else _SGR_OR_UNSAFE).sub(_neutral, text)


def visible(text: str) -> str:
    """Return `text` with every control but tab and newline made visible, SGR too: for sources."""
    return _ANY_UNSAFE.sub(_as_ascii, text.replace("\r\n", "\n"))


def plain(text: str) -> str:
    r"""Return `text` on one line, nothing in it taking effect: a newline is shown as `\n`."""
    if text.isascii() and text.isprintable():  # as most is
        return text
    return _ONE_LINE_UNSAFE.sub(lambda found: _WRITTEN.get(found[0]) or _as_ascii(found), text)


def _neutral(found: re.Match[str]) -> str:
    if len(found[0]) == 1:
        return _as_ascii(found)
    # What terminals make of odd parameters differs, so none is taken out: concealing and blinking
    # are switched off right after.
    return found[0] + _SHOW if _HIDES.search(found[0]) else found[0]


def _as_ascii(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "^" + chr(code ^ 0x40) if code < 0x80 else f"<U+{code:04X}>"
