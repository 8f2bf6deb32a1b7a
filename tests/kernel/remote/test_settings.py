"""The settings of a gateway: read, or refused with the place and the remedy."""

from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import UsageError
from nbrun.kernel.remote.settings import GatewaySettings, checked_url, from_table

URL = "https://gateway.example.com/hub"


def read(folder: Path, **table: Any) -> GatewaySettings:
    return from_table("nbrun.toml: gateway", folder / "nbrun.toml", {"url": URL} | table)


def test_every_key_is_read(tmp_path: Path) -> None:
    for name in ("ca.pem", "me.pem", "me.key"):
        (tmp_path / name).touch()
    found = read(
        tmp_path,
        url=f"{URL}/",
        token="@cmd:pass show token",
        headers={"X-Team": "dba", "X-Key": "@env:KEY"},
        ca="ca.pem",
        client_cert="me.pem",
        client_key="me.key",
        kernel="python_kubernetes",
        keep_alive="30s",
        reconnect=10,
    )
    assert found == GatewaySettings(
        url=URL,
        token="@cmd:pass show token",
        headers=(("X-Team", "dba"), ("X-Key", "@env:KEY")),
        ca=tmp_path / "ca.pem",
        client_cert=tmp_path / "me.pem",
        client_key=tmp_path / "me.key",
        kernel="python_kubernetes",
        keep_alive=30.0,
        reconnect=10.0,
    )


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"token": "open-sesame-1"}, "token must name the token's source"),
        ({"token": "@prompt"}, "token must name the token's source"),
        ({"token": "@file:token"}, "must have an absolute path"),
        ({"headers": {"Authorization": "Bearer x"}}, "must name the source of its value"),
        ({"headers": {"cookie": "x"}}, "must name the source of its value"),
        ({"headers": {"X": "a\nb"}}, "must be a text on one line"),
        ({"headers": {"X": "@file:x"}}, "must have an absolute path"),
        ({"headers": []}, "must be a table"),
        ({"ca": "nowhere.pem"}, "there is no file"),
        ({"client_key": "me.key"}, "client_key needs client_cert"),
        ({"keep_alive": 0}, "must be a duration"),
        ({"reconnect": "soon"}, "not a duration"),
        ({"kernel": 3}, "must be a text"),
    ],
)
def test_wrong_value_is_refused(tmp_path: Path, table: dict[str, Any], why: str) -> None:
    (tmp_path / "me.key").touch()
    with pytest.raises(UsageError, match=why) as caught:
        read(tmp_path, **table)
    assert str(caught.value).startswith("nbrun.toml: gateway")
    assert "sesame" not in str(caught.value)


def test_url_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="url is missing"):
        from_table("nbrun.toml: gateway", tmp_path / "nbrun.toml", {})


@pytest.mark.parametrize(
    "url",
    [
        *("gateway.example.com", "ftp://gateway", "https://", "https://a:b", 5, ""),
        *("https://me:sesame@gateway", "https://gateway?token=sesame", "https://gateway#sesame"),
        *("https://gate way", "https://gateway/\x1b[31m"),
    ],
)
def test_wrong_url_is_refused_without_what_may_be_a_credential(url: Any) -> None:
    with pytest.raises(UsageError) as caught:
        checked_url("--gateway", url)
    assert str(caught.value).startswith("--gateway: ")
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "open_to_others"),
    [
        *(("http://gateway", True), ("http://10.0.0.1:8888", True), ("https://gateway", False)),
        *(("http://localhost:8888", False), ("http://127.0.0.1", False), ("http://[::1]", False)),
    ],
)
def test_unencrypted_address_is_known(url: str, open_to_others: bool) -> None:
    assert GatewaySettings(url).is_unencrypted is open_to_others
