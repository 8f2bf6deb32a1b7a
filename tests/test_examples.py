"""The example runbooks as files: valid, clean, and structured as their README promises."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from nbrun.runbook import lint, loader

EXAMPLES = Path(__file__).parent.parent / "examples"
RUNBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.fixture(params=RUNBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def cells_with_tag(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def steps(notebook):
    """Return the positions of the code cells that are neither parameters nor setup."""
    prelude = cells_with_tag(notebook, "parameters") + cells_with_tag(notebook, "setup")
    return [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell not in prelude
    ]


def test_examples_are_the_three_runbooks_of_the_readme():
    assert [path.stem for path in RUNBOOKS] == [
        "certificate-rotation",
        "disk-triage",
        "sqlite-maintenance",
    ]


def test_example_is_a_valid_notebook_of_format_4_5(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


def test_example_names_its_kernel_and_language(notebook):
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info.name == "python"


def test_example_has_no_outputs_or_execution_counts(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


def test_example_cell_ids_are_unique_and_readable(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert [cell_id for cell_id in ids if not re.fullmatch(r"[a-z]+(-[a-z]+)*", cell_id)] == []


def test_example_opens_with_title_purpose_and_effects(notebook):
    title = notebook.cells[0]
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    for question in ("**Purpose.**", "**When to use it.**", "**What it changes.**", "**Who may"):
        assert question in title.source


def test_example_parameters_and_setup_precede_first_step(notebook):
    assert [cell.id for cell in cells_with_tag(notebook, "parameters")] == ["parameters"]
    assert [cell.id for cell in cells_with_tag(notebook, "setup")] == ["setup"]
    assert [cell.id for cell in notebook.cells[1:3]] == ["parameters", "setup"]


def test_example_parameter_is_typed_literal_with_help_comment(notebook):
    source = cells_with_tag(notebook, "parameters")[0].source
    statements = ast.parse(source).body
    assert statements
    for statement, line in zip(statements, source.splitlines(), strict=True):
        assert isinstance(statement, ast.AnnAssign), line
        default = ast.literal_eval(statement.value)
        assert type(default).__name__ == statement.annotation.id, line
        assert re.search(r"  # \w.+", line), line


def test_example_step_follows_markdown_cell_with_heading(notebook):
    for position in steps(notebook):
        before = notebook.cells[position - 1]
        assert before.cell_type == "markdown", notebook.cells[position].id
        assert re.match(r"## \w", before.source), notebook.cells[position].id


def test_example_step_declares_its_impact(notebook):
    for position in steps(notebook):
        cell = notebook.cells[position]
        assert cell.metadata.nbrun.impact in {"none", "changes", "destructive"}, cell.id


def test_example_has_eight_to_twelve_code_cells(notebook):
    assert 8 <= sum(cell.cell_type == "code" for cell in notebook.cells) <= 12


def test_example_runs_without_manual_steps_or_input(notebook):
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    assert tags <= {"parameters", "setup", "shell-errors-ok"}
    assert not any(re.search(r"\b(input|getpass)\(", cell.source) for cell in notebook.cells)


def test_example_text_refers_only_to_existing_steps(notebook):
    ids = {cell.id for cell in notebook.cells}
    text = "\n".join(cell.source for cell in notebook.cells)
    hyphenated = r"`?([a-z]+(?:-[a-z]+)+)`?"
    pairs = re.findall(rf"\bsteps? {hyphenated}(?: and {hyphenated})?", text)
    single = re.findall(r"\bstep `([a-z]+)`|\b(?:run|to) the step ([a-z]+)\b(?!-)", text)
    named = {name for match in pairs + single for name in match if name}
    assert named
    assert named <= ids


def test_examples_readme_uses_only_declared_parameters(path, notebook):
    commands = re.findall(rf"^ *nbrun \w+ examples/{path.name}(.*)$", README, re.MULTILINE)
    given = {name for options in commands for name in re.findall(r"-p (\w+)=", options)}
    known = {
        statement.target.id
        for statement in ast.parse(cells_with_tag(notebook, "parameters")[0].source).body
    }
    assert given
    assert given <= known


# ── the Markdown runbook ─────────────────────────────────────────────────────────────────────────

TEXT = EXAMPLES / "log-cleanup.md"


def test_markdown_example_is_a_bash_runbook_without_findings():
    assert lint.findings(TEXT, {}, unattended=True) == []
    assert loader.read(TEXT).metadata["kernelspec"]["name"] == "bash"


def test_markdown_example_gives_its_steps_ids_titles_and_impacts():
    book = loader.plan(loader.read(TEXT))
    assert [(step.id, step.metadata.get("nbrun", {}).get("impact")) for step in book.steps] == [
        ("parameters", None),
        ("setup", None),
        ("look", "none"),
        ("compress", "changes"),
        ("verify", "none"),
    ]
    assert book.steps[3].title == "Compress the old logs"
    assert book.steps[3].check.id == "compressed"


def test_examples_readme_uses_only_declared_parameters_of_the_markdown_example():
    commands = re.findall(rf"^ *nbrun \w+ examples/{TEXT.name}(.*)$", README, re.MULTILINE)
    given = {name for options in commands for name in re.findall(r"-p (\w+)=", options)}
    declaration = next(c for c in loader.read(TEXT).node["cells"] if c["id"] == "parameters")
    assert given
    assert given <= set(re.findall(r"^(\w+)=", declaration["source"], re.MULTILINE))
