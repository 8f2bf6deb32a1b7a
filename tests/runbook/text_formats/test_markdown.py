"""Cells of Markdown files: which blocks are steps, and what their options mean."""

import pytest

from tests.runbook.text_formats.conftest import Read, Refuse, cells, code


def test_blocks_are_code_and_text_between_them_is_narration(read: Read) -> None:
    parsed = read("# Title\n\nSome *text*.\n\n```bash\ndf -h\n\nls\n```\n\nMore.\n")
    assert [(cell["cell_type"], cell["source"]) for cell in cells(parsed)] == [
        ("markdown", "# Title\n\nSome *text*."),
        ("code", "df -h\n\nls"),
        ("markdown", "More."),
    ]
    assert parsed.places.lines == (1, 6, 11)


@pytest.mark.parametrize(
    "text",
    [
        "<!--\n```bash\nrm x\n```\n-->",
        "~~~text\n```bash\nrm x\n```\n~~~",
        "````text\n```bash\nrm x\n```\n````",
        "    ```bash\n    rm x\n    ```",
        "> ```bash\n> rm x\n> ```",
        "1. First:\n   ```bash\n   rm x\n   ```",
        "<!-- #region -->\n```bash\nrm x\n```\n<!-- #endregion -->",
        "```bash .noeval\nrm x\n```",
        '```bash {"ignore": "true"}\nrm x\n```',
        "```console\n$ rm x\n```",
        "```text\nrm x\n```",
        "```\nrm x\n```",
    ],
    ids=[
        *("comment", "tildes", "longer block", "indented", "quote", "list", "region"),
        *("noeval", "runme's ignore", "transcript", "text", "no language"),
    ],
)
def test_block_that_is_not_a_step_does_not_run(text: str, read: Read) -> None:
    parsed = read(f"```bash\nfirst\n```\n\n{text}\n\n```bash\nlast\n```\n")
    assert code(parsed) == ["first", "last"]


@pytest.mark.parametrize("text", ["> ```sh\n> x\n> ```", "- a\n  ```bash\n  x\n  ```"])
def test_block_in_a_list_or_quote_is_remarked_with_its_line(text: str, read: Read) -> None:
    parsed = read(f"```bash\nfirst\n```\n\n{text}\n")
    assert [line for line, _message in parsed.remarks] == [5 + text.startswith("-")]
    assert "does not run" in parsed.notices[0]


def test_block_of_tildes_or_indented_up_to_three_spaces_is_a_step(read: Read) -> None:
    assert code(read("~~~bash\na\n~~~\n\n   ```sh\n   b\n     c\n   ```\n")) == ["a", "b\n  c"]


@pytest.mark.parametrize(
    "options",
    [
        '{"name":"x","tags":["confirm"]}',
        '{ name=x tags=["confirm"] }',
        '{name=x, tags=["confirm"]}',
        "{ name='x' tags=[\"confirm\"] }",
        'name="x" tags=["confirm"]',
        'name=x tags=["confirm"]',
    ],
)
def test_options_may_be_written_as_jupytext_or_runme_does(options: str, read: Read) -> None:
    (cell,) = cells(read(f"```sh {options}\ntrue\n```\n"))
    assert cell["id"] == "x"
    assert cell["metadata"] == {"name": "x", "tags": ["confirm"], "nbrun": {"title": "x"}}


def test_language_glued_to_its_options_is_read(read: Read) -> None:
    (cell,) = cells(read('```sh{"name":"x"}\ntrue\n```\n'))
    assert cell["id"] == "x"


def test_contract_in_options_reaches_the_cell(read: Read) -> None:
    (cell,) = cells(read('```bash name="drop" nbrun={"confirm": "Drop it?"}\ntrue\n```\n'))
    assert cell["metadata"]["nbrun"] == {"title": "drop", "confirm": "Drop it?"}


def test_region_is_one_markdown_cell_with_its_options(read: Read) -> None:
    text = (
        '<!-- #region Look name="look" tags=["manual"] -->\nLook.\n\nAgain.\n<!-- #endregion -->\n'
    )
    look, _step = cells(read(f"{text}\n```bash\ntrue\n```\n"))
    assert (look["cell_type"], look["id"], look["source"]) == (
        "markdown",
        "look",
        "Look.\n\nAgain.",
    )
    assert look["metadata"]["nbrun"] == {"title": "Look"}


def test_raw_region_is_a_raw_cell(read: Read) -> None:
    first, _step = cells(read("<!-- #raw -->\nx\n<!-- #endraw -->\n\n```bash\ntrue\n```\n"))
    assert (first["cell_type"], first["source"]) == ("raw", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```bash\nls\n", "line 1: the block does not end"),
        ("text\n\n```text\n```bash\nls\n", "line 3: the block does not end"),
        ("<!-- #region -->\n```bash\nls\n```\n", "line 1: the region does not end"),
        ("<div>\n<!-- #region -->\n</div>\n\n```bash\nls\n```\n", "line 2: this marker is within"),
        ("a\n```bash name=\nls\n```\n", "line 2: its options can't be read ('name=')"),
        ("```bash { name=x\nls\n```\n", "line 1: its options can't be read"),
        ('```bash {"a": 1\nls\n```\n', "line 1: its options can't be read"),
        ("```bash a=1 a=2 {\nls\n```\n", "line 1: its options can't be read"),
        ("```bash confirm=true\nls\n```\n", "line 2: `confirm` has no effect as an option"),
        ("```bash setup\nls\n```\n", "line 2: `setup` has no effect as an option"),
        ("```bash { cwd=/tmp }\nls\n```\n", "line 2: nbrun has no `cwd`"),
        ('```bash {"background":"true"}\nls\n```\n', "line 2: nbrun has no `background`"),
        ('```bash tags="x"\nls\n```\n', "line 2: its tags must be a list of strings"),
        ('```bash nbrun="x"\nls\n```\n', "line 2: metadata.nbrun must be an object"),
        ("```bash name=1\nls\n```\n", "line 2: `name` must be a name"),
        ("```bash name=a\nx\n```\n```sh name=a\ny\n```\n", "line 5: the name 'a' is also that of"),
        (f"```bash a={'=' * 3000}\nls\n```\n", "line 1: has more than 2,000 characters of options"),
        ("text only\n", "nothing to run"),
    ],
)
def test_fault_is_refused_with_its_line(text: str, message: str, refuse: Refuse) -> None:
    assert message in refuse(text)


def test_runme_options_that_change_nothing_are_accepted(read: Read) -> None:
    assert code(read('```sh {"interactive":"false","background":"false"}\nls\n```\n')) == ["ls"]


def test_bare_option_is_kept_as_jupytext_does(read: Read) -> None:
    (cell,) = cells(read("```bash slow\nls\n```\n"))
    assert cell["metadata"] == {"slow": None}
