"""Hooks and chat services of real runs: who is told, that nothing waits, and no secret leaks."""

import json
import os
import shlex
import signal
from collections.abc import Iterator

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import PYTHON, code, markdown
from tests.support.chat_server import ChatServer
from tests.support.terminal import Desk, wait_until

TOKEN = "s3cret-t0ken"
SCHEMA = {"properties": {"password": {"type": "string", "writeOnly": True}}}


@pytest.fixture
def chat(desk: Desk) -> Iterator[ChatServer]:
    with ChatServer() as server:
        desk.variables["CHAT_URL"] = server.url(TOKEN)
        desk.variables["PGPASSWORD"] = "hunter2-hunter2"
        yield server


def hook(desk: Desk, script: str) -> str:
    """Return the words of a hook that keeps what it gets, and then runs `script`."""
    folder = shlex.quote(str(desk.folder))
    keep = f"cd {folder}; cat >>$NBRUN_ON.json; env >>hook.env"
    words = ["sh", "-c", f"{keep}; {script}"]
    return json.dumps(words)


def told(desk: Desk, on: str) -> list[dict[str, object]]:
    path = desk.folder / f"{on}.json"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.sweep
def test_failed_cron_job_is_told_before_its_command_ends(desk: Desk, chat: ChatServer) -> None:
    desk.book(
        code("password = ''", tags=["parameters"]),
        code("import os; print('chat is', os.environ['CHAT_URL'])", id="leak"),
        markdown("# Restore it"),
        code("raise ValueError('password is ' + password)", id="stop"),
        metadata={**PYTHON, "nbrun": {"parameters": SCHEMA}},
    )
    desk.configure(
        f"[hooks]\nstopped = {hook(desk, 'true')}\nfinished = {hook(desk, 'sleep 1; touch told')}\n"
        "[notify]\nurls = ['@env:CHAT_URL']"
    )
    ended = desk.unattended("-p", "password=@env:PGPASSWORD")
    assert ended.returncode == 4, ended.stderr
    (stopped,) = told(desk, "stopped")
    assert stopped["what"] == "step 4 of 4 · Restore it: this step failed"
    assert stopped["error"] == "ValueError: password is [secret:password]"
    assert stopped["answer"] == [f"nbrun log {desk.run}"]
    assert (desk.folder / "told").exists()
    (finished,) = told(desk, "finished")
    assert finished["outcome"] == "failed"
    assert finished["event"] == json.loads(
        (desk.run / "journal.jsonl").read_text().splitlines()[-1], object_hook=_event_alone
    )
    (message,) = chat.received
    assert message["title"].startswith("runbook.ipynb failed (")
    assert f"nbrun log {desk.run}" in message["message"]
    everything = [path.read_bytes() for path in desk.folder.glob("**/*") if path.is_file()]
    everything += [ended.stdout.encode(), json.dumps(chat.received).encode()]
    assert not [text for text in everything if TOKEN.encode() in text or b"hunter2" in text]
    assert "chat is [secret:notify.urls 1]" in ended.stdout


def _event_alone(line: dict[str, object]) -> dict[str, object]:
    chain = ("v", "seq", "at", "mono", "prev")
    return {key: value for key, value in line.items() if key not in chain}


@pytest.mark.sweep
def test_operator_is_not_held_up_and_one_stop_is_told_once(desk: Desk, chat: ChatServer) -> None:
    desk.book(code("1 / 0", id="stop"))
    desk.configure(
        f"[hooks]\nstopped = {hook(desk, 'echo no pager >&2; exit 3')}\nafter = '0s'\n"
        f"finished = {hook(desk, 'echo $$ >hook.pid; exec sleep 600')}\n"
        "[notify]\nurls = ['@env:CHAT_URL']\non = ['stopped']\nafter = '0s'"
    )
    terminal = desk.start()
    terminal.until("sh could not be told of the stop: exit 3: no pager")
    terminal.until("@env:CHAT_URL was told of the stop")
    terminal.prompted("step 1> ")
    desk.kill_supervisor()
    terminal.wait()
    terminal = desk.open("resume")
    terminal.prompted("step 1> ")
    wait_until(lambda: len(told(desk, "stopped")) == 2)  # again by the hook, which had failed
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer("reason (Enter for none, Ctrl-C to go back):", "")
    assert terminal.wait() == 5
    pid = desk.folder / "hook.pid"
    wait_until(lambda: pid.exists() and pid.read_text())
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it is still at work
    assert [message["title"].partition(" (")[0] for message in chat.received] == [
        "runbook.ipynb waits at step 1"
    ]
    assert [event.target for event in desk.events(ev.NotificationSent)] == ["@env:CHAT_URL"]
    wait_until(lambda: "sh could not be told (finished): exit -9" in log(desk))


def log(desk: Desk) -> str:
    return (desk.run / "supervisor.log").read_text()


def test_run_whose_journal_was_changed_is_told_with_the_way_on(
    desk: Desk, chat: ChatServer
) -> None:
    change = "import glob; open(glob.glob('runs/*/journal.jsonl')[0], 'a').write('x')"
    desk.book(code(change, id="cell"), code("never()", id="never"))
    desk.configure("[notify]\nurls = ['@env:CHAT_URL']")
    assert desk.unattended().returncode == 7
    wait_until(lambda: chat.received)
    (message,) = chat.received
    assert message["title"].startswith("runbook.ipynb waits at step ")
    assert "nbrun can't go on with this run" in message["message"]
    assert f"nbrun resume {desk.run}" in message["message"]


def test_missing_url_refuses_a_run_before_anything_runs(desk: Desk) -> None:
    desk.book(code("open('ran', 'w')"))
    desk.configure("[notify]\nurls = ['@env:NO_CHAT']")
    ended = desk.unattended()
    assert ended.returncode == 2
    assert "notify.urls: @env:NO_CHAT: no such environment variable" in ended.stderr
    assert not desk.all_runs()
    assert not (desk.folder / "ran").exists()
