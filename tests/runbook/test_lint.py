"""The rules of `nbrun check`: what they find, where, and what they accept."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.runbook.lint import findings
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write

ROOT = Path(__file__).parent.parent.parent


def found(
    folder: Path, *cells: dict[str, Any], unattended: bool = False, **nbrun: Any
) -> list[tuple[int | None, int | None, str, str]]:
    """Return cell, line, level and rule of each finding in a notebook of `cells`."""
    own = {"nbrun": nbrun} if nbrun else {}
    path = write(folder, notebook(*cells, metadata=PYTHON | own))
    told = findings(path, {}, unattended=unattended)
    return [(each.cell, each.line, each.level, each.rule) for each in told]


def test_good_runbook_has_no_findings(tmp_path: Path) -> None:
    cells = [
        markdown("# Title"),
        code("db = 'blue'", tags=["parameters"]),
        code("import os", tags=["setup"]),
        markdown("Call.", tags=["manual"]),
        code("print(db)", metadata={"nbrun": {"impact": "none", "timeout": 5}}),
        code("os.remove(db)", metadata={"nbrun": {"impact": "destructive", "confirm": "{db}?"}}),
    ]
    assert found(tmp_path, *cells) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"db": {"format": "iri"}}},
        {"properties": {"db": {"type": "strng"}}},
        {"additionalProperties": True},
    ],
)
def test_invalid_schema_is_an_error(tmp_path: Path, schema: dict[str, Any]) -> None:
    told = found(tmp_path, code("db = 'blue'", tags=["parameters"]), parameters=schema)
    assert told == [(None, None, "error", "notebook")]


@pytest.mark.parametrize("name", ["disk-triage", "certificate-rotation", "sqlite-maintenance"])
def test_examples_have_no_findings(name: str) -> None:
    assert findings(ROOT / f"examples/{name}.ipynb", {}, unattended=True) == []


@pytest.mark.parametrize(
    ("cell", "line", "level", "rule"),
    [
        (code("x = (\n1 +", id="c"), 1, "error", "syntax"),
        (code("ok = 1\nif:\n    pass"), 2, "error", "syntax"),
        (code("1", metadata={"nbrun": {"tiemout": 5}}), None, "error", "contract"),
        (code("1", metadata={"nbrun": {"confirm": "{nothing}?"}}), None, "error", "contract"),
        (code("1", tags=["manual"]), None, "error", "contract"),
        (markdown("m", tags=["confirm"]), None, "error", "contract"),
        (code("1", tags=["Setup"]), None, "warning", "tag"),
        (code("1", tags=["parameter"]), None, "warning", "tag"),
        (code("1", tags=["skip_execution"]), None, "warning", "tag"),
        (code("1", metadata={"nbrun": {"impact": "destructive"}}), None, "warning", "destructive"),
        (code("a = 1\npassword = 'correct horse'"), 2, "error", "secret"),
        (code("key = 'AKIAIOSFODNN7ABCDEFG'"), 1, "error", "secret"),
        (markdown("-----BEGIN RSA PRIVATE KEY-----"), 1, "error", "secret"),
        (code("%env DB_SECRET=hunter2"), 1, "error", "secret"),
        (code("%%bash\nexport TOKEN=hunter2"), 2, "error", "secret"),
    ],
)
def test_each_rule_finds_its_fault(
    tmp_path: Path, cell: dict[str, Any], line: int | None, level: str, rule: str
) -> None:
    assert found(tmp_path, code("1"), cell) == [(2, line, level, rule)]


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\n!ls -l",
        "%%bash\nif then",
        "x = !ls\nfiles, n = !ls",
        "if True:\n    !ls \\\n      -l\n    y = 1",
        "len?",
        "x = ('%s'\n     % 5)",
        "    indented = 1\n    also = 2",
        "x = '''\n%s\n!not a command\n''' % 5",
        "x = 5 \\\n%3",
        "if x:\n    %time f(x)\nelse:\n    ?x",
        ">>> 1 + 1",
        "rows = %sql select * from t where x = 'a'",
        "await thing()",
        "password = getpass()",
        "token = ''",
        "password = '<password>'",
        "token = '{token}'",
        "print('token = no')",
        "tokens = 5",
    ],
)
def test_valid_source_has_no_findings(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, code(source)) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("    a = 1\n    if:\n", 2),
        ("!ls \\\n  -l \\\n  /\nif:", 4),
        ("%time x\nx = '''\n%s", 2),
    ],
)
def test_syntax_error_beside_magic_is_found_with_its_line(
    tmp_path: Path, source: str, line: int
) -> None:
    assert found(tmp_path, code(source)) == [(1, line, "error", "syntax")]


def test_saved_outputs_are_one_finding(tmp_path: Path) -> None:
    cells = [code(str(n), outputs=[{"output_type": "stream"}]) for n in range(3)]
    path = write(tmp_path, notebook(*cells, metadata=PYTHON))
    (finding,) = findings(path, {}, unattended=False)
    assert str(finding).endswith(
        ": warning: 3 cells were saved with outputs, which may contain secrets: clear them [output]"
    )


@pytest.mark.parametrize("tag", ["vcp:parameters", "ploomber.setup", "x/confirm", "hide-input"])
def test_tag_of_another_tool_is_no_typo(tmp_path: Path, tag: str) -> None:
    assert found(tmp_path, code("1", tags=[tag])) == []


def test_other_languages_are_not_parsed_as_python(tmp_path: Path) -> None:
    bash = {"language_info": {"name": "bash"}, "kernelspec": {"name": "bash", "display_name": ""}}
    path = write(tmp_path, notebook(code("if true; then ls; fi"), metadata=bash))
    assert findings(path, {}, unattended=True) == []


def test_input_calls_found_only_if_unattended(tmp_path: Path) -> None:
    cells = [
        code("a = 1\nb = input('? ')  # ask"),
        code("raw_input_of(x)  # input()"),
        code("import getpass\ngetpass.getpass()"),
        code("1", tags=["confirm"]),
    ]
    assert found(tmp_path, *cells) == []
    assert found(tmp_path, *cells, unattended=True) == [
        (1, 2, "error", "unattended"),
        (3, 2, "error", "unattended"),
        (4, None, "warning", "unattended"),
    ]


def test_unused_parameter_found(tmp_path: Path) -> None:
    schema = {"properties": {"host": {"type": "string"}, "used": {}}}
    cells = [code("days = 7\ndb = ''", tags=["parameters"]), code("f'{db} {used}'")]
    told = found(tmp_path, *cells, parameters=schema)
    assert told == [(None, None, "warning", "unused-parameter")] * 2


def test_execution_counts_out_of_order_found(tmp_path: Path) -> None:
    in_order = [code("1", execution_count=1), code("2"), code("3", execution_count=4)]
    assert found(tmp_path, *in_order) == []
    other = [code("1", execution_count=4), code("2", execution_count=2)]
    assert found(tmp_path, *other) == [(None, None, "warning", "execution-count")]


def test_rules_apply_to_notebook_defaults(tmp_path: Path) -> None:
    told = found(tmp_path, code("1"), defaults={"impact": "destructive"})
    assert told == [(1, None, "warning", "destructive")]
    assert found(tmp_path, code("1"), defaults={"retry": 1})[0][2:] == ("error", "contract")
    assert found(tmp_path, code("1"), default={})[0][2:] == ("error", "contract")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"{}", "not a notebook"),
        (b'{"nbformat": 4, "cells": []}', "nothing to run"),
    ],
)
def test_file_that_is_not_a_runbook_is_one_finding(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = write(tmp_path, content)
    (finding,) = findings(path, {}, unattended=False)
    assert (finding.level, finding.rule) == ("error", "notebook")
    assert said in str(finding)
    assert str(finding).count(str(path)) == 1


def test_finding_is_printed_as_a_linter_does(tmp_path: Path) -> None:
    path = write(tmp_path, notebook(code("1"), code("a\nif:"), metadata=PYTHON))
    (finding,) = findings(path, {}, unattended=False)
    assert (
        str(finding) == f"{path}, cell 2, line 2: error: not valid Python: invalid syntax [syntax]"
    )


def test_kernelspec_language_decides_without_language_info(tmp_path: Path) -> None:
    spec = {"name": "conda-env-py", "display_name": "", "language": "python"}
    path = write(tmp_path, notebook(code("if:"), metadata={"kernelspec": spec}))
    assert [each.rule for each in findings(path, {}, unattended=False)] == ["syntax"]
