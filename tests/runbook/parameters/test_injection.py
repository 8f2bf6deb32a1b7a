"""The injected cell: its place, its id, and that kernels read back exactly what was given."""

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from papermill.parameterize import parameterize_notebook

from nbrun.errors import ParameterError
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.injection import inject
from nbrun.runbook.parameters.languages import language_name
from nbrun.runbook.parameters.literals import DIALECTS
from nbrun.runbook.parameters.resolve import resolve
from nbrun.runbook.parameters.types import raw_text
from tests.support.build_notebooks import code, markdown, notebook
from tests.support.parameter_values import hostile, nested, text


def node(*cells: dict[str, Any]) -> Any:
    """Return a node of nbformat with these cells, each with an id."""
    made = [cell | {"id": cell.get("id", f"c{i}")} for i, cell in enumerate(cells)]
    return nbformat.from_dict(notebook(*made))


def injected_source(values: dict[str, Any], language: str | None) -> str:
    before = node(code("x = 1", tags=["parameters"]))
    return str(inject(before, values, language_name(None, language))["cells"][1]["source"])


def test_injected_cell_follows_parameters_cell_and_changes_nothing_else() -> None:
    before = node(
        markdown("m", tags=["parameters"]),
        code("x = 1", tags=["parameters"]),
        code("y", metadata={"papermill": {"status": "failed"}}),
    )
    copy = json.loads(json.dumps(before))
    after = inject(before, {"x": 2}, "python")
    assert json.loads(json.dumps(before)) == copy
    made = after["cells"].pop(2)
    assert made["source"] == "# Parameters\nx = 2\n"
    assert (made["id"], made["metadata"]) == (
        "injected-parameters",
        {"tags": ["injected-parameters"]},
    )
    del copy["cells"][2]["metadata"]["papermill"]
    assert json.loads(json.dumps(after)) == copy


def test_notebook_unchanged_without_values() -> None:
    before = node(code("x = 1", tags=["parameters"]))
    assert inject(before, {}, "unknown") is before


def test_injected_cell_comes_first_without_parameters_cell_and_without_warning(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("papermill").setLevel(logging.NOTSET)
    after = inject(node(code("y")), {"x": 2}, "python")
    assert [cell["source"] for cell in after["cells"]] == ["# Parameters\nx = 2\n", "y"]
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_injected_id_avoids_existing_ids() -> None:
    cells = [code("y", id="injected-parameters"), code("z", id="injected-parameters-2")]
    after = inject(node(*cells), {"x": 2}, "python")
    assert after["cells"][0]["id"] == "injected-parameters-3"
    nbformat.validate(after)


def test_earlier_injected_cell_is_replaced() -> None:
    cells = [code("x = 1", tags=["parameters"]), code("x = 3", tags=["injected-parameters"])]
    after = inject(node(*cells), {"x": 2}, "python")
    assert [cell["source"] for cell in after["cells"]] == ["x = 1", "# Parameters\nx = 2\n"]


TAGS = st.sampled_from([[], ["parameters"], ["injected-parameters"], ["mine"]])


@given(st.lists(st.tuples(st.sampled_from([code, markdown]), TAGS), min_size=1, max_size=6))
def test_injected_cell_is_where_papermill_puts_it_in_whole_notebook(cells: Any) -> None:
    made = [kind(f"source {n}", tags=tags) for n, (kind, tags) in enumerate(cells)]
    whole = node(*made)
    for cell in whole.cells:
        cell.metadata = {"tags": cell.metadata.tags if cell.cell_type == "code" else []}
    whole.metadata["papermill"] = {}
    expected = parameterize_notebook(whole, {"x": 2}, kernel_name="python3", language="python")
    found = inject(node(*made), {"x": 2}, "python")
    assert [cell["source"] for cell in found["cells"]] == [cell.source for cell in expected.cells]


@pytest.mark.parametrize("values", [{"x y": 1}, {"x": float("nan")}, {"x": "\0"}, {"x": 2**64}])
def test_invalid_name_or_value_is_not_injected(values: Any) -> None:
    with pytest.raises(ParameterError, match=r"^parameter "):
        inject(node(code("y")), values, "python")


def test_unknown_language_refused_only_with_values() -> None:
    with pytest.raises(ParameterError, match="can't write parameters in the language 'ocaml'"):
        inject(node(code("y")), {"x": 1}, "ocaml")


def test_kernel_name_or_python_decides_without_language() -> None:
    assert injected_source({"x": True}, None).endswith("x = True\n")
    in_shell = inject(node(code("y")), {"x": True}, language_name("bash", None))
    assert in_shell["cells"][0]["source"].endswith("x=true\n")


@given(nested, text | hostile)
def test_python_reads_back_any_value_and_runs_no_magic(value: Any, words: str) -> None:
    source = injected_source({"a": value, "b": words, "c": [value]}, "ipython")
    transformed = TransformerManager().transform_cell(source)
    assert ast.dump(ast.parse(transformed)) == ast.dump(ast.parse(source))
    found: dict[str, Any] = {}
    exec(transformed, found)
    assert repr((found["a"], found["b"], found["c"])) == repr((value, words, [value]))


def bash_values(source: str, *words: str) -> list[str]:
    """Run `source` in bash, and return what it expands `words` to."""
    script = f"{source}printf '%s\\0' {' '.join(words)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


@settings(deadline=None, max_examples=40)
@given(st.lists(text | hostile, min_size=1, max_size=30))
def test_bash_reads_back_any_text_from_printable_ascii(
    texts: list[str],
) -> None:
    names = {f"v{i}": each for i, each in enumerate(texts)}
    source = injected_source({**names, "all": texts}, "bash")
    assert all(" " <= char <= "~" for char in source.replace("\n", ""))
    assert source.count("\n") == len(texts) + 3
    assert bash_values(source, *(f'"${name}"' for name in names), '"${all[@]}"') == texts * 2


def test_bash_reads_numbers_and_subscript_like_items_as_text() -> None:
    source = injected_source(
        {"a": 5, "b": False, "c": None, "d": ["[3]=x", "*", "~", None]}, "bash"
    )
    assert bash_values(source, '"$a"', '"$b"', '"$c"', '"${d[@]}"') == [
        *("5", "false", ""),
        *("[3]=x", "*", "~", ""),
    ]


@pytest.mark.parametrize(
    ("language", "value"),
    [
        ("bash", {"a": 1}),
        ("bash", [[1]]),
        ("bash", [{}]),
        ("C#", None),
        ("C#", [None]),
        ("R", 2**53 + 1),
        ("matlab", [-(2**53) - 1]),
        ("R", {"": 1}),
    ],
)
def test_value_without_exact_literal_refused(language: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=r"^parameter 'x': "):
        injected_source({"x": value}, language)


def test_powershell_keeps_list_of_one_list() -> None:
    source = injected_source({"x": [[1]], "y": "a’$(b)"}, "powershell")
    assert source == "# Parameters\n$x = @(, @(, 1))\n$y = ('' + 'a' + [char]0x2019 + '$(b)')\n"


def test_every_translator_of_papermill_but_python_is_replaced() -> None:
    from papermill.translators import PythonTranslator, papermill_translators

    inject(node(code("y")), {"x": "a"}, "julia")
    names = {n: t for n, t in papermill_translators._translators.items() if n[:6] != "nbrun-"}
    others = {name for name, t in names.items() if t is not PythonTranslator}
    assert others | {"javascript", "typescript"} == set(DIALECTS)  # papermill has none for these


def test_import_loads_no_heavy_library() -> None:
    script = (
        "import sys, nbrun.runbook.parameters.injection, nbrun.runbook.parameters.yaml_file\n"
        "sys.exit(bool({'papermill', 'nbformat', 'yaml'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_loading_papermill_prints_nothing() -> None:
    script = (
        "import nbformat; from nbrun.runbook.parameters.injection import inject\n"
        "nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell('y')])\n"
        "inject(nb, {'x': 1}, 'python')"
    )
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_typescript_assigns_declares_constants_again_and_declares_undeclared_names() -> None:
    cell = code('let a = "x", c\nconst b = 1', tags=["parameters"])
    source = inject(node(cell), {"a": "y", "b": 2.0, "d": [None]}, "typescript")["cells"][1][
        "source"
    ]
    assert source == '// Parameters\na = "y";\nconst b = 2;\nlet d = [null];\n'


def test_bash_computes_no_text_that_an_integer_variable_gets(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    value = f"a[$(touch {marker})]"
    source = injected_source({"n": value, "items": [value]}, "bash")
    declared = "declare -iu n; declare -ai items; declare -l m; "
    assert bash_values(declared + source, '"$n"', '"${items[@]}"') == [value, value]
    assert not marker.exists()


def test_readonly_bash_parameter_takes_no_value() -> None:
    cell = code("readonly a=1", tags=["parameters"])
    with pytest.raises(ParameterError, match="the cell declares it readonly"):
        resolve(declarations_of(node(cell), "bash"), {"a": raw_text("2", "-p")})
