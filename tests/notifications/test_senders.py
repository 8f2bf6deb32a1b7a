"""Test the senders with real commands and a real HTTP server."""

import json
import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbrun.config.notifications import HookSetting, NotifySetting
from nbrun.errors import NotificationError
from nbrun.notifications.senders import HookSender, ServiceSender, environment
from nbrun.system import processes
from tests.notifications.messages import message
from tests.support.chat_server import ChatServer


def hook(script: str, timeout: float = 20.0, env: tuple[str, ...] = ()) -> HookSender:
    setting = HookSetting(
        "stopped", ("/bin/sh", "-c", script), timeout, 0.0, env, Path("nbrun.toml")
    )
    return HookSender(setting, lambda text: text.replace("hunter2", "[secret:password]"))


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_hook_gets_the_message_on_stdin_in_a_small_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "a secret")
    monkeypatch.setenv("PAGER_TOKEN", "t0ken")
    monkeypatch.setenv("LC_TIME", "hunter2 in a locale")
    out = shlex.quote(str(tmp_path))
    hook(f"cat >{out}/json; env >{out}/env; pwd >{out}/pwd", env=("PAGER_TOKEN",)).send(message())
    assert json.loads((tmp_path / "json").read_bytes())["run"] == message().run
    variables = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert variables["NBRUN_RUN"] == message().run
    assert variables["NBRUN_ON"] == "stopped"
    assert variables["PAGER_TOKEN"] == "t0ken"
    assert variables["PATH"] == os.environ["PATH"]
    assert not {"PGPASSWORD", "LC_TIME"} & variables.keys()
    assert (tmp_path / "pwd").read_text() == "/\n"


def test_environment_keeps_out_what_contains_a_secret() -> None:
    environ = {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@proxy", "TOKEN": "t", "LANG": "secret"}
    kept = environment(environ, ("TOKEN",), lambda text: text.replace("secret", "*"))
    assert kept == {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@proxy", "TOKEN": "t"}


def test_hook_that_fails_says_how() -> None:
    with pytest.raises(NotificationError, match="exit 3: no pager"):
        hook("echo no pager >&2; exit 3").send(message())


def test_hook_that_does_not_exist_says_so() -> None:
    setting = HookSetting("stopped", ("/no/such/pager",), 9.0, 0.0, (), Path("nbrun.toml"))
    with pytest.raises(NotificationError, match="can't be run: No such file"):
        HookSender(setting, str).send(message())


def test_hook_that_reads_nothing_and_floods_both_streams_succeeds() -> None:
    hook("exec <&-; head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2").send(message())


def test_hook_that_hangs_is_killed_with_everything_that_it_started(tmp_path: Path) -> None:
    pids = shlex.quote(str(tmp_path / "pids"))
    started = time.monotonic()
    with pytest.raises(NotificationError, match="did not end within 1 s"):
        hook(
            f"sh -c 'echo $$ >>{pids}; exec sleep 600' & "
            f"setsid sh -c 'echo $$ >>{pids}; exec sleep 600' & exec sleep 600",
            timeout=1.0,
        ).send(message())
    assert time.monotonic() - started < 20
    found = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(found) == 2
    wait_until(lambda: not any(map(processes.exists, found)))


def test_what_a_hook_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    pid = shlex.quote(str(tmp_path / "pid"))
    hook(f"sleep 600 & echo $! >{pid}").send(message())
    left = int((tmp_path / "pid").read_text())
    wait_until(lambda: not processes.exists(left))


# ── chat services ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with ChatServer() as server:
        yield server


def service(url: str, timeout: float = 20.0) -> ServiceSender:
    setting = NotifySetting("@env:CHAT", ("stopped",), timeout, 0.0, Path("nbrun.toml"))
    return ServiceSender(setting, url, str)


def test_service_gets_title_and_text_as_plain_text(chat: ChatServer) -> None:
    service(chat.url()).send(message("<b>no</b> `host`"))
    (told,) = chat.received
    assert told["title"] == message().title()
    assert "‹b›no‹/b› 'host'" in told["message"]
    assert f"nbrun attach {message().record.removesuffix('/journal.jsonl')}" in told["message"]


def test_failing_service_is_named_without_a_part_of_its_url(chat: ChatServer) -> None:
    chat.status = 403
    with pytest.raises(NotificationError) as failed:
        service(chat.url("s3cret-token")).send(message())
    assert str(failed.value) == "exit 1: the service answered with status 403"


def test_service_that_nobody_serves_is_named_without_a_part_of_its_url() -> None:
    with pytest.raises(NotificationError) as failed:
        service("json://user:s3cret@127.0.0.1:9/t0ken").send(message())
    assert str(failed.value) == "exit 1: the service can't be reached"


def test_service_that_never_answers_is_given_up(chat: ChatServer) -> None:
    chat.hangs = True
    with pytest.raises(NotificationError, match="did not end within 2 s"):
        service(chat.url(), timeout=2.0).send(message())
