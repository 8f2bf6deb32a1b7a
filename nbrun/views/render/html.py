"""The readable text and the tables of an HTML page. The only importer of selectolax.

The page is only read: scripts, styles and hidden elements are skipped.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

MAX_CHARACTERS = 5_000_000  # of a page; the rest is not read

_SKIPPED_TAGS = {"script", "style", "title", "head", "template", "iframe", "object", "svg"}
_BLOCK_TAG = re.compile(
    "address|article|aside|blockquote|br|caption|d[dlt]|details|div|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_HIDDEN = re.compile(r"display\s*:\s*none", re.I)
_TEXT_ALIGN = re.compile(r"text-align\s*:\s*(left|right|center)", re.I)
_MAX_DEPTH = 2_000  # nested elements: the parser's time grows with the square of the depth
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.I)
_RAW_TEXT_TAGS = {"script", "style"}
_NEVER_NESTED = """
area base br col colgroup dd dt hr img input li link meta option p source tbody td tfoot th thead tr
wbr
"""
_NEVER_NESTED_TAGS = set(_NEVER_NESTED.split())  # void, or closed implicitly by the next tag
_MAX_ROWS_EACH_END = 500  # rows read from a table's start, and as many from its end


@dataclass(frozen=True)
class TableCell:
    """A cell of an HTML table. `rowspan` and `colspan` are at least 1."""

    text: str
    header: bool = False
    align: str = ""
    rowspan: int = 1
    colspan: int = 1


@dataclass
class HtmlTable:
    """The cells of an HTML table, row by row, as in the source.

    The first `header_rows` rows are the table's head. `skipped_rows` counts the rows that were left
    out of the middle of `rows`.
    """

    rows: list[list[TableCell]] = field(default_factory=list)
    header_rows: int = 0
    caption: str = ""
    skipped_rows: int = 0


def text_and_tables(html: str) -> list[str | HtmlTable]:
    """Return the readable text and the tables of a page, in order. Text has no blank lines."""
    from selectolax.lexbor import LexborHTMLParser

    reader = _Reader()
    body = LexborHTMLParser(limit_nesting(html[:MAX_CHARACTERS])).body
    if body is not None:
        reader.read(body)
    return reader.parts()


def to_text(html: str) -> str:
    """Return only the text of a page. Each row of a table becomes a line of its cells."""
    parts = text_and_tables(html)
    return "\n".join(part if isinstance(part, str) else _table_text(part) for part in parts)


def _table_text(table: HtmlTable) -> str:
    rows = ("  ".join(cell.text for cell in row).strip() for row in table.rows)
    return "\n".join([table.caption] * bool(table.caption) + [row for row in rows if row])


# ── pages that are nested too deep ───────────────────────────────────────────────────────────


def limit_nesting(page: str) -> str:
    """Return a page unchanged, or only the text between its tags if it is nested too deep.

    For 150,000 nested elements the parser needs about an hour, and ignores Ctrl-C.
    """
    return " ".join(_text_between_tags(page)) if _is_too_deep(page) else page


def _is_too_deep(page: str) -> bool:
    """Return True if more than `_MAX_DEPTH` elements are open at once.

    An element that is closed by the end tag of another one still counts as open.
    """
    if page.count("<") <= _MAX_DEPTH:
        return False
    open_tags: Counter[str] = Counter()
    depth, raw = 0, ""
    for closes, written in _TAG.findall(page):
        name = written.lower()
        if raw:
            raw = "" if closes and name == raw else raw
        elif name in _RAW_TEXT_TAGS:
            raw = "" if closes else name
        elif closes and open_tags[name]:
            open_tags[name] -= 1
            depth -= 1
        elif not closes and name not in _NEVER_NESTED_TAGS:
            open_tags[name] += 1
            depth += 1
            if depth > _MAX_DEPTH:
                return True
    return False


def _text_between_tags(page: str) -> Iterator[str]:
    """Yield the text between tags, without the content of scripts and styles."""
    first, *pieces = page.split("<")
    yield first
    raw = ""
    for piece in pieces:
        tag, _, text = piece.partition(">")
        if raw:
            raw = "" if tag.lower().startswith(f"/{raw}") else raw
        else:
            raw = next((name for name in _RAW_TEXT_TAGS if tag.lower().startswith(name)), "")
        if not raw:
            yield text


# ── text ─────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """Collects text and tables from a tree. With `tables=False`, tables are read as text."""

    def __init__(self, *, tables: bool = True) -> None:
        self._tables = tables
        self._parts: list[str | HtmlTable] = []
        self._words: list[str] = []

    def read(self, root: Any) -> None:
        pre_depth = 0
        for opens, node in _walk(root, self._enter):
            if node.tag == "-text":
                self._add_text(node.text(deep=False) or "", keep_spaces=pre_depth > 0)
            elif _BLOCK_TAG.fullmatch(node.tag or ""):
                self._words.append("\n")
            if node.tag == "pre":
                pre_depth += 1 if opens else -1
            elif node.tag in ("td", "th") and opens:
                self._add_text("  ", keep_spaces=True)
            elif node.tag == "img" and opens:
                self._add_text(f" {_element_not_carried(node)} ")

    def parts(self) -> list[str | HtmlTable]:
        self._flush()
        return self._parts

    def _enter(self, node: Any) -> bool:
        """Return True if the walk must visit the children of `node`.

        The children of hidden elements are skipped. A table is read here as a whole.
        """
        if node.tag in _EXTERNAL_TAGS and node.tag != "img":
            if node.attributes.get("src"):
                self._add_text(f" {_element_not_carried(node)} ")
            return False
        if node.tag in _SKIPPED_TAGS or _HIDDEN.search(node.attributes.get("style") or ""):
            return False
        if node.tag != "table" or not self._tables:
            return True
        table = _table(node)
        if not any(cell.text for row in table.rows for cell in row):
            return True
        self._flush()
        self._parts.append(table)
        return False

    def _add_text(self, text: str, *, keep_spaces: bool = False) -> None:
        """Add text as a browser lays it out: a run of white space is one space."""
        if keep_spaces:
            self._words.append(text)
            return
        text = re.sub(r"[ \t\r\n\f]+", " ", text)
        at_start = not self._words or self._words[-1].endswith(("\n", " "))
        self._words.append(text.lstrip(" ") if at_start else text)

    def _flush(self) -> None:
        lines = "".join(self._words).split("\n")
        self._words = []
        text = "\n".join(line.rstrip() for line in lines if line.strip())
        if text:
            self._parts.append(text)


def _walk(root: Any, enter: Callable[[Any], bool]) -> Iterator[tuple[bool, Any]]:
    """Yield (True, node) as a node below `root` opens, and (False, node) as it closes.

    A text node is yielded once. A node that `enter` rejects is left out with all its children.
    There is no recursion, since a page may be nested deeper than Python's stack.
    """
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


# ── pictures and frames ──────────────────────────────────────────────────────────────────────

_EXTERNAL_TAGS = {
    "audio": "audio",
    "embed": "object",
    "iframe": "frame",
    "img": "image",
    "video": "video",
}
_EXTERNAL_TAG = re.compile(rf"<({'|'.join(_EXTERNAL_TAGS)})\b([^<>]*)>", re.I)
_ATTRIBUTE = re.compile(r"""\b(src|alt)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.I)
_LOADABLE = re.compile(r"https?:|(?![a-z][a-z0-9+.-]*:)", re.I)  # any other scheme loads nothing
_MAX_ADDRESS = 500  # characters


def name_external(page: str) -> str:
    """Put text in place of pictures and frames that a browser would load from elsewhere.

    The text names the address. Those that are embedded as `data:` stay.
    """
    return _EXTERNAL_TAG.sub(_named, page)


def _named(found: re.Match[str]) -> str:
    attributes = {name.lower(): value.strip("\"' ") for name, value in _ATTRIBUTE.findall(found[2])}
    source = attributes.get("src", "")
    if not source or not _LOADABLE.match(source):
        return found[0]
    return _not_carried(found[1], attributes.get("alt", ""), source)


def _element_not_carried(node: Any) -> str:
    source = node.attributes.get("src") or ""
    address = source if _LOADABLE.match(source) else ""
    return _not_carried(node.tag, node.attributes.get("alt") or "", address)


def _not_carried(tag: str, text: str, address: str) -> str:
    """Return `[image not carried: a map (https://…)]`, or `[image: a map]` if it has no address."""
    shortened = address[:_MAX_ADDRESS] + "…" * (len(address) > _MAX_ADDRESS)
    words = [text] * bool(text) + [f"({shortened})"] * bool(address)
    kind = _EXTERNAL_TAGS[tag.lower()] + " not carried" * bool(address)
    return f"[{kind}: {' '.join(words) or 'without a text'}]"


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def _table(node: Any) -> HtmlTable:
    caption, heads, rows, feet = _sections(node)
    # A browser shows the foot last, wherever the source has it.
    all_rows = [*heads, *rows, *feet]
    table = HtmlTable(header_rows=len(heads), caption=caption)
    if len(all_rows) > 2 * _MAX_ROWS_EACH_END:
        table.skipped_rows = len(all_rows) - 2 * _MAX_ROWS_EACH_END
        all_rows = all_rows[:_MAX_ROWS_EACH_END] + all_rows[-_MAX_ROWS_EACH_END:]
    table.rows = [_row(each) for each in all_rows]
    if not heads:
        table.header_rows = _leading_header_rows(table.rows)
    return table


def _sections(node: Any) -> tuple[str, list[Any], list[Any], list[Any]]:
    """Return a table's caption, and the `tr` nodes of its head, its body and its foot."""
    heads: list[Any] = []
    rows: list[Any] = []
    feet: list[Any] = []
    caption = ""
    for child in node.iter():
        if child.tag == "caption":
            caption = _text(child)
        elif child.tag in ("thead", "tbody", "tfoot"):
            section = {"thead": heads, "tbody": rows, "tfoot": feet}[child.tag]
            section.extend(each for each in child.iter() if each.tag == "tr")
        elif child.tag == "tr":
            rows.append(child)
    return caption, heads, rows, feet


def _leading_header_rows(rows: list[list[TableCell]]) -> int:
    """Count the rows of nothing but `th` at the top, for a table without `thead`."""
    count = 0
    for row in rows[:5]:
        if not row or not all(cell.header for cell in row):
            break
        count += 1
    return count if count < len(rows) else 0


def _row(node: Any) -> list[TableCell]:
    row_align = _align(node)
    cells = [each for each in node.iter() if each.tag in ("td", "th")]
    return [_cell(each, row_align) for each in cells]


def _cell(node: Any, row_align: str) -> TableCell:
    return TableCell(
        text=_text(node),
        header=node.tag == "th",
        align=_align(node) or row_align,
        rowspan=_span(node, "rowspan"),
        colspan=_span(node, "colspan"),
    )


def _align(node: Any) -> str:
    found = _TEXT_ALIGN.search(node.attributes.get("style") or "")
    return found[1].lower() if found else ""


def _span(node: Any, name: str) -> int:
    value = node.attributes.get(name) or "1"
    return max(1, int(value)) if re.fullmatch(r"[0-9]{1,4}", value) else 1


def _text(node: Any) -> str:
    reader = _Reader(tables=False)
    reader.read(node)
    return "\n".join(part for part in reader.parts() if isinstance(part, str)).strip(" ")
