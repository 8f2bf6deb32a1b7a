"""Test automatic seals: they are made when due, and never delay the run."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nbrun.audit import auto_seal, seals, ssh_signatures
from nbrun.audit.auto_seal import AutoSealer
from nbrun.core import events as ev
from nbrun.core.events import Event
from tests.support.build_events import (
    note_added,
    records,
    run_finished,
    run_started,
    seal_failed,
    stopped,
)
from tests.support.ssh_keys import make_key, needs_ssh_keygen

pytestmark = needs_ssh_keygen


RECORDS = records([run_started(), note_added(), stopped(), note_added(), run_finished()])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seals.jsonl"


def sealed(path: Path) -> list[int]:
    return [each.seq for each in seals.read(path)]


def sealer(key: Path, path: Path, reported: list[Event], every: float = 300.0) -> AutoSealer:
    return AutoSealer(key, "the-run", path, reported.append, every)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_auto_sealer_seals_stop_and_end(key: Path, path: Path) -> None:
    reported: list[Event] = []
    auto_sealer = sealer(key, path, reported)
    auto_sealer.receive(RECORDS[:2])
    auto_sealer.receive(RECORDS[2:3])
    wait_until(lambda: sealed(path) == [2])
    auto_sealer.receive(RECORDS[3:])
    assert sealed(path) == [2, 4]
    last = seals.read(path)[-1]
    assert last.head == RECORDS[-1].hash
    assert ssh_signatures.signed_by(last.signature, last.statement) == ssh_signatures.fingerprint(
        key
    )
    assert reported == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_auto_sealer_seals_again_only_after_growth(key: Path, path: Path) -> None:
    auto_sealer = sealer(key, path, [], every=0.2)
    auto_sealer.receive(RECORDS[:2])
    wait_until(lambda: sealed(path) == [1])
    time.sleep(0.6)
    assert sealed(path) == [1]
    auto_sealer.receive(RECORDS[2:4])
    wait_until(lambda: sealed(path)[-1] >= 2)
    auto_sealer.close()
    assert sealed(path)[-1] == 3


def test_failed_seal_is_reported_once_and_is_not_growth(path: Path, tmp_path: Path) -> None:
    reported: list[Event] = []
    auto_sealer = sealer(tmp_path / "no key", path, reported, every=0.1)
    auto_sealer.receive(RECORDS[:2])
    wait_until(lambda: reported)
    (failed,) = reported
    assert isinstance(failed, ev.SealFailed)
    assert failed.upto == 1
    auto_sealer.receive(records([run_started(), note_added(), seal_failed()])[2:])
    time.sleep(0.4)
    assert len(reported) == 1
    auto_sealer.close()
    assert not path.exists()


def test_slow_agent_does_not_delay_stop(
    key: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched = threading.Event()
    real = ssh_signatures.sign

    def slow(by: Path, message: bytes) -> str:
        assert touched.wait(30)
        return real(by, message)

    monkeypatch.setattr(ssh_signatures, "sign", slow)
    auto_sealer = sealer(key, path, [])
    auto_sealer.receive(RECORDS[:3])  # returns although nothing is signed
    assert sealed(path) == []
    touched.set()
    auto_sealer.receive(RECORDS[3:])
    assert sealed(path)[-1] == 4


def test_end_waits_for_seal_at_most_patience(
    key: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_seal, "PATIENCE", 0.1)
    never = threading.Event()
    monkeypatch.setattr(ssh_signatures, "sign", lambda *_: never.wait(30) or "")
    sealer(key, path, []).receive(RECORDS)
    assert sealed(path) == []
    never.set()
