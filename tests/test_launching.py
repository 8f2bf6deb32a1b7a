"""A supervisor in a process of its own: it takes an order, declines it, or ends without one."""

import os
from pathlib import Path

import pytest

from nbrun import launching
from nbrun.errors import ExitCode, NbrunError
from nbrun.launching import DeclinedError, spawn
from nbrun.orders import ResumeOrder, StartOrder


def test_what_is_wrong_with_an_order_comes_back_as_it_was_said(tmp_path: Path) -> None:
    spawned = spawn()
    spawned.order(StartOrder(runbook=str(tmp_path / "nowhere.ipynb"), attended=False))
    with pytest.raises(DeclinedError, match="no such file") as raised:
        spawned.directory()
    assert raised.value.exit_code is ExitCode.USAGE
    assert spawned.process.wait(30) == 2


def test_a_run_that_is_none_is_not_resumed(tmp_path: Path) -> None:
    spawned = spawn()
    spawned.order(ResumeOrder(directory=str(tmp_path)))
    with pytest.raises(DeclinedError, match="can't open the journal"):
        spawned.directory()


def test_one_that_is_given_no_order_ends_by_itself() -> None:
    spawned = spawn()
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()
    assert spawned.process.wait(30) == 0


def test_one_that_can_not_even_begin_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching.sys, "executable", "/bin/false")
    spawned = spawn()
    spawned.order(StartOrder(runbook="x", attended=False))
    with pytest.raises(NbrunError, match="ended before the run began"):
        spawned.directory()


def test_it_is_in_a_session_of_its_own() -> None:
    spawned = spawn()
    assert os.getsid(spawned.process.pid) == spawned.process.pid
    assert spawned.process.stdin is not None
    spawned.process.stdin.close()
    spawned.process.wait(30)
