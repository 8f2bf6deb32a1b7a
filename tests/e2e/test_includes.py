"""A runbook that includes another twice, run by the real command."""

from pathlib import Path

import pytest

from nbrun.core import events as ev
from nbrun.journal.reader import JournalReader
from tests.support.build_notebooks import code, markdown, notebook, write
from tests.support.includes import include
from tests.support.terminal import Desk

REASON = "reason (Enter for none, Ctrl-C to go back):"
SECRET = "hunter2-hunter2"


def drain(folder: Path) -> Path:
    folder.mkdir()
    schema = {"properties": {"token": {"type": "string", "writeOnly": True}}}
    cells = [
        markdown("# Drain a host", id="top"),
        code("host = 'none'\ntoken = ''", id="p", tags=["parameters"]),
        code("print('draining', host, len(token))", id="stop"),
        code("assert host != 'db2' or retried, f'{host} is busy'", id="wait"),
    ]
    nb = notebook(*cells)
    nb["metadata"] = nb["metadata"] | {"nbrun": {"parameters": schema}}
    return write(folder, nb, "drain.ipynb")


@pytest.mark.sweep
def test_step_of_another_include_runs_with_its_own_values(desk: Desk) -> None:
    """The operator goes back to the first host while the kernel has the second one's values."""
    common = drain(desk.folder / "common")
    schema = {"properties": {"key": {"type": "string", "writeOnly": True}}, "required": ["key"]}
    desk.book(
        code("import os; retried = os.path.exists('free')", id="a", tags=["setup"]),
        include(common, desk.folder, id="one", host="db1", token="{key}"),
        include(common, desk.folder, id="two", host="db2", token="{key}"),
        code("print('all' + ' drained')", id="z"),
        metadata={"kernelspec": {"name": "python3"}, "nbrun": {"parameters": schema}},
    )
    desk.variables["NBRUN_PARAM_KEY"] = SECRET
    terminal = desk.start(rows=90, columns=160)
    terminal.until("STOPPED at step 10")
    for line in ("run 5", "i retried = True", "r"):
        terminal.answer("step 10>", line)
        if line.startswith("i "):
            terminal.answer("run this? [y/N]", "y")
        terminal.answer(REASON, "")
    terminal.until("all drained")
    assert terminal.wait() == 3
    screen = terminal.words()
    assert "attempt 2 · again, since another included runbook has run" in screen
    again = screen.partition("(common/drain.ipynb) · attempt 2 ")[2]
    assert again.index("draining db1 15") > 0
    attempts = [each for each in desk.attempts() if each[0].startswith(("one", "two"))]
    assert attempts[8:] == [
        ("one-p", 2, "ok"),
        ("one-injected-parameters", 2, "ok"),
        ("one-stop", 2, "ok"),
        ("two-p", 2, "ok"),
        ("two-injected-parameters", 2, "ok"),
        ("two-wait", 2, "ok"),
    ]
    journal = desk.run / "journal.jsonl"
    assert SECRET not in journal.read_text()
    started = next(iter(JournalReader(journal))).event
    assert isinstance(started, ev.RunStarted)
    assert [each.parameters for each in started.includes] == [
        {"host": "db1", "token": "[secret:key]"},
        {"host": "db2", "token": "[secret:key]"},
    ]
    assert desk.command("verify", "last").returncode == 0
    assert "common/drain.ipynb" in desk.command("review", "runbook.ipynb").stdout
    ids = [cell.metadata.nbrun.step for cell in desk.code_cells()]
    assert "one-stop" in ids
