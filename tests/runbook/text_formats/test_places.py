"""Findings and errors name lines of the text file; a missing jupytext is one line."""

import sys
from pathlib import Path

import pytest

from nbrun.errors import RunbookError
from nbrun.runbook import lint, loader
from nbrun.runbook.parameters.declarations import declarations_of
from tests.runbook.text_formats.conftest import Read, Refuse

TEXT = """---
kernelspec: {name: python3}
---

# Title

```python tags=["parameter"]
host = "a"
```

- a list
  ```bash
  ls
  ```

```python nbrun={"timout": 5}
x = 1
y = (
```
"""


def findings(folder: Path, text: str) -> list[str]:
    path = folder / "runbook.md"
    path.write_text(text)
    found = lint.findings(path, {}, unattended=True)
    return [str(each).removeprefix(f"{path}, ") for each in found]


def test_findings_name_the_line_of_the_file(tmp_path: Path) -> None:
    told = findings(tmp_path, TEXT)
    assert [line.split(":")[0] for line in told] == ["line 12", "line 8", "line 17", "line 18"]
    assert [line.rsplit("[")[-1] for line in told] == ["text]", "tag]", "contract]", "syntax]"]


def test_finding_in_a_cell_with_a_magic_has_the_line_of_the_file(tmp_path: Path) -> None:
    text = (
        "---\nkernelspec: {name: python3}\n---\n```bash\nls\nexport API_TOKEN=ghp_8d7f6a5s4\n```\n"
    )
    assert [line.split(":")[0] for line in findings(tmp_path, text)] == ["line 6"]


def test_text_whose_language_is_known_needs_no_kernel(tmp_path: Path) -> None:
    assert findings(tmp_path, "```bash\nls\n```\n") == []


def test_refused_contract_names_the_line(read: Read) -> None:
    parsed = read('# T\n\n```bash nbrun={"timout": 5}\nls\n```\n')
    with pytest.raises(RunbookError, match=r"runbook\.md, line 4: metadata\.nbrun\.timout"):
        loader.plan(loader.validate(parsed))


def test_second_parameters_cell_is_named_by_its_line(read: Read) -> None:
    block = '```python tags=["parameters"]\nhost = 1\n```\n'
    parsed = read(block + block)
    declared = declarations_of(parsed.document, "python", parsed.places)
    assert declared.overwritten == {"host": "line 5"}


def test_value_that_is_not_json_names_the_line(refuse: Refuse) -> None:
    assert ", line 2: contains the number inf" in refuse("```bash a=1e999\nls\n```\n")


def test_missing_jupytext_is_one_line_with_the_command(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)
    assert refuse("```bash\nls\n```\n") == (
        ": a text runbook needs jupytext, which is not installed: pip install 'nbrun-cli[text]'"
    )
