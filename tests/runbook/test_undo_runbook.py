"""The runbook that undoes a run which has included others."""

from pathlib import Path

from nbrun.core import events as ev
from nbrun.core.events import Event
from nbrun.core.planner import NextAttempt
from nbrun.core.reducer import fold
from nbrun.runbook import loader
from nbrun.runbook.undo_runbook import compose
from tests.support.build_events import (
    attempt_finished,
    attempt_started,
    decided,
    kernel_started,
    resumed,
    run_started,
    stopped,
)
from tests.support.build_notebooks import PYTHON, code, notebook, write
from tests.support.includes import include, planned
from tests.support.run_states import next_action


def started_from(folder: Path) -> ev.RunStarted:
    """Return the start of a run that includes a runbook with an undo twice."""
    drain = [
        code("host = ''", id="p", tags=["parameters"]),
        code("link = connect(host)", id="c", tags=["setup"]),
        code("stop(link)", id="stop"),
        code(
            "start(link)",
            id="u",
            tags=["undo"],
            metadata={"nbrun": {"confirm": "Start {host} {{again}}?", "type": "{host}"}},
        ),
    ]
    nb = notebook(*drain, metadata=PYTHON | {"nbrun": {"defaults": {"timeout": 7}}})
    inner = write(folder, nb, "drain.ipynb")
    cells = [
        code("import x", id="s", tags=["setup"]),
        include(inner, id="one", host="db1"),
        include(inner, id="two", host="db2"),
    ]
    path = write(folder, notebook(*cells))
    book = planned(path)
    return run_started(
        book.steps, runbook=str(path), includes=book.includes, metadata=book.metadata
    )


def ran(started: ev.RunStarted) -> list[Event]:
    history: list[Event] = [started, kernel_started()]
    for step in started.steps:
        history += [attempt_started(step.id, source=step.source), attempt_finished(step.id)]
    return history


def test_undo_of_an_included_step_has_the_setup_of_its_own_runbook(tmp_path: Path) -> None:
    state = fold(ran(started_from(tmp_path)))
    book = loader.plan(loader.validate(compose(state)))
    link = ["host = ''", "link = connect(host)", "start(link)"]
    assert [each.source for each in book.steps if "Parameters" not in each.source] == [
        "import x",
        *(link[0], link[1], link[2]),
        *(link[0], link[1], link[2]),
    ]
    given = [each.source for each in book.steps if each.source.startswith("# Parameters")]
    assert given == ['# Parameters\nhost = "db2"\n', '# Parameters\nhost = "db1"\n']
    asked = [each.contract for each in book.steps if each.source == "start(link)"]
    assert [each.confirm for each in asked] == ["Start db2 {again}?", "Start db1 {again}?"]
    assert [each.typed for each in asked] == ["db2", "db1"]
    assert {each.timeout for each in asked} == {7.0}
    assert not any("parameters" in tag for each in book.steps for tag in each.tags)


def test_setup_that_failed_and_was_skipped_does_not_run_for_the_undos(tmp_path: Path) -> None:
    started = started_from(tmp_path)
    history = ran(started)
    for id_ in ("s", "one-c"):
        at = next(n for n, each in enumerate(history) if each == attempt_finished(id_))
        failed = attempt_finished(id_, outcome="error")
        history[at : at + 1] = [failed, stopped("step_failed", id_), decided("skip"), resumed()]
    book = loader.plan(loader.validate(compose(fold(history))))
    sources = [each.source for each in book.steps]
    assert "import x" not in sources
    assert sources.count("link = connect(host)") == 1


def test_undo_at_a_stop_has_the_setup_of_its_own_runbook(tmp_path: Path) -> None:
    started = started_from(tmp_path)
    history = ran(started)[:-2]
    last = started.steps[-1]
    history += [
        attempt_started(last.id, source=last.source),
        attempt_finished(last.id, outcome="error"),
        stopped("step_failed", last.id),
        decided("undo", "one-stop"),
        resumed(),
    ]
    for id_ in ("one-p", "one-injected-parameters", "one-c"):
        found = next_action(*history)
        assert isinstance(found, NextAttempt)
        assert (found.step, found.cause) == (id_, "setup")
        history += [attempt_started(id_, 2, source=found.source, cause="setup")]
        history += [attempt_finished(id_, 2)]
    assert next_action(*history) == NextAttempt("one-u", "start(link)", "undo")
