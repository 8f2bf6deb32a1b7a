"""The steps of an included runbook in the plan of the one that includes it."""

from hashlib import sha256
from pathlib import Path

import pytest

from nbrun.core.model import IncludedRunbook, Inclusion
from nbrun.runbook import loader
from nbrun.runbook.includes import planning
from nbrun.runbook.loader import Runbook
from nbrun.runbook.parameters.declarations import declarations_of
from nbrun.runbook.parameters.resolve import resolve
from nbrun.runbook.parameters.types import raw_text
from tests.support.build_notebooks import PYTHON, code, markdown, notebook, write
from tests.support.includes import include, planned


@pytest.fixture
def drain(tmp_path: Path) -> Path:
    """Return a runbook with a parameter, a question, a check, and text at both ends."""
    (tmp_path / "common").mkdir()
    cells = [
        markdown("# Drain", id="top"),
        code('host = "none"', id="p", tags=["parameters"]),
        code("stop(host)", id="stop", metadata={"nbrun": {"confirm": "Drain {host}?"}}),
        code("is_drained(host)", id="c", tags=["check"]),
        markdown("Drained.", id="end"),
    ]
    return write(tmp_path / "common", notebook(*cells), "drain.ipynb")


def ids(book: Runbook) -> list[str]:
    return [step.id for step in book.steps]


def test_included_steps_stand_in_place_of_the_cell(tmp_path: Path, drain: Path) -> None:
    cells = [
        code("first()", id="a"),
        markdown("Before", id="m"),
        include(drain, tmp_path, source="## First drain it", host="db1"),
        code("last()", id="z"),
    ]
    book = planned(write(tmp_path, notebook(*cells)))
    assert ids(book) == ["a", "inc-p", "inc-injected-parameters", "inc-stop", "z"]
    assert [step.number for step in book.steps] == [1, 2, 3, 4, 5]
    assert [cell.id for cell in book.steps[1].narration] == ["m", "inc", "inc-top"]
    assert [cell.source for cell in book.steps[4].narration] == ["Drained."]
    stop = book.steps[3]
    assert stop.title == "stop(host) (common/drain.ipynb)"
    assert stop.contract.confirm == "Drain db1?"
    assert stop.check is not None
    assert (stop.check.id, stop.check.source) == ("inc-c", "is_drained(host)")
    assert stop.included == Inclusion(cell="inc", path="common/drain.ipynb")
    assert book.steps[0].included is book.steps[4].included is None
    assert 'host = "db1"' in book.steps[2].source
    assert book.includes == (
        IncludedRunbook(
            cell="inc",
            path="common/drain.ipynb",
            sha256=loader.read(drain).sha256,
            parameters={"host": "db1"},
            names=("host",),
        ),
    )


def test_included_twice_has_other_ids_and_values(tmp_path: Path, drain: Path) -> None:
    cells = [
        code('db = "db1"', id="p", tags=["parameters"]),
        include(drain, tmp_path, id="one", host="{db}"),
        include(drain, tmp_path, id="two", host="replica-of-{db}"),
    ]
    path = write(tmp_path, notebook(*cells))
    book = planned(path, {"db": raw_text("db7", "-p")})
    questions = [step.contract.confirm for step in book.steps if step.contract.confirm]
    assert questions == ["Drain db7?", "Drain replica-of-db7?"]
    assert [each.cell for each in book.includes] == ["one", "two"]
    assert len(set(ids(book))) == len(book.steps)
    assert [cell.source for cell in book.epilogue] == ["Drained."]


def test_nested_paths_start_at_the_including_file(tmp_path: Path, drain: Path) -> None:
    (tmp_path / "team").mkdir()
    cells = [code("x = 1", id="a"), include(drain, tmp_path / "team", id="d")]
    middle = write(tmp_path / "team", notebook(*cells))
    outer = write(tmp_path, notebook(include(middle, tmp_path)), "outer.ipynb")
    book = planned(outer)
    assert ids(book) == ["inc-a", "inc-d-p", "inc-d-stop"]
    assert [(each.cell, each.path) for each in book.includes] == [
        ("inc", "team/runbook.ipynb"),
        ("inc-d", "common/drain.ipynb"),
    ]
    assert book.steps[2].included == Inclusion(cell="inc-d", path="common/drain.ipynb")
    assert book.steps[2].title == "stop(host) (common/drain.ipynb)"
    assert book.steps[0].title == "x = 1 (team/runbook.ipynb)"


def test_ids_stay_valid_unique_and_the_same(tmp_path: Path) -> None:
    long = "x" * 61
    inner = write(tmp_path, notebook(code("1", id=long), code("2", id="b")), "inner.ipynb")
    for before in ([], [code("new", id="new")]):
        cells = [*before, include(inner, id="inc"), code("3", id="inc-b")]
        found = ids(planned(write(tmp_path, notebook(*cells))))[len(before) :]
        digests = [
            sha256(inner_id).hexdigest() for inner_id in (f"inc\n{long}".encode(), b"inc\nb")
        ]
        assert found == [*(f"inc-{digest[:16]}" for digest in digests), "inc-b"]


def test_check_of_the_outer_runbook_may_belong_to_an_included_step(
    tmp_path: Path, drain: Path
) -> None:
    inner = write(tmp_path, notebook(code("1", id="a"), code("2", id="b")), "inner.ipynb")
    named = code("True", id="named", tags=["check"], metadata={"nbrun": {"step": "inc-a"}})
    cells = [include(inner), code("True", id="after", tags=["check"]), named]
    book = planned(write(tmp_path, notebook(*cells)))
    assert [step.check and step.check.id for step in book.steps] == ["named", "after"]


def test_defaults_of_a_notebook_are_for_its_own_steps(tmp_path: Path) -> None:
    inner = write(
        tmp_path,
        notebook(code("1", id="a"), metadata=PYTHON | {"nbrun": {"defaults": {"timeout": 5}}}),
        "inner.ipynb",
    )
    outer = notebook(
        include(inner),
        code("2", id="b"),
        metadata=PYTHON | {"nbrun": {"defaults": {"retries": 2}}},
    )
    book = planned(write(tmp_path, outer), defaults={"timeout": 9, "impact": "changes"})
    contracts = [(each.contract.timeout, each.contract.retries) for each in book.steps]
    assert contracts == [(5, 0), (9, 2)]
    assert {each.contract.impact for each in book.steps} == {"changes"}


def test_notices_of_included_runbooks_name_the_file(tmp_path: Path) -> None:
    inner = write(tmp_path, notebook(code("1")), "inner.ipynb")
    source = loader.read(write(tmp_path, notebook(include(inner))))
    bound = planning.bind(source, resolve(declarations_of(source.node, "python"), {}))
    assert planning.notices(bound) == (
        "inner.ipynb: 1 cell had no id: given ids from their position and source",
    )


def test_contract_fault_of_an_included_step_names_its_file(tmp_path: Path, drain: Path) -> None:
    bad = write(tmp_path, notebook(code("1", id="a", metadata={"nbrun": {"x": 1}})), "bad.ipynb")
    with pytest.raises(loader.RunbookError, match=r"bad\.ipynb, cell 1: metadata\.nbrun\.x is not"):
        planned(write(tmp_path, notebook(include(bad))))


def test_text_runbooks_include_and_are_included(tmp_path: Path) -> None:
    inner = tmp_path / "inner.py"
    inner.write_text("# %% tags=[\"parameters\"]\nhost = ''\n\n# %%\nstop(host)\n")
    digest = sha256(inner.read_bytes()).hexdigest()
    outer = tmp_path / "outer.py"
    own = f'{{"include": "inner.py@sha256:{digest}", "parameters": {{"host": "db1"}}}}'
    outer.write_text(f"# %% [markdown] nbrun={own}\n# Drain it\n\n# %%\nlast()\n")
    book = planned(outer)
    assert [step.source for step in book.steps][-2:] == ["stop(host)", "last()"]
    assert [cell.source for cell in book.steps[0].narration] == ["Drain it"]
    inner.write_text("# %%\nother()\n")
    with pytest.raises(
        loader.RunbookError, match=r"outer\.py, line \d+: includes .*inner\.py with"
    ):
        planned(outer)
