"""Ids of cells: which edits keep them."""

from collections.abc import Callable

import pytest

from tests.runbook.text_formats.conftest import Read, cells, ids

TEXT = """# Restart the web server

Intro.

```bash
date
```

## Check

```bash
df -h
```

```bash
free
```

```bash tags=["check"]
true
```

```bash tags=["undo"]
true
```

### Logs

```bash
tail log
```

## Verify

```bash name="ask"
curl x
```

```bash
curl y
```
"""
IDS = ["step", "check", "check_2", "check_check", "check_undo", "check__logs", "ask", "verify_2"]


def test_ids_come_from_names_or_headings_and_positions(read: Read) -> None:
    assert ids(read(TEXT)) == IDS


Edit = Callable[[str], str]
EDITS: dict[str, Edit] = {
    "source": lambda text: text.replace("df -h", "df -h /\nls"),
    "prose": lambda text: text.replace("Intro.", "Intro.\n\n> More.\n\n- and\n\n\n\nmore"),
    "title": lambda text: text.replace("# Restart the web server", "# Restart nginx"),
    "case and punctuation of a heading": lambda text: text.replace("## Verify", "## *verify*!"),
    "options": lambda text: text.replace("```bash\nfree", '```sh tags=["confirm"]\nfree'),
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "header": lambda text: "---\nkernelspec: {name: bash}\n---\n\n" + text,
    "byte order mark": lambda text: "\ufeff" + text,
    "example that does not run": lambda text: text.replace("Intro.", "```text\nx\n```"),
    "comment": lambda text: text.replace("Intro.", "<!--\n## No\n\n```bash\nx\n```\n-->"),
    "fence": lambda text: text.replace("```bash\nfree\n```", "~~~~bash\nfree\n~~~~"),
    "setext heading": lambda text: text.replace("## Verify", "Verify\n---"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_harmless_edit_keeps_all_ids(edit: Edit, read: Read) -> None:
    assert edit(TEXT) != TEXT
    assert ids(read(edit(TEXT))) == IDS


def test_new_section_step_or_check_keeps_the_other_ids(read: Read) -> None:
    new = TEXT.replace("## Verify", "## New\n\n```bash\nx\n```\n\n## Verify")
    new = new.replace(
        "### Logs",
        '```sh\nx\n```\n```sh tags=["check"]\nx\n```\n```sh tags=["undo"]\nx\n```\n### Logs',
    )
    assert [each for each in ids(read(new)) if each in IDS] == IDS


def test_sections_may_change_places(read: Read) -> None:
    title, check, verify = TEXT.split("\n## ")
    assert sorted(ids(read(f"{title}\n## {verify}\n## {check}"))) == sorted(IDS)


def test_name_given_to_a_step_keeps_the_ids_of_others(read: Read) -> None:
    new = TEXT.replace("```bash\ndf", '```bash {"name":"disk"}\ndf')
    assert ids(read(new)) == ["disk" if each == "check" else each for each in IDS]


def test_section_of_the_same_name_continues_the_positions(read: Read) -> None:
    text = "## A\n```sh\n1\n```\n## B\n```sh\n2\n```\n## A\n```sh\n3\n```\n"
    assert ids(read(text)) == ["a", "b", "a_2"]


def test_heading_can_not_take_the_id_of_a_position(read: Read) -> None:
    text = "## A\n```sh\n1\n```\n```sh\n2\n```\n## A 2\n```sh\n3\n```\n### B\n```sh\n4\n```\n"
    assert ids(read(text)) == ["a", "a_2", "a-2", "a-2__b"]


def test_name_that_is_another_cells_derived_id_keeps_it(read: Read) -> None:
    assert ids(read('## A\n```sh\n1\n```\n```sh name="a"\n2\n```\n')) == ["a_2", "a"]


@pytest.mark.parametrize("name", ["Restart the server", "重启", "x" * 100, "a/b", "-"])
def test_any_name_makes_a_valid_id(name: str, read: Read) -> None:
    from nbrun.runbook.loader import validate

    parsed = read(f'```sh name="{name}"\n1\n```\n')
    (cell,) = cells(parsed)
    assert cell["metadata"]["nbrun"]["title"] == name
    assert validate(parsed).node["cells"][0]["id"] == cell["id"]
    assert read(f'```sh name="{name}"\n2\n```\n').document["cells"][0]["id"] == cell["id"]


def test_text_before_an_include_keeps_its_id(read: Read) -> None:
    include = '<!-- #region nbrun={"include": "x.md"} -->\nx\n<!-- #endregion -->\n'
    for text in ("", "<!-- #region -->\na\n<!-- #endregion -->\n"):
        found = cells(read(f"## A\n\n{text}\n{include}\n```sh\n1\n```\n"))
        assert "a_include" in [cell["id"] for cell in found]


def test_blank_block_takes_no_position(read: Read) -> None:
    assert ids(read("## A\n```sh\n```\n```sh\n1\n```\n")) == ["a_blank", "a"]
