"""What a terminal answers: asked on a real one, whose other end this test holds."""

import shlex
import sys

import pexpect
import pytest

from nbrun.views.render import terminal_query

ASK = (
    "from nbrun.views.render import terminal_query as it\n"
    "print('said', ascii(it.identity()), it.reflows())"
)
PATIENT = (
    f"import nbrun.views.render.terminal_query as it; it._TIMEOUT = 30\n{ASK}"  # machines are slow
)
QUESTION = "\x1b[>q\x1b[c"


def asked(*command: str) -> pexpect.spawn:
    child = pexpect.spawn(command[0], [*command[1:]], timeout=30, encoding="utf-8")
    child.delaybeforesend = None
    return child


def test_a_terminal_is_asked_for_its_name_and_its_answer_is_not_echoed() -> None:
    child = asked(sys.executable, "-c", PATIENT)
    child.expect_exact(QUESTION)
    child.send("\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c")
    child.expect_exact(r"said '\x1bP>|tmux 3.4\x1b\\\x1b[?1;2;4c' True")
    assert child.before == ""


def test_a_terminal_that_does_not_answer_is_not_waited_for_long() -> None:
    child = asked(sys.executable, "-c", ASK)
    child.expect_exact(QUESTION)
    child.expect_exact("said '' False")


def test_nothing_is_asked_from_the_background_where_it_would_stop_the_program() -> None:
    child = asked("bash", "-mc", f"{shlex.join([sys.executable, '-c', ASK])} & wait")
    child.expect_exact("said '' False")
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
def test_a_terminal_is_known_to_break_rows_anew_by_its_name(
    answer: str, reflows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_query, "identity", lambda: answer)
    assert terminal_query.reflows() is reflows


def test_the_attributes_are_those_behind_the_class() -> None:
    assert terminal_query.device_attributes("\x1bP>|x\x1b\\\x1b[?62;4;22c") == ["4", "22"]
    assert (
        terminal_query.device_attributes("\x1b[?4c") == terminal_query.device_attributes("") == []
    )
