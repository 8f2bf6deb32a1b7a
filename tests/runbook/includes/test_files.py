"""Which files a runbook can include."""

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

from nbrun.runbook.includes.files import MAX_DEPTH, MAX_INCLUDES
from tests.support.build_notebooks import code, markdown, notebook, write
from tests.support.includes import include, planned, refusal


def inner(folder: Path, name: str = "inner.ipynb") -> Path:
    folder.mkdir(exist_ok=True)
    return write(folder, notebook(code("1", id="a")), name)


def pinned(path: str, of: Path) -> dict[str, Any]:
    digest = hashlib.sha256(of.read_bytes()).hexdigest()
    return markdown("", id="inc", metadata={"nbrun": {"include": f"{path}@sha256:{digest}"}})


def test_changed_file_is_refused_with_both_hashes_and_the_command(tmp_path: Path) -> None:
    book = inner(tmp_path)
    path = write(tmp_path, notebook(include(book)))
    old = hashlib.sha256(book.read_bytes()).hexdigest()
    book.write_bytes(book.read_bytes() + b"\n")
    message = refusal(path)
    new = hashlib.sha256(book.read_bytes()).hexdigest()
    assert message == (
        f"includes {book} with SHA-256 {old}, but that file has {new}. Read what changed, then "
        f"write the new hash: sha256sum {book}"
    )


def test_path_is_followed_as_written(tmp_path: Path) -> None:
    book = inner(tmp_path / "a b")
    (tmp_path / "sub").mkdir()
    path = write(tmp_path / "sub", notebook(pinned("../a b/./inner.ipynb", book)))
    assert planned(path).includes[0].path == "../a b/inner.ipynb"
    link = tmp_path / "link.ipynb"
    link.symlink_to(path)  # includes are found from the file itself
    assert planned(link).includes[0].path == "../a b/inner.ipynb"


def test_symbolic_links_on_the_way_are_refused(tmp_path: Path) -> None:
    book = inner(tmp_path / "elsewhere")
    (tmp_path / "link.ipynb").symlink_to(book)
    (tmp_path / "folder").symlink_to(book.parent)
    for name in ("link.ipynb", "folder/inner.ipynb"):
        told = refusal(write(tmp_path, notebook(pinned(name, book))))
        assert f"{name.split('/')[0]} is a symbolic link: name the file itself" in told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing.ipynb", "No such file"),
        ("/{folder}/inner.ipynb", "write a path from the folder of this runbook"),
        ("pipe", "it is not a regular file"),
        (".", "directory"),
        ("..", "directory"),
        ("inner.ipynb/x", "Not a directory"),
    ],
)
def test_path_that_leads_to_no_file_is_refused(tmp_path: Path, name: str, told: str) -> None:
    book = inner(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    message = refusal(write(tmp_path, notebook(pinned(name.format(folder=tmp_path), book))))
    assert re.match(rf"includes .*: .*{told}", message, re.IGNORECASE), message


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (markdown("", metadata={"nbrun": {"include": "a.ipynb"}}), 'must be "PATH@sha256:HASH"'),
        (markdown("", metadata={"nbrun": {"include": 7}}), 'must be "PATH@sha256:HASH"'),
        (code("x", metadata={"nbrun": {"include": "a"}}), "is for Markdown cells: make this"),
        (markdown("", tags=["manual"], metadata={"nbrun": {"include": "a"}}), "the tag manual"),
        (
            markdown("", metadata={"nbrun": {"include": "a", "timeout": 1}}),
            "metadata.nbrun.timeout is not known (known: include, parameters)",
        ),
        (
            markdown("", metadata={"nbrun": {"include": "a", "parameters": []}}),
            "metadata.nbrun.parameters must be an object",
        ),
    ],
)
def test_wrong_include_cell_is_refused(tmp_path: Path, cell: dict[str, Any], told: str) -> None:
    assert told in refusal(write(tmp_path, notebook(code("1", id="a"), cell | {"id": "inc"})))


def test_file_that_is_no_runbook_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.ipynb"
    text.write_text("notes")
    with pytest.raises(Exception, match=r"notes\.ipynb, line 1, column 1: not JSON"):
        planned(write(tmp_path, notebook(include(text))))


def test_circle_is_refused(tmp_path: Path) -> None:
    """The hashes alone rule it out, but the error should say what is wrong."""
    path = tmp_path / "runbook.ipynb"
    path.write_text("{}")
    middle = write(tmp_path, notebook(include(path)), "middle.ipynb")
    write(tmp_path, notebook(include(middle)))
    assert f"includes {path}, which includes this runbook" in refusal(path)


def test_depth_and_number_of_includes_are_limited(tmp_path: Path) -> None:
    """Each level that includes the one below twice doubles the steps."""
    path = inner(tmp_path, "0.ipynb")
    for level in range(1, MAX_DEPTH + 2):
        cells = [include(path, id=f"i{n}") for n in range(3)]
        path = write(tmp_path, notebook(*cells), f"{level}.ipynb")
    told = refusal(path)
    assert f"on more than {MAX_DEPTH} levels: include this one further up" in told
    assert told.endswith(" more")
    assert len(told) < 5000
    flat = [include(tmp_path / "0.ipynb", id=f"i{n}") for n in range(MAX_INCLUDES + 1)]
    assert f"more than {MAX_INCLUDES} includes" in refusal(write(tmp_path, notebook(*flat)))
