"""HTML as a person reads it: its text and its tables, in order. The only importer of selectolax.

Nothing of a page takes effect: scripts, styles and what is not displayed are left out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_CHARACTERS = 5_000_000  # characters of a page that are read

_SKIPPED = {"script", "style", "title", "head", "template", "iframe", "object", "svg"}
_BLOCK = re.compile(
    "address|article|aside|blockquote|br|caption|d[dlt]|details|div|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_HIDDEN = re.compile(r"display\s*:\s*none", re.I)
_ALIGNED = re.compile(r"text-align\s*:\s*(left|right|center)", re.I)
_DEEPEST = 2_000  # elements within one another: a parser's time grows with the square of it
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.I)
_RAW = {"script", "style"}
_UNNESTED = """
area base br col colgroup dd dt hr img input li link meta option p source tbody td tfoot th thead tr
wbr
"""
_NEVER_DEEP = set(_UNNESTED.split())  # never open, or closed by what follows
_MOST_ROWS = 500  # read from a table's head, and as many from its foot


@dataclass(frozen=True)
class TableCell:
    """One cell of a table; `rows` and `columns` are its spans, at least 1."""

    text: str
    header: bool = False
    align: str = ""
    rows: int = 1
    columns: int = 1


@dataclass
class HtmlTable:
    """Rows of cells as they are written. `skipped`: rows left out in the middle of them."""

    rows: list[list[TableCell]] = field(default_factory=list)
    headers: int = 0
    caption: str = ""
    skipped: int = 0


def text_and_tables(html: str) -> list[str | HtmlTable]:
    """The readable text and the tables of a page, in order. Text has no blank lines."""
    from selectolax.lexbor import LexborHTMLParser

    reader = _Reader()
    body = LexborHTMLParser(limit_nesting(html[:MAX_CHARACTERS])).body
    if body is not None:
        reader.read(body)
    return reader.parts()


def limit_nesting(page: str) -> str:
    """A page as it is, or what stands between its tags, where it is nested without measure: no
    parser comes to the end of that."""
    return " ".join(_texts(page)) if _is_too_deep(page) else page


def _is_too_deep(page: str) -> bool:
    """Whether more elements are open at once than a page for people has, or than can be told: one
    that is closed in another's place counts as open still."""
    if page.count("<") <= _DEEPEST:
        return False
    opened: Counter[str] = Counter()
    depth, raw = 0, ""
    for closes, written in _TAG.findall(page):
        name = written.lower()
        if raw:
            raw = "" if closes and name == raw else raw
        elif name in _RAW:
            raw = "" if closes else name
        elif closes and opened[name]:
            opened[name] -= 1
            depth -= 1
        elif not closes and name not in _NEVER_DEEP:
            opened[name] += 1
            depth += 1
            if depth > _DEEPEST:
                return True
    return False


def _texts(page: str) -> Iterator[str]:
    """What stands between the tags, but in scripts and styles."""
    first, *pieces = page.split("<")
    yield first
    raw = ""
    for piece in pieces:
        tag, _, text = piece.partition(">")
        if raw:
            raw = "" if tag.lower().startswith(f"/{raw}") else raw
        else:
            raw = next((name for name in _RAW if tag.lower().startswith(name)), "")
        if not raw:
            yield text


def to_text(html: str) -> str:
    """A page's text alone, its tables as rows of words."""
    told = (part if isinstance(part, str) else _as_text(part) for part in text_and_tables(html))
    return "\n".join(told)


def _as_text(table: HtmlTable) -> str:
    rows = ("  ".join(cell.text for cell in row).strip() for row in table.rows)
    return "\n".join([table.caption] * bool(table.caption) + [row for row in rows if row])


class _Reader:
    """Walks a tree without recursion: a page may be nested deeper than Python's stack."""

    def __init__(self, *, tables: bool = True) -> None:
        self._tables = tables
        self._parts: list[str | HtmlTable] = []
        self._words: list[str] = []

    def read(self, root: Any) -> None:
        within_pre = 0
        for opens, node in _walk(root, self._enter):
            if node.tag == "-text":
                self._say(node.text(deep=False) or "", kept=within_pre > 0)
            elif _BLOCK.fullmatch(node.tag or ""):
                self._break()
            if node.tag == "pre":
                within_pre += 1 if opens else -1
            elif node.tag in ("td", "th") and opens:
                self._say("  ", kept=True)
            elif node.tag == "img" and opens:
                self._say(f" [image: {node.attributes.get('alt') or 'without a text'}] ")

    def parts(self) -> list[str | HtmlTable]:
        self._flush()
        return self._parts

    def _enter(self, node: Any) -> bool:
        """Whether the walk goes into `node`: not into what isn't shown, nor into a table again."""
        if node.tag in _SKIPPED or _HIDDEN.search(node.attributes.get("style") or ""):
            return False
        if node.tag != "table" or not self._tables:
            return True
        table = _table(node)
        if not any(cell.text for row in table.rows for cell in row):
            return True
        self._flush()
        self._parts.append(table)
        return False

    def _say(self, text: str, *, kept: bool = False) -> None:
        if kept:
            self._words.append(text)
            return
        text = re.sub(r"[ \t\r\n\f]+", " ", text)
        begins = not self._words or self._words[-1].endswith(("\n", " "))
        self._words.append(text.lstrip(" ") if begins else text)

    def _break(self) -> None:
        self._words.append("\n")

    def _flush(self) -> None:
        lines = "".join(self._words).split("\n")
        self._words = []
        text = "\n".join(line.rstrip() for line in lines if line.strip())
        if text:
            self._parts.append(text)


def _walk(root: Any, enter: Any) -> Iterator[tuple[bool, Any]]:
    """Every node below `root` that `enter` admits: (True, node) as it opens, (False, node) as it
    closes, text only once."""
    node = root.child
    depth = 0
    while node is not None:
        goes_in = False
        if node.tag == "-text":
            yield True, node
        elif not (node.tag or "").startswith(("-", "!", "_")) and enter(node):
            yield True, node
            goes_in = node.child is not None
            if not goes_in:
                yield False, node
        if goes_in:
            node, depth = node.child, depth + 1
            continue
        while node is not None and node.next is None and depth:
            node, depth = node.parent, depth - 1
            yield False, node
        node = node.next if node is not None else None


def _table(node: Any) -> HtmlTable:
    heads: list[Any] = []
    rows: list[Any] = []
    feet: list[Any] = []
    caption = ""
    for child in node.iter():
        if child.tag == "caption":
            caption = _text(child)
        elif child.tag in ("thead", "tbody", "tfoot"):
            kind = {"thead": heads, "tbody": rows, "tfoot": feet}[child.tag]
            kind.extend(each for each in child.iter() if each.tag == "tr")
        elif child.tag == "tr":
            rows.append(child)
    written = [*heads, *rows, *feet]
    table = HtmlTable(headers=len(heads), caption=caption)
    if len(written) > 2 * _MOST_ROWS:
        table.skipped = len(written) - 2 * _MOST_ROWS
        written = written[:_MOST_ROWS] + written[-_MOST_ROWS:]
    table.rows = [_row(each) for each in written]
    if not heads:
        table.headers = _leading_headers(table.rows)
    return table


def _leading_headers(rows: list[list[TableCell]]) -> int:
    """How many rows at the top hold nothing but headers, where the page marks no head."""
    count = 0
    for row in rows[:5]:
        if not row or not all(cell.header for cell in row):
            break
        count += 1
    return count if count < len(rows) else 0


def _row(node: Any) -> list[TableCell]:
    aligned = _align(node)
    cells = [each for each in node.iter() if each.tag in ("td", "th")]
    return [_cell(each, aligned) for each in cells]


def _cell(node: Any, aligned: str) -> TableCell:
    return TableCell(
        text=_text(node),
        header=node.tag == "th",
        align=_align(node) or aligned,
        rows=_span(node, "rowspan"),
        columns=_span(node, "colspan"),
    )


def _align(node: Any) -> str:
    found = _ALIGNED.search(node.attributes.get("style") or "")
    return found[1].lower() if found else ""


def _span(node: Any, name: str) -> int:
    value = node.attributes.get(name) or "1"
    return max(1, int(value)) if re.fullmatch(r"[0-9]{1,4}", value) else 1


def _text(node: Any) -> str:
    reader = _Reader(tables=False)
    reader.read(node)
    return "\n".join(part for part in reader.parts() if isinstance(part, str)).strip(" ")
