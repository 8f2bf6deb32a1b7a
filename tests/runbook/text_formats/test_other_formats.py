"""R Markdown, Quarto and MyST; and what jupytext writes, in each format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbrun.runbook.loader import parse
from nbrun.runbook.text_formats.suffixes import SUFFIXES
from tests.runbook.text_formats.conftest import Read, Refuse, cells, code


def test_chunk_of_r_markdown_has_its_name_and_options(read: Read) -> None:
    text = '```{r load, echo=FALSE, note="x"}\nx <- 1\n```\n\n```{r}\ny\n```\n'
    parsed = read(text, "x.Rmd")
    first, second = cells(parsed)
    assert parsed.language == "r"
    assert (first["id"], first["metadata"]["tags"]) == ("load", ["remove_input"])
    assert first["metadata"]["note"] == "x"
    assert second["source"] == "y"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.Rmd", "```{r}\n1\n```\n\n```{r, eval=FALSE}\nunlink('x')\n```\n"),
        ("x.qmd", "```{python}\n1\n```\n\n```{python}\n#| eval: false\nunlink('x')\n```\n"),
    ],
)
def test_block_that_is_not_to_be_evaluated_never_runs(name: str, text: str, read: Read) -> None:
    _first, second = cells(read(text, name))
    assert (second["source"], second["metadata"]["tags"]) == ("unlink('x')", ["skip-execution"])


def test_evaluation_that_depends_on_code_is_refused(refuse: Refuse) -> None:
    message = refuse("```{r, eval=params$run}\n1\n```\n", "x.Rmd")
    assert ", line 2: `eval` must be true or false" in message


@pytest.mark.parametrize("fence", ["```r", "```{=html}", "```{.python}", "```"])
def test_block_that_r_markdown_only_shows_is_text(fence: str, read: Read) -> None:
    assert code(read(f"```{{r}}\n1\n```\n\n{fence}\n2\n```\n", "x.Rmd")) == ["1"]


def test_quarto_reads_options_in_comments(read: Read) -> None:
    text = (
        "---\njupyter: python3\n---\n\n```{python}\n#| label: load\n#| tags: [setup]\n"
        "#| nbrun:\n#|   timeout: 5\nx = 1\n#| no option\n```\n"
    )
    parsed = read(text, "x.qmd")
    (cell,) = cells(parsed)
    assert (cell["id"], cell["source"]) == ("load", "x = 1\n#| no option")
    assert cell["metadata"]["nbrun"] == {"title": "load", "timeout": 5}
    assert parsed.places.lines == (10,)


def test_fault_in_quarto_options_has_its_line(refuse: Refuse) -> None:
    assert ":7: " in refuse(
        "---\njupyter: python3\n---\n\n```{python}\n#| a: 1\n#| a: 2\n1\n```\n", "x.qmd"
    )


MYST = """---
kernelspec:
  name: python3
---

# Title

```{code-cell} ipython3
:tags: [setup]
:name: load

import os
```

+++ {"tags": ["manual"], "name": "look"}

Look.

+++

```{code-cell}
---
nbrun:
  confirm: Go on?
---
os.getcwd()
```

```python
not_a_cell
```
"""


def test_myst_reads_cells_options_and_breaks(read: Read) -> None:
    parsed = read(MYST)
    found = cells(parsed)
    assert [cell["source"] for cell in found] == [
        *("# Title", "import os", "Look.", "os.getcwd()", "```python\nnot_a_cell\n```"),
    ]
    assert parsed.places.lines == (6, 12, 17, 26, 29)
    assert (found[1]["id"], found[1]["metadata"]["tags"]) == ("load", ["setup"])
    assert (found[2]["id"], found[2]["metadata"]["tags"]) == ("look", ["manual"])
    assert found[3]["metadata"]["nbrun"] == {"confirm": "Go on?"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":name: load", ":a: &x 1", ":10: anchors and aliases are refused"),
        ('+++ {"tags"', "+++ {tags", ", line 15: its options can't be read"),
        ("  confirm: Go on?\n---\n", "  confirm: Go on?\n", ", line 22: the options do not end"),
    ],
)
def test_fault_in_myst_is_refused_with_its_line(
    old: str, new: str, message: str, refuse: Refuse
) -> None:
    assert old in MYST
    assert message in refuse(MYST.replace(old, new))


def test_format_that_needs_another_program_is_refused(refuse: Refuse) -> None:
    text = "---\njupyter:\n  jupytext:\n    text_representation: {format_name: pandoc}\n---\n"
    assert "is in the format 'pandoc'" in refuse(text + "```bash\nls\n```\n")


def test_jupytext_reads_every_suffix() -> None:
    known = {each.lower() for each in jupytext.formats.NOTEBOOK_EXTENSIONS}
    assert {*SUFFIXES} <= known


LINES = ["x = 1", "", "    y", "# comment", "<!-- a -->", "it's", "- a"]
MARKS = ["```", "```bash", "````", "~~~"]  # in text, they would open a block


def _source(lines: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(lines), min_size=1, max_size=6).map("\n".join)


METADATA = st.sampled_from([{}, {"tags": ["setup"]}, {"name": "n"}, {"nbrun": {"timeout": 5}}])
CELL = st.one_of(
    st.tuples(st.just("code"), _source(LINES + MARKS), METADATA),
    st.tuples(st.just("markdown"), _source(LINES), METADATA),
)


def _notebook(parts: list[tuple[str, str, Mapping[str, Any]]]) -> Any:
    made = []
    for number, (kind, source, metadata) in enumerate(parts):
        own = {**metadata, **({"name": f"n{number}"} if "name" in metadata else {})}
        new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        made.append(new(source.strip() or "pass", metadata=own))
    spec = {"name": "python3", "display_name": "Python", "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})


@pytest.mark.parametrize("format_", ["md", "md:myst", "py:percent"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(CELL, min_size=1, max_size=5))
def test_what_jupytext_writes_has_the_same_steps(
    format_: str, parts: list[tuple[str, str, Mapping[str, Any]]], tmp_path: Path
) -> None:
    notebook = _notebook([("code", "first = 1", {}), *parts])
    path = tmp_path / f"x.{format_.partition(':')[0]}"
    path.write_text(jupytext.writes(notebook, fmt=format_), "utf-8")
    wanted = [(c.source, c.metadata.get("tags")) for c in notebook.cells if c.cell_type == "code"]
    read = [c for c in parse(path).document["cells"] if c["cell_type"] == "code"]
    assert [(c["source"], c["metadata"].get("tags")) for c in read] == wanted
