"""Scripts with `# %%` markers."""

import pytest

from tests.runbook.text_formats.conftest import Read, Refuse, cells, code


def test_markers_begin_cells_with_titles_and_options(read: Read) -> None:
    text = (
        "#!/usr/bin/env python3\n# %% Connect tags=['setup']\nimport os\n\n\n"
        '# %% [markdown] tags=["manual"] name="look"\n# Look at **it**.\n#\n# Again.\n\n'
        "# %%\nprint(1)\n"
    )
    parsed = read(text, "x.py")
    setup, look, last = cells(parsed)
    assert setup["metadata"] == {
        "title": "Connect",
        "tags": ["setup"],
        "nbrun": {"title": "Connect"},
    }
    assert (look["cell_type"], look["id"]) == ("markdown", "look")
    assert look["source"] == "Look at **it**.\n\nAgain."
    assert (last["source"], parsed.places.lines) == ("print(1)", (3, 7, 12))


def test_comments_above_the_first_marker_are_no_step(read: Read) -> None:
    parsed = read("#!/bin/bash\n# Copyright\n#   me\n\n# %%\nls\n", "x.sh")
    assert code(parsed) == ["ls"]
    assert cells(parsed)[0]["source"].rstrip() == "Copyright\n  me"


def test_code_above_the_first_marker_is_a_step(read: Read) -> None:
    assert code(read("import os\n\n# %%\n1\n", "x.py")) == ["import os", "1"]


def test_marker_within_a_string_of_python_begins_no_cell(read: Read) -> None:
    assert code(read('# %%\nx = """\n# %%\n"""\n', "x.py")) == ['x = """\n# %%\n"""']


def test_marker_that_jupytext_overlooks_is_refused(refuse: Refuse) -> None:
    text = "# %%\necho '''\n\n# %%\nls\n"
    assert ", line 4: this marker begins no cell" in refuse(text, "x.sh")
    text = "# %%\n%%bash\necho '''\n\n# %%\nls\n"
    assert ", line 5: this marker begins no cell" in refuse(text, "x.py")
    text = "# %% [markdown]\n# ```\n# %%\nls\n# %% [markdown]\n# ```\n\n# %%\n1\n"
    assert ", line 3: this marker begins no cell" in refuse(text, "x.py")


@pytest.mark.parametrize("name", ["x.py", "x.sh", "x.ts"])
def test_script_without_markers_is_refused(name: str, refuse: Refuse) -> None:
    assert "begin each cell with a line" in refuse("a = 1\n", name)


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        ("x.py", "# rm -rf x"),
        ("x.py", "# !rm x"),
        ("x.py", "# %time f()"),
        ("x.py", "# x = !ls"),
        ("x.sh", "# %d items"),
    ],
)
def test_comment_that_jupytext_would_run_is_refused(
    name: str, comment: str, refuse: Refuse
) -> None:
    message = refuse(f"# %%\na=1\n{comment}\n", name)
    assert message.startswith(", line 3: is this a comment, or the command")


@pytest.mark.parametrize(("magics", "source"), [("true", "!rm x"), ("false", "# !rm x")])
def test_header_says_whether_such_a_comment_runs(magics: str, source: str, read: Read) -> None:
    text = f"# ---\n# jupytext: {{comment_magics: {magics}}}\n# ---\n\n# %%\n# !rm x\n"
    assert code(read(text, "x.py")) == [source]


def test_comment_stays_one_where_magics_are_written_plainly(read: Read) -> None:
    assert code(read("# %%\n!ls\n# !rm x\n", "x.py")) == ["!ls\n# !rm x"]


def test_ordinary_comments_are_no_commands(read: Read) -> None:
    text = "# %%\n# Remove it. lsblk is not ls.\nx = 1  # !important\n"
    assert len(code(read(text, "x.py"))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# %% tags=[\n1\n", ", line 1: its options can't be read"),
        (f"# %% a={'=' * 3000}\n1\n", ", line 1: has more than 2,000 characters of options"),
        ('# %% name="a"\n1\n# %% name="a"\n2\n', ", line 4: the name 'a' is also that of"),
        ("# %% timeout=5\n1\n", ", line 2: `timeout` has no effect as an option"),
    ],
)
def test_fault_is_refused_with_its_line(text: str, message: str, refuse: Refuse) -> None:
    assert message in refuse(text, "x.py")
