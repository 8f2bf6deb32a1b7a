"""Split source into statements, with its strings and comments recognized: bash, R, JavaScript.

No code is run. The scanner knows strings, comments, brackets and ends of statements, and no more of
a language. It takes linear time: a string or comment without an end reaches to the end of the
source.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

_DOUBLE = r'"(?:[^"\\]|\\.)*(?:"|\Z)'
_BASH_DOUBLE = r'"(?:[^"\\$]|\\.|\$\((?:[^()"]|"[^"]*")*\)|\$)*(?:"|\Z)'  # with "$(f "x")"
_SINGLE = r"'(?:[^'\\]|\\.)*(?:'|\Z)"


@dataclass(frozen=True)
class _Syntax:
    """Regular expressions of one language.

    Attributes:
        string: a literal of a text, from quote to quote.
        comment: a comment, without the newline that ends it.
        goes_on: the end of a line after which the statement continues.
    """

    string: str
    comment: str
    goes_on: str

    def tokens(self) -> re.Pattern[str]:
        return re.compile(
            rf"(?P<comment>{self.comment})|(?P<string>{self.string})|(?P<open>[(\[{{])|"
            r"(?P<close>[)\]}])|(?P<end>[;\n])|(?P<other>\\.|.)",
            re.DOTALL,
        )


_JAVASCRIPT = _Syntax(
    string=rf"{_DOUBLE}|{_SINGLE}|`(?:[^`\\]|\\.)*(?:`|\Z)",
    comment=r"//[^\n]*|/\*(?:.*?\*/|.*)",
    goes_on=r"[=,+\-*/&|?:<>]",
)
_SYNTAXES: Mapping[str, _Syntax] = MappingProxyType(
    {
        "bash": _Syntax(
            string=rf"\$'(?:[^'\\]|\\.)*(?:'|\Z)|'[^']*(?:'|\Z)|{_BASH_DOUBLE}|"
            r"<<-?[ ]*(?P<quote>['\"]?)(?P<here>\w+)(?P=quote)[^\n]*\n"
            r"(?:.*?^\s*(?P=here)(?=\n|\Z)|.*)",
            comment=r"(?<![^\s;])\#[^\n]*",
            goes_on=r"\\|[|&]",
        ),
        "R": _Syntax(
            string=rf"[rR](?P<quote>[\"'])(?P<dashes>-*)\((?:.*?\)(?P=dashes)(?P=quote)|.*)|"
            rf"{_DOUBLE}|{_SINGLE}|`[^`]*(?:`|\Z)",
            comment=r"\#[^\n]*",
            goes_on=r"[=,+\-*/&|~]",
        ),
        "javascript": _JAVASCRIPT,
        "typescript": _JAVASCRIPT,
    }
)
_TOKENS = {
    name: re.compile(syntax.tokens().pattern, re.DOTALL | re.MULTILINE)
    for name, syntax in _SYNTAXES.items()
}
LANGUAGES = frozenset(_SYNTAXES)


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        text: without comments.
        shape: `text` with a `_` for each character of a string, of the same length.
        comment: the text of the comment on the last line of the statement, if there is one.
        line: counts from 1.
    """

    text: str
    shape: str
    comment: str
    line: int

    def parts(self, separator: str, brackets: str = "([{)]}") -> Iterator["Statement"]:
        """Yield the parts between `separator` characters that are in no string or bracket."""
        opening, closing = brackets[: len(brackets) // 2], brackets[len(brackets) // 2 :]
        start = depth = 0
        for index, char in enumerate(self.shape + separator[0]):
            depth = max(0, depth + (char in opening) - (char in closing))
            if index == len(self.shape) or (char in separator and depth == 0):
                yield self.slice(start, index)
                start = index + 1

    def slice(self, start: int, end: int) -> "Statement":
        return Statement(self.text[start:end], self.shape[start:end], self.comment, self.line)


def statements(source: str, language: str) -> list[Statement]:
    """Return the statements of `source` in order, without the empty ones."""
    scan = _Scan(re.compile(rf"(?:{_SYNTAXES[language].goes_on})\s*\Z"))
    for match in _TOKENS[language].finditer(source.replace("\r\n", "\n")):
        scan.add(str(match.lastgroup), match[0])
    scan.end()
    return scan.found


class _Scan:
    """Builds statements from tokens. `goes_on` matches a line after which a statement continues."""

    def __init__(self, goes_on: re.Pattern[str]) -> None:
        self.found: list[Statement] = []
        self._goes_on = goes_on
        self._text: list[str] = []
        self._shape: list[str] = []
        self._comment = ""
        self._has_text = False
        self._depth = 0
        self._line = self._first = self._last = 1  # the current line; those of the statement

    def add(self, kind: str, token: str) -> None:
        if kind == "comment":
            self._add_comment(token)
        elif kind == "end" and self._ends_at(token):
            self.end()
        else:
            self._depth = max(0, self._depth + (kind == "open") - (kind == "close"))
            is_literal = kind == "string" or token.startswith("\\")
            self._add_text(token, "_" * len(token) if is_literal else token)
        self._line += token.count("\n")

    def _add_text(self, text: str, shape: str) -> None:
        if not self._has_text:
            if not text.strip():
                return
            self._first = self._line
            self._has_text = True
        self._text.append(text)
        self._shape.append(shape)

    def _add_comment(self, token: str) -> None:
        help_text = token.strip("/*#").strip()
        if not self._has_text and self.found and self._last == self._line:  # after `x = 1;`
            self.found[-1] = replace(self.found[-1], comment=help_text)
        elif self._has_text and not self._depth:
            self._comment = help_text

    def _ends_at(self, mark: str) -> bool:
        if self._depth:
            return False
        tail = "".join(self._shape[-80:]).rstrip(" \t")
        return mark != "\n" or not self._goes_on.search(tail)

    def end(self) -> None:
        """End the statement."""
        text, shape = "".join(self._text), "".join(self._shape)
        stop = len(text.rstrip())
        if self._has_text:
            self.found.append(Statement(text[:stop], shape[:stop], self._comment, self._first))
            self._last = self._line
        self._text, self._shape, self._comment, self._depth = [], [], "", 0
        self._has_text = False
