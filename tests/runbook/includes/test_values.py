"""How values flow from a runbook into one that it includes."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.runbook.parameters.types import RawValue, raw_text
from tests.support.build_notebooks import PYTHON, code, notebook, write
from tests.support.includes import include, planned, refusal

TYPED = """
host: str = "none"
count: int = 1
ratio: float = 0.5
names: list = []
"""
TOKEN = {"type": "string", "writeOnly": True}


def with_schema(*required: str, **properties: Any) -> dict[str, Any]:
    schema = {"properties": properties, "required": list(required)}
    return PYTHON | {"nbrun": {"parameters": schema}}


def inner(folder: Path, source: str = TYPED, **properties: Any) -> Path:
    cells = [code(source, id="p", tags=["parameters"]), code("act()", id="act")]
    required = [name for name in properties if not properties[name].get("default")]
    metadata = with_schema(*required, **properties)
    return write(folder, notebook(*cells, metadata=metadata), "inner.ipynb")


def outer(folder: Path, *cells: Any, source: str = "db = 'db1'", **properties: Any) -> Path:
    head = code(source, id="p", tags=["parameters"])
    return write(folder, notebook(head, *cells, metadata=with_schema(**properties)))


def assigned(path: Path, given: dict[str, RawValue] | None = None) -> list[str]:
    """Return the lines that the injected cell of the included runbook assigns."""
    book = planned(path, given)
    cells = [each for each in book.steps if each.id == "inc-injected-parameters"]
    return [line for each in cells for line in each.source.splitlines() if "=" in line]


def test_literals_keep_their_types(tmp_path: Path) -> None:
    book = inner(tmp_path)
    values = {"host": "a {{b}}", "count": 3, "ratio": 2, "names": ["x", {"y": None}]}
    path = outer(tmp_path, include(book, **values))
    assert assigned(path) == [
        'host = "a {b}"',
        "count = 3",
        "ratio = 2.0",
        'names = ["x", {"y": None}]',
    ]


def test_reference_passes_the_value_with_its_type(tmp_path: Path) -> None:
    book = inner(tmp_path)
    path = outer(
        tmp_path,
        include(book, count="{n}", host="{db}-{n}", names="{many}"),
        source="db = 'db1'\nn: int = 2\nmany: list = [1]",
    )
    assert assigned(path) == ['host = "db1-2"', "count = 2", "names = [1]"]
    assert assigned(path, {"n": raw_text("7", "-p")}) == [
        'host = "db1-7"',
        "count = 7",
        "names = [1]",
    ]


def test_secret_stays_a_secret(tmp_path: Path) -> None:
    book = inner(tmp_path, token=TOKEN)
    path = outer(tmp_path, include(book, token="{key}"), key=TOKEN)
    given = {"key": RawValue("hunter2hunter2", "hunter2hunter2", "env", secret=True)}
    plan = planned(path, given)
    assert plan.includes[0].parameters["token"] == "[secret:key]"
    assert "hunter2" not in str(plan.includes)
    assert assigned(path, given) == ['token = "hunter2hunter2"']


def test_value_that_is_not_known_yet_is_passed_as_its_description(tmp_path: Path) -> None:
    """In a plan no secret is read, and in a resumed run none is known."""
    book = inner(tmp_path, token={"type": "integer", "writeOnly": True})
    path = outer(tmp_path, include(book, token="{key}"), key=TOKEN)
    given = {"key": RawValue(None, None, "-p", secret=True, unread="from the command x, not run")}
    assert assigned(path, given) == ['token = "from the command x, not run"']


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"hots": "a"}, "declares no parameter 'hots' (declared: host, count, ratio, names)"),
        ({"count": "3"}, "parameter 'count' (of the include): '3': expected an int"),
        ({"count": "{db}"}, "parameter 'count' (of the include): 'db1': expected an int"),
        ({"count": True}, "expected an int"),
        ({"count": None}, "null where a int is expected"),
        ({"host": "{nope}"}, "host: this runbook has no parameter 'nope'"),
        ({"host": "{now}"}, "host: the value of now is not known before the run: give it with -p"),
        ({"host": "a{"}, "metadata.nbrun.parameters.host has a single brace: write {{ or }}"),
        ({"host": "a-{nope}"}, "metadata.nbrun.parameters.host contains {nope}, whose value is"),
        ({"host": "a-{key}"}, "metadata.nbrun.parameters.host contains the secret key"),
        ({"host": "{key}"}, "host: the value of key is not known before the run"),
    ],
)
def test_value_that_does_not_fit_is_refused(
    tmp_path: Path, values: dict[str, Any], told: str
) -> None:
    source = "import time\ndb = 'db1'\nnow = time.time()"
    path = outer(tmp_path, include(inner(tmp_path), **values), source=source, key=TOKEN)
    message = refusal(path)
    assert message.startswith("inner.ipynb: ")
    assert told in message


@pytest.mark.parametrize("value", ["hunter2hunter2", "{db}", "{db}{db}"])
def test_secret_parameter_takes_only_a_secret(tmp_path: Path, value: str) -> None:
    book = inner(tmp_path, token=TOKEN)
    message = refusal(outer(tmp_path, include(book, token=value)))
    assert "token is a secret: pass a secret parameter of this runbook, as {NAME}" in message
    assert "hunter2" not in message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    book = inner(tmp_path, must={"type": "string"})
    bad = include(book, id="b", count="x", hots=1)
    message = refusal(outer(tmp_path, include(book, id="a", host=1, must="x"), bad))
    for told in ("parameter 'host'", "'hots'", "parameter 'count'", "requires must"):
        assert told in message


def test_name_of_an_outer_parameter_must_be_passed_on(tmp_path: Path) -> None:
    """The cells of the included runbook assign it in the one kernel."""
    book = inner(tmp_path, "db = 'other'\nhost = ''")
    told = "db is a parameter of this runbook too, and their steps share one kernel: pass it on"
    assert told in refusal(outer(tmp_path, include(book)))
    assert told in refusal(outer(tmp_path, include(book, db="db2")))
    assert assigned(outer(tmp_path, include(book, db="{db}"))) == ['db = "db1"']
    middle = write(tmp_path, notebook(include(book)), "middle.ipynb")
    message = refusal(outer(tmp_path, include(middle)))
    assert "db is a parameter of a runbook that includes this one" in message


def test_runbook_of_another_language_is_refused(tmp_path: Path) -> None:
    r = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    book = write(tmp_path, notebook(code("1", id="a"), metadata=r), "inner.ipynb")
    told = refusal(write(tmp_path, notebook(include(book))))
    assert told == (
        "inner.ipynb is written in R and this runbook in python: their steps share one kernel"
    )
    bare = write(tmp_path, notebook(code("1", id="a"), metadata={}), "inner.ipynb")
    assert planned(write(tmp_path, notebook(include(bare)))).steps
