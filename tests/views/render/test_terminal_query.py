"""Queries on a real pseudo-terminal, answered by the test."""

import shlex
import sys

import pexpect
import pytest

from nbrun.views.render import terminal_query

ASK = (
    "from nbrun.views.render import terminal_query as query\n"
    "print('answer', ascii(query.identity()), query.reflows())"
)
# For slow machines.
PATIENT = f"import nbrun.views.render.terminal_query as query; query._TIMEOUT = 30\n{ASK}"
QUESTION = "\x1b[>q\x1b[c"


def spawn(*command: str) -> pexpect.spawn:
    child = pexpect.spawn(command[0], [*command[1:]], timeout=30, encoding="utf-8")
    child.delaybeforesend = None
    return child


def test_identity_read_without_echo() -> None:
    child = spawn(sys.executable, "-c", PATIENT)
    child.expect_exact(QUESTION)
    child.send("\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c")
    child.expect_exact(r"answer '\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c' True")
    assert child.before == ""


def test_silent_terminal_times_out() -> None:
    child = spawn(sys.executable, "-c", ASK)
    child.expect_exact(QUESTION)
    child.expect_exact("answer '' False")


def test_no_query_from_background_process() -> None:
    child = spawn("bash", "-mc", f"{shlex.join([sys.executable, '-c', ASK])} & wait")
    child.expect_exact("answer '' False")
    assert "\x1b" not in child.before


@pytest.mark.parametrize(
    ("answer", "reflows"),
    [
        ("\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c", True),
        ("\x1bP>|VTE(7600)\x1b\\\x1b[?65;1;9c", True),
        ("\x1bP>|kitty(0.35.2)\x1b\\\x1b[?62;52;c", True),
        ("\x1bP>|XTerm(390)\x1b\\\x1b[?64;1;2c", False),
        ("\x1b[?6c", False),
        ("", False),
    ],
)
def test_reflow_known_by_terminal_name(
    answer: str, reflows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_query, "identity", lambda: answer)
    assert terminal_query.reflows() is reflows


def test_device_attributes_exclude_terminal_class() -> None:
    assert terminal_query.device_attributes("\x1bP>|x\x1b\\\x1b[?62;4;22c") == ["4", "22"]
    assert (
        terminal_query.device_attributes("\x1b[?4c") == terminal_query.device_attributes("") == []
    )
