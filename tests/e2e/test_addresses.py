"""A runbook at an address: checked, planned, run, and followed as it is later."""

import json
from hashlib import sha256

import pytest

from nbrun.core import events as ev
from tests.e2e.test_detach import REASON, WAITING_CELL, effects, release_step
from tests.support.build_notebooks import code, notebook
from tests.support.file_server import serving
from tests.support.terminal import Desk


def content(*cells: object) -> bytes:
    return json.dumps(notebook(*cells)).encode()  # type: ignore[arg-type]


@pytest.mark.sweep
def test_runbook_at_an_address_is_run_recorded_and_followed_later(desk: Desk) -> None:
    work = code(WAITING_CELL, id="work")
    with serving() as server:
        old = server.files["/restore.ipynb"] = content(work, code("print('old end')", id="last"))
        address = f"{server.url}/restore.ipynb"
        named = f"{address}?signature=hunter2"
        (desk.folder / "nbrun.toml").write_text("[defaults]\ntimeout = 77\n")
        assert desk.command("plan", named, "--json").returncode == 0
        found = desk.command("check", f"{server.url}/none.ipynb")
        assert (found.returncode, found.stdout) == (2, "")
        assert "answered 404" in found.stderr
        terminal = desk.open("start", named)
        terminal.until("at work")
        desk.kill_supervisor()
        assert terminal.wait() == 6
        started = desk.events(ev.RunStarted)[0]
        assert (started.runbook, started.git_commit) == (address, None)
        assert started.runbook_sha256 == sha256(old).hexdigest()
        assert started.cwd == str(desk.folder)
        assert started.steps[0].contract.timeout == 77  # the working folder's settings
        server.files["/restore.ipynb"] = content(work, code("print('new end')", id="last"))
        terminal = desk.open("resume", "--use-new-runbook", "--reason", "mended")
        terminal.until("+print('new end')")
        release_step(desk)
        terminal.until("the kernel says: it ran to its end, without an error")
        terminal.answer("did step 1 happen?", "happened")
        terminal.answer(REASON, "")
        terminal.until("completed, off script")
        assert terminal.wait() == 3
    assert effects(desk) == ["work"]
    assert desk.printed("last") == "new end\n"
    assert b"hunter2" not in (desk.run / "journal.jsonl").read_bytes()
    assert desk.command("review", named).returncode == 0
    log = desk.command("log")
    assert address in log.stdout
