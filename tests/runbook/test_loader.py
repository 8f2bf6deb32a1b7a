"""Loading notebooks: which are refused, what is corrected, and how steps are planned."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbrun.errors import RunbookError
from nbrun.runbook.loader import plan, read
from nbrun.runbook.notebook import kernel_name, language
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, raw, write

REUSED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def sheet(*cells: dict[str, Any]) -> dict[str, Any]:
    """An nbformat 3 notebook."""
    worksheets = [{"metadata": {}, "cells": list(cells)}]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": worksheets}


def code_3(source: Any, **keys: Any) -> dict[str, Any]:
    """An nbformat 3 code cell with an output."""
    output = {"output_type": "pyout", "prompt_number": 1, "text": ["2"], "metadata": {}}
    cell = {"cell_type": "code", "input": source, "language": "python", "collapsed": False}
    return cell | {"metadata": {}, "outputs": [output], "prompt_number": 1} | keys


def steps_of(folder: Path, *cells: dict[str, Any]) -> Any:
    return plan(read(write(folder, notebook(*cells)))).steps


def refusal(folder: Path, nb: Any) -> str:
    """Return the message, without the path, with which reading `nb` fails."""
    path = write(folder, nb)
    with pytest.raises(RunbookError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message[len(str(path)) :]


def test_notebook_has_absolute_path_and_digest_of_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, notebook(code("x = 1", id="a")))
    monkeypatch.chdir(tmp_path)
    nb = read(Path(path.name))
    assert nb.path == path
    assert nb.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert nb.notices == ()
    assert [cell["id"] for cell in nb.node["cells"]] == ["a"]


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stdout", "text": "x"},
        {"output_type": "nonsense"},
        {"value": float("nan")},
        "\ud800",
        7,
    ],
)
def test_saved_outputs_are_dropped_whatever_they_are(tmp_path: Path, output: Any) -> None:
    nb = read(write(tmp_path, notebook(code(outputs=[output], execution_count="many"))))
    assert nb.node["cells"][0]["outputs"] == []
    assert nb.node["cells"][0]["execution_count"] is None


def test_outputs_that_are_not_a_list_are_dropped(tmp_path: Path) -> None:
    assert read(write(tmp_path, notebook(code(outputs=None)))).node["cells"][0]["outputs"] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'\xef\xbb\xbf{"nbformat": 4}', "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a":\n "b', "line 2, column 2: not JSON, or incomplete"),
        (b"import os", "line 1, column 1: not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "can't be read"),
        (b"[]", "not a notebook"),
        (b'"text"', "not a notebook"),
        (b'{"cells": []}', "no nbformat"),
    ],
)
def test_file_that_is_not_a_notebook_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nbformat": 5}, "nbformat 5 is not supported"),
        ({"nbformat": 2}, "nbformat 2 is too old"),
        ({"nbformat": 1}, "nbformat 1 is too old"),
        ({"nbformat": "4"}, "nbformat is '4', which is not a version"),
        ({"nbformat": True}, "nbformat is True, which is not a version"),
        ({"nbformat": -1}, "nbformat is -1, which is not a version"),
        ({"nbformat": 3}, "worksheets"),
        ({"nbformat": 3, "worksheets": [{"cells": 1}]}, "cells must be a list"),
        ({"cells": {}}, "cells must be a list"),
        ({"cells": None}, "cells must be a list"),
        ({"metadata": []}, "metadata must be an object"),
        ({"metadata": {"nbrun": "x"}}, "metadata.nbrun must be an object"),
        ({"metadata": {"nbrun": {"run": "20250101"}}}, "this is the record of a run"),
        ({"metadata": {"x": float("nan")}}, "the number nan"),
        ({"metadata": {"x": float("-inf")}}, "the number -inf"),
        ({"metadata": {"x": 2**63}}, "more than 64 bits"),
        ({"metadata": {"x": ["\ud800"]}}, "surrogate"),
        ({"metadata": {"\udfff": 1}}, "surrogate"),
    ],
)
def test_invalid_notebook_refused(tmp_path: Path, changes: Any, message: str) -> None:
    assert message in refusal(tmp_path, notebook(code(), **changes))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (3, "must be an object, not 3"),
        ({"cell_type": "code"}, "its source must be text, not None"),
        (code(7), "its source must be text, not 7"),
        (code(["a", 7]), "its source must be text"),
        (code("\ud83d"), "surrogate"),
        (code(cell_type="heading"), "unknown cell type 'heading'"),
        (code(cell_type=["code"]), "unknown cell type ['code']"),
        (code(tags="parameters"), "its tags must be a list of strings, not 'parameters'"),
        (code(tags=["a", 1]), "its tags must be a list of strings"),
        (code(tags=["a,b"]), "metadata.tags"),
        (code(metadata={"nbrun": []}), "metadata.nbrun must be an object, not []"),
        (code() | {"metadata": 1}, "its metadata must be an object, not 1"),
    ],
)
def test_invalid_cell_refused_by_its_number(tmp_path: Path, cell: Any, expected: str) -> None:
    message = refusal(tmp_path, notebook(code(), cell))
    assert message.startswith(", cell 2: ")
    assert expected in message


UNKNOWN = "keys that nbformat does not know"
INVALID = "metadata or attachments that are not valid"


@pytest.mark.parametrize(
    ("cells", "notice"),
    [
        ([markdown("x", outputs=[], execution_count=0)], f"{UNKNOWN} (outputs, execution_count)"),
        ([markdown("x", outputs=[])] * 3, f"{UNKNOWN} (outputs × 3)"),
        ([code(surplus=1), raw("x", surplus=1, y=2)], f"{UNKNOWN} (surplus × 2, y)"),
        ([code(attachments={})], f"{UNKNOWN} (attachments)"),
        ([code(**{"a\x1b b": 1})], f"{UNKNOWN} ('a\\x1b b')"),
        ([markdown("x", attachments=5)], f"{INVALID} (attachments)"),
        ([markdown("x", attachments={"a": {"image/png": 5}})], f"{INVALID} (attachments)"),
        ([code(metadata={"name": 5, "collapsed": "no"})], f"{INVALID} (collapsed, name)"),
        ([code(metadata={"jupyter": None, "kept": 5})], f"{INVALID} (jupyter)"),
        ([code(tags=["a", "", "a"])], "empty or repeated tags ('', a)"),
    ],
)
def test_fault_of_cell_that_concerns_no_run_is_ignored_with_notice(
    tmp_path: Path, cells: Any, notice: str
) -> None:
    path = write(tmp_path, notebook(code(id="a"), *cells))
    nb = read(path)
    assert nb.ignored == (f"cells have {notice}: ignored",)
    assert set(nb.ignored) <= set(nb.notices)
    nbformat.validate(nb.node)


@pytest.mark.parametrize(
    ("keys", "notice"),
    [
        ({"surplus": 1}, f"{UNKNOWN} (surplus)"),
        ({"metadata": {"kernelspec": {"name": 3}}}, f"{INVALID} (kernelspec)"),
        ({"metadata": {"kernelspec": {"display_name": "Python"}}}, f"{INVALID} (kernelspec)"),
        ({"metadata": {"language_info": {}, "title": 3}}, f"{INVALID} (language_info, title)"),
        ({"metadata": {"orig_nbformat": None}}, f"{INVALID} (orig_nbformat)"),
    ],
)
def test_fault_of_notebook_that_concerns_no_run_is_ignored_with_notice(
    tmp_path: Path, keys: Any, notice: str
) -> None:
    nb = read(write(tmp_path, notebook(code(id="a"), **keys)))
    assert nb.ignored == (f"the notebook has {notice}: ignored",)
    nbformat.validate(nb.node)


def test_valid_keys_stay_beside_ignored_ones(tmp_path: Path) -> None:
    cell = code("1", tags=["setup", "", "confirm"], metadata={"name": 5, "own": [1]}, surplus=1)
    metadata = {"kernelspec": {"name": "python3", "language": "python"}, "title": 3, "own": 1}
    nb = read(write(tmp_path, notebook(cell, metadata=metadata)))
    assert nb.node["cells"][0]["metadata"] == {"tags": ["setup", "confirm"], "own": [1]}
    spec = {"display_name": "python3", "name": "python3", "language": "python"}
    assert nb.metadata == {"kernelspec": spec, "own": 1}


def test_metadata_nested_too_deep_refused(tmp_path: Path) -> None:
    deep = b"[" * 400 + b"]" * 400
    content = json.dumps(notebook(code(metadata={"x": "DEEP"}))).encode()
    assert "nested more than" in refusal(tmp_path, content.replace(b'"DEEP"', deep))


@pytest.mark.parametrize("cells", [(), (markdown("# A"),), (code(""), code(" \n\t"))])
def test_notebook_without_source_refused(tmp_path: Path, cells: Any) -> None:
    assert "nothing to run" in refusal(tmp_path, notebook(*cells))


def test_missing_file_and_directory_have_their_own_messages(tmp_path: Path) -> None:
    with pytest.raises(RunbookError, match="is a directory"):
        read(tmp_path)
    with pytest.raises(RunbookError, match="no such file"):
        read(tmp_path / "none.ipynb")
    with pytest.raises(RunbookError, match="can't be read"):
        read(tmp_path / ("n" * 300))
    with pytest.raises(RunbookError, match="can't be read"):
        read(tmp_path / "a\0b")


def test_nbformat_3_upgraded_with_notice(tmp_path: Path) -> None:
    heading = {"cell_type": "heading", "level": 2, "source": ["Drain"], "metadata": {}}
    path = write(tmp_path, sheet(heading, code_3(["a = 1", "b = 2"]), code_3(["c\n", "d"])))
    nb = read(path)
    assert nb.notices[0] == "upgraded from nbformat 3"
    assert [cell["source"] for cell in nb.node["cells"]] == ["## Drain", "a = 1\nb = 2", "c\nd"]
    assert plan(nb).steps[0].title == "Drain"
    assert nb.node == read(path).node
    nbformat.validate(nb.node)


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "heading", "level": "x", "source": "A", "metadata": {}},
        code_3("x", metadata=3),
    ],
)
def test_invalid_nbformat_3_refused(tmp_path: Path, cell: Any) -> None:
    refusal(tmp_path, sheet(code_3("y"), cell))


@pytest.mark.parametrize("minor", [0, 1, 4])
def test_older_nbformat_4_upgraded_with_notice(tmp_path: Path, minor: int) -> None:
    nb = read(write(tmp_path, notebook(code(), nbformat_minor=minor)))
    assert nb.node["nbformat_minor"] == 5
    assert nb.notices[0] == f"upgraded from nbformat 4.{minor} to 4.5"


def test_source_lines_joined_unchanged(tmp_path: Path) -> None:
    assert steps_of(tmp_path, code(["a\n", "b", "c"]))[0].source == "a\nbc"


def test_missing_ids_are_the_same_at_every_load(tmp_path: Path) -> None:
    path = write(tmp_path, notebook(code("x"), code("x"), markdown("x")))
    first, second = read(path), read(path)
    ids = [cell["id"] for cell in first.node["cells"]]
    assert ids == [cell["id"] for cell in second.node["cells"]]
    assert len(set(ids)) == 3
    assert first.notices == ("3 cells had no id: given ids from their position and source",)


def test_first_cell_keeps_a_duplicate_id(tmp_path: Path) -> None:
    nb = read(write(tmp_path, notebook(code(), code("x", id="a"), code("y", id="a"))))
    ids = [cell["id"] for cell in nb.node["cells"]]
    assert ids[1] == "a"
    assert len(set(ids)) == 3
    assert [notice.split(":")[0] for notice in nb.notices] == [
        "1 cell had no id",
        "1 cell had the id of another",
    ]


@pytest.mark.parametrize("wrong", ["with space", "a" * 65, "a\n", "é", 7, None, ["a"], {}])
def test_invalid_id_is_replaced(tmp_path: Path, wrong: Any) -> None:
    nb = read(write(tmp_path, notebook(code() | {"id": wrong})))
    assert nb.node["cells"][0]["id"] != wrong
    assert nb.notices[0].startswith("1 cell had an id that is not valid")


def test_made_id_avoids_existing_id(tmp_path: Path) -> None:
    made = read(write(tmp_path, notebook(code("x")))).node["cells"][0]["id"]
    nb = read(write(tmp_path, notebook(code("x"), code("y", id=made))))
    assert [cell["id"] for cell in nb.node["cells"]][1] == made
    assert nb.node["cells"][0]["id"] != made


any_id = st.one_of(st.none(), st.integers(0, 9), st.text(max_size=3), st.sampled_from("abc"))


@pytest.mark.sweep
@REUSED_FOLDER
@given(st.lists(st.tuples(any_id, st.text("ab\n", max_size=4)), min_size=1))
def test_any_ids_become_valid_unique_and_stable(
    tmp_path: Path, cells: list[tuple[Any, str]]
) -> None:
    path = write(tmp_path, notebook(code("1"), *(code(s) | {"id": i} for i, s in cells)))
    nb = read(path)
    ids = [cell["id"] for cell in nb.node["cells"]]
    assert len(set(ids)) == len(ids)
    assert nb.node == read(path).node


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
keys = ["cell_type", "source", "metadata", "id", "outputs", "attachments", "input", "level"]


@REUSED_FOLDER
@given(
    st.sampled_from([3, 4]),
    st.sampled_from(keys),
    anything,
    st.just({}) | anything,
    st.just(4) | anything,
)
@example(4, "id", None, {}, 5.0)
def test_any_json_is_refused_or_read_as_valid_notebook(
    tmp_path: Path, version: int, key: str, value: Any, metadata: Any, minor: Any
) -> None:
    cell = (code() if version == 4 else code_3("x")) | {key: value}
    whole = notebook(code(), cell) if version == 4 else sheet(code_3("x"), cell)
    path = write(tmp_path, whole | {"metadata": metadata, "nbformat_minor": minor})
    try:
        nb = read(path)
    except RunbookError as error:
        assert "\n" not in str(error)
    else:
        nbformat.validate(nb.node)
        json.dumps(nb.node, allow_nan=False).encode()


def test_reading_prints_no_warnings_of_nbformat(tmp_path: Path) -> None:
    first = write(tmp_path, notebook(code(), code(id="a"), code(id="a")), "a.ipynb")
    second = write(tmp_path, sheet(code_3("x", surplus=1), code_3("y")), "b.ipynb")
    script = (
        "import sys, pathlib, traitlets.config.application as a; a.Application.instance()\n"
        "from nbrun.runbook.loader import read\n"
        "for name in sys.argv[1:]: print(len(read(pathlib.Path(name)).ignored))\n"
    )
    argv = [sys.executable, "-W", "always", "-c", script, str(first), str(second)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n1\n", "")


def test_large_notebook_needs_no_memory_for_nbformat_nodes(
    tmp_path: Path,
) -> None:
    cells = 3_000
    path = write(tmp_path, notebook(*(code("pass", id=f"c{n}") for n in range(cells))))
    read(path)  # nbformat makes its validator once
    tracemalloc.start()
    try:
        read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / cells < 1_200, "nbformat's nodes of a cell alone take as much"


def test_import_loads_no_nbformat() -> None:
    script = "import sys, nbrun.runbook.loader; sys.exit('nbformat' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_steps_are_code_cells_that_are_not_blank(tmp_path: Path) -> None:
    nb = notebook(code("a"), code(" \n"), markdown("m"), code("b"), raw("r"), markdown("end"))
    book = plan(read(write(tmp_path, nb)))
    assert [(s.number, s.source) for s in book.steps] == [(1, "a"), (2, "b")]
    assert [n.source for n in book.steps[1].narration] == ["m"]
    assert [(n.kind, n.source) for n in book.epilogue] == [("raw", "r"), ("markdown", "end")]


def test_narration_before_blank_cell_belongs_to_next_step(tmp_path: Path) -> None:
    steps = steps_of(tmp_path, markdown("one"), code(""), markdown("two"), code("a"))
    assert [n.source for n in steps[0].narration] == ["one", "two"]


@pytest.mark.parametrize(
    ("before", "title"),
    [
        ("# Drain", "Drain"),
        ("# One\ntext\n### Two ###\nmore", "Two"),
        ("## Drop `db` **now** in [prod](http://x) _please_", "Drop db now in prod please"),
        ("## keep snake_case and 2 * 3", "keep snake_case and 2 * 3"),
        ("# C# ", "C#"),
        ("# Kept\n```\n# not a heading\n```", "Kept"),
        ("#no heading", "first()"),
        ("# ", "first()"),
        ("text", "first()"),
    ],
)
def test_title_is_last_heading_of_narration(tmp_path: Path, before: str, title: str) -> None:
    assert steps_of(tmp_path, markdown(before), code("\n  first()\nsecond()"))[0].title == title


def test_heading_is_title_of_next_step_only(tmp_path: Path) -> None:
    steps = steps_of(tmp_path, markdown("# A"), code("x"), code("y"))
    assert [s.title for s in steps] == ["A", "y"]


def test_raw_cell_gives_no_title(tmp_path: Path) -> None:
    assert steps_of(tmp_path, raw("# A"), code("x"))[0].title == "x"


def test_title_in_metadata_takes_precedence_unless_blank(tmp_path: Path) -> None:
    titled = [code("x", metadata={"nbrun": {"title": t}}) for t in ("Own", " ")]
    assert [s.title for s in steps_of(tmp_path, markdown("# A"), *titled)] == ["Own", "x"]


def test_long_source_line_is_cut_for_title(tmp_path: Path) -> None:
    title = steps_of(tmp_path, code("x" * 200))[0].title
    assert title == "x" * 59 + "…"


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("import os\n# Restart the service\nrestart()", "Restart the service"),
        ("%matplotlib inline\nimport os\n\n  # Draw it\ndraw()", "Draw it"),
        ("%%bash\n# Free the disk\nrm -rf /tmp/x", "Free the disk"),
        ("# -*- coding: utf-8 -*-\n# pylint: disable=all\n# Load\nload()", "Load"),
        ("#@title Load the data\nload()", "Load the data"),
        ("# %% Load\nload()", "Load"),
        ("import os\nos.remove('x')", "os.remove('x')"),
        ("from x import (\n    a,\n    b,\n)\na()", "a()"),
        ("%%bash\nsystemctl restart db", "systemctl restart db"),
        ("#!/bin/sh\nls", "ls"),
        ("import os\nimport sys", "import os"),
        ("import time; time.sleep(1)", "import time; time.sleep(1)"),
        ("from_host = 'db1'\n# not this", "from_host = 'db1'"),
        ("!systemctl restart db\n# not this", "!systemctl restart db"),
        ("// Load\nlet x", "Load"),
        ("##", "##"),
        ("# from old to new\n# not this", "from old to new"),
        ("library(DBI)\n# Connect\ndbConnect()", "Connect"),
    ],
)
def test_import_or_magic_is_no_title_if_source_has_better_one(
    tmp_path: Path, source: str, title: str
) -> None:
    assert steps_of(tmp_path, code(source))[0].title == title


def test_import_takes_heading_of_earlier_step(tmp_path: Path) -> None:
    cells = markdown("## Load"), code("get()"), code("import os\nos.x()"), code("import y\n# So")
    assert [s.title for s in steps_of(tmp_path, *cells)] == ["Load", "Load, continued", "So"]


def test_hostile_heading_takes_no_time(tmp_path: Path) -> None:
    hostile = ["# " + " " * 50_000 + "x", "# " + "[" * 50_000, "# " + "`" * 50_000 + "x"]
    assert len(steps_of(tmp_path, markdown("\n".join(hostile)), code("x"))[0].title) <= 200


def test_step_metadata_lacks_tags_and_papermill_keys(tmp_path: Path) -> None:
    metadata = {"nbrun": {"timeout": 5}, "papermill": {"status": "completed"}, "scrolled": True}
    nb = notebook(
        markdown("m", tags=["mine"], metadata={"papermill": {}}),
        code("x", tags=["setup", "confirm"], metadata=metadata),
        metadata=PYTHON | {"papermill": {"version": "1"}, "authors": []},
    )
    book = plan(read(write(tmp_path, nb)))
    assert book.steps[0].tags == ("setup", "confirm")
    assert book.steps[0].metadata == {"nbrun": {"timeout": 5}, "scrolled": True}
    assert book.steps[0].narration[0].metadata == {"tags": ["mine"]}
    assert book.metadata == PYTHON | {"authors": []}
    assert type(book.steps[0].metadata["nbrun"]) is dict


def test_plan_keeps_attachments(tmp_path: Path) -> None:
    pictures = {"a.png": {"image/png": "AAAA"}}
    steps = steps_of(tmp_path, markdown("m", attachments=pictures), code("x"))
    assert steps[0].narration[0].attachments == pictures


def test_plan_uses_replaced_node(tmp_path: Path) -> None:
    nb = read(write(tmp_path, notebook(code("x", id="a"))))
    changed = nbformat.from_dict(notebook(code("y", id="b")))
    book = plan(dataclasses.replace(nb, node=changed))
    assert [s.id for s in book.steps] == ["b"]
    assert (book.path, book.sha256, book.notices) == (nb.path, nb.sha256, nb.notices)


def test_kernel_name_read_from_kernelspec(tmp_path: Path) -> None:
    nb = read(write(tmp_path, notebook(code())))
    assert kernel_name(nb.metadata) == "python3"
    bare = read(write(tmp_path, notebook(code(), metadata={})))
    assert kernel_name(bare.metadata) is None
    assert language(bare.metadata) is None


@pytest.mark.parametrize("spec", [3, {"name": 3, "language": []}, {"name": "", "language": ""}])
def test_kernel_name_and_language_of_a_wrong_type_are_ignored(spec: Any) -> None:
    metadata = {"kernelspec": spec, "language_info": spec}
    assert (kernel_name(metadata), language(metadata)) == (None, None)


def test_language_read_from_language_info_before_kernelspec(tmp_path: Path) -> None:
    spec = {"name": "ir", "display_name": "R", "language": "R"}
    of_spec = read(write(tmp_path, notebook(code(), metadata={"kernelspec": spec})))
    assert language(of_spec.metadata) == "R"
    both = {"kernelspec": spec, "language_info": {"name": "r4"}}
    assert language(read(write(tmp_path, notebook(code(), metadata=both))).metadata) == "r4"
