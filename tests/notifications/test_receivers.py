"""Test that the receivers of a run are complete before anything runs."""

import importlib.util
from pathlib import Path

import pytest

from nbrun.config import Config
from nbrun.config.notifications import HookSetting, NotifySetting
from nbrun.errors import UsageError
from nbrun.notifications import receivers
from nbrun.notifications.receivers import look_up, look_up_again

FILE = Path("/etc/nbrun.toml")


def config(*sources: str) -> Config:
    return Config(notify=tuple(NotifySetting(url, ("stopped",), 9.0, 0.0, FILE) for url in sources))


def test_urls_are_looked_up_and_become_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", "json://user:s3cret@localhost/t0ken")
    (tmp_path / "url").write_text("jsons://localhost/other\n")
    found = look_up(config("@env:CHAT", f"@file:{tmp_path}/url", "@cmd:echo json://localhost/x"))
    assert found.secrets() == {
        "notify.urls 1": "json://user:s3cret@localhost/t0ken",
        "notify.urls 2": "jsons://localhost/other",
        "notify.urls 3": "json://localhost/x",
    }
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("carrier-pigeon://s3cret", "apprise does not know this kind of URL"),
        ("json://localhost/s3cret json://localhost/b", "is not one apprise URL"),
        ("", "is not one apprise URL"),
    ],
)
def test_url_that_is_none_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("CHAT", url)
    with pytest.raises(UsageError, match=why) as refused:
        look_up(config("@env:CHAT"))
    assert str(refused.value).startswith("/etc/nbrun.toml: notify.urls: @env:CHAT: ")
    assert "s3cret" not in str(refused.value)


def test_missing_url_refuses_a_new_run_and_not_a_resumed_one() -> None:
    with pytest.raises(UsageError, match="@env:NO_CHAT: no such environment variable"):
        look_up(config("@env:NO_CHAT"))
    found = look_up_again(config("@env:NO_CHAT"))
    assert found.services == ()
    assert [why for _, why in found.missing] == ["@env:NO_CHAT: no such environment variable"]


def test_missing_apprise_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receivers, "find_spec", lambda name: None)
    assert importlib.util.find_spec("apprise")
    with pytest.raises(UsageError, match=r"pip install 'nbrun-cli\[notify\]'"):
        look_up(config("@env:CHAT"))


def test_hook_that_can_not_be_run_is_a_notice() -> None:
    hooks = [HookSetting("stopped", (name,), 9.0, 0.0, (), FILE) for name in ("true", "/no/pager")]
    (notice,) = receivers.notices(Config(hooks=tuple(hooks)))
    assert notice == (
        "/etc/nbrun.toml: hooks.stopped: /no/pager can't be run: nobody will be told by it"
    )


def test_plan_says_who_will_be_told_without_reading_a_url() -> None:
    hook = HookSetting("stopped", ("page-me", "a b"), 9.0, 0.0, (), FILE)
    planned = Config(hooks=(hook,), notify=config("@env:NO_CHAT").notify)
    assert receivers.rows(planned) == [
        ("hook", "stopped: page-me 'a b'"),
        ("notify", "stopped: @env:NO_CHAT"),
    ]
