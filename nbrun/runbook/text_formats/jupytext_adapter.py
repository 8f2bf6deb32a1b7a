"""jupytext's part in reading a text runbook. The only importer of jupytext.

jupytext defines the formats: options of cells, markers of cells in scripts, commented magics. Its
parser of Markdown is not used, because it does not read Markdown as CommonMark does: it runs a
block within an HTML comment or within `~~~`, and loses one after a block with four backticks.

Importing jupytext takes about 0.5 s, so the functions import it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbrun.errors import RunbookError
from nbrun.runbook.text_formats.cell import TextCell

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_UNREADABLE = "incorrectly_encoded_metadata"
_LAYOUT = ("lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker", "region_name")


def require(path: Path) -> None:
    """Raise RunbookError if jupytext, which the file `path` needs, is not installed."""
    try:
        import jupytext  # noqa: F401
    except ImportError:
        raise RunbookError(
            f"{path}: a text runbook needs jupytext, which is not installed: "
            "pip install 'nbrun-cli[text]'"
        ) from None


def languages() -> frozenset[str]:
    """Return the languages of the blocks that jupytext takes for code, in lower case."""
    from jupytext.languages import _JUPYTER_LANGUAGES_LOWER_AND_UPPER

    return frozenset(map(str.lower, _JUPYTER_LANGUAGES_LOWER_AND_UPPER))


def comment_of(suffix: str) -> str:
    """Return what begins a comment in a script whose name ends with `suffix`."""
    from jupytext.languages import _SCRIPT_EXTENSIONS

    return str(_SCRIPT_EXTENSIONS[suffix]["comment"])


def block_options(text: str) -> dict[str, Any] | None:
    """Parse what follows the language of a block, `{"name": "x"}` or `name="x" tags=["a"]`.

    The result is None if jupytext can't read it.
    """
    from jupytext.cell_metadata import is_json_metadata, parse_key_equal_value, relax_json_loads

    try:
        parse = relax_json_loads if is_json_metadata(text) else parse_key_equal_value
        found = parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, dict) and _UNREADABLE not in found else None


def region_options(text: str) -> tuple[str, dict[str, Any]] | None:
    """Parse the title and the options of a region's marker; None if jupytext can't read them."""
    from jupytext.cell_metadata import text_to_metadata

    try:
        title, found = text_to_metadata(text, allow_title=True)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return (title, found) if isinstance(found, dict) and _UNREADABLE not in found else None


def chunk_options(text: str) -> tuple[str, dict[str, Any]]:
    """Parse the language and the options of a chunk of R Markdown, `r name, eval=FALSE`.

    Raises:
        ValueError: jupytext can't read them.
    """
    from jupytext.cell_metadata import RMarkdownOptionParsingError, rmd_options_to_metadata

    refused = (RMarkdownOptionParsingError, SyntaxError, RecursionError, MemoryError)
    try:
        language, options = rmd_options_to_metadata(text)
    except (*refused, AttributeError) as error:  # the last for `tags` before `echo`
        raise ValueError(str(error)) from None
    return language, dict(options)


def myst_parser() -> "MarkdownIt":
    """Return the parser of MyST's Markdown."""
    from jupytext.myst import get_parser

    parser: MarkdownIt = get_parser()
    return parser


def script_format(text: str, suffix: str) -> str:
    """Return the format of a script as jupytext guesses it: `percent`, `hydrogen`, or another."""
    from jupytext.formats import guess_format

    name, _options = guess_format(text, suffix)
    return str(name)


def script_cells(
    path: Path, lines: list[str], start: int, suffix: str, *, magics: bool
) -> Iterator[TextCell]:
    """Yield the cells of a script with `# %%` markers, from the line with the index `start`.

    With `magics`, a commented magic such as `# !ls` or `# %time` is a magic, as jupytext writes it.

    Raises:
        RunbookError: jupytext can't read a cell. The message names the line.
    """
    from jupytext.formats import get_format_implementation

    reader_class = get_format_implementation(suffix, "percent").cell_reader_class
    rest = lines[start:]
    while rest:
        at = len(lines) - len(rest)
        reader = reader_class({"extension": suffix, "comment_magics": magics}, None)
        try:
            cell, length = reader.read(rest)
        except (
            ValueError,
            SyntaxError,
            RecursionError,
            MemoryError,
            AttributeError,
            TypeError,
        ) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise RunbookError(
                f"{path}, line {at + 1}: jupytext can't read this cell: {why}"
            ) from None
        marked = any(
            marker.match(rest[0])
            for marker in (reader.start_code_re, reader.alternative_start_code_re)
        )
        options = {key: value for key, value in cell.metadata.items() if key not in _LAYOUT}
        if _UNREADABLE in options:
            raise unreadable_options(path, at + 1, options[_UNREADABLE])
        yield TextCell(cell.cell_type, cell.source, at + marked + 1, "", options)
        rest = rest[max(length, 1) :]


def unreadable_options(path: Path, line: int, text: str) -> RunbookError:
    """Return the error for options of a cell that can't be read."""
    from nbrun.runbook.notebook import short

    return RunbookError(
        f"{path}, line {line}: its options can't be read ({short(text)}): "
        'write them as name="x" tags=["setup"], or as JSON'
    )
