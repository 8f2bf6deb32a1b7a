"""Lines typed at a pseudo-terminal, whose other end the test holds."""

import os
import pty
import termios
import threading
import time

import pytest

from nbrun.views.terminal.line_input import Keyboard

SETTLE = 0.05  # seconds that the line discipline and another thread get


class Terminal:
    """The operator's end of a terminal that a Keyboard asks on, and what it was shown."""

    def __init__(self):
        self.operator, self.fd = pty.openpty()
        self.shown = []
        self.watch, self.news_end = os.pipe()
        self.keyboard = Keyboard(self.fd, self.shown.append)

    def type(self, keys):
        os.write(self.operator, keys)

    def later(self, act, *arguments):
        timer = threading.Timer(SETTLE, act, arguments)
        timer.start()
        return timer

    def ask(self, news=lambda: True, **kind):
        return self.keyboard.ask("step 3> ", self.watch, news, **kind)

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def echoed(self):
        """What the terminal itself has put on the screen."""
        os.set_blocking(self.operator, False)
        try:
            return os.read(self.operator, 4096)
        except BlockingIOError:
            return b""


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    for fd in (made.operator, made.fd, made.watch, made.news_end):
        try:
            os.close(fd)
        except OSError:
            continue


def test_line_typed_after_prompt_is_returned(terminal):
    terminal.later(terminal.type, "réessayer\n".encode())
    assert terminal.ask() == "réessayer"
    assert terminal.shown == ["step 3> "]


def test_keys_typed_before_prompt_are_discarded(terminal):
    terminal.type(b"skip\nyes\nhalf")
    time.sleep(SETTLE)
    terminal.later(terminal.type, b"retry\n")
    assert terminal.ask() == "retry"


def test_invalid_utf8_is_replaced(terminal):
    terminal.later(terminal.type, b"caf\xe9\n")
    assert terminal.ask() == "caf\N{REPLACEMENT CHARACTER}"


def test_update_is_polled_and_prompt_shown_again(terminal):
    taken = []

    def news():
        taken.append(os.read(terminal.watch, 1))
        terminal.later(terminal.type, b"go\n")
        return True

    terminal.later(os.write, terminal.news_end, b"\0")
    assert terminal.ask(news) == "go"
    assert taken == [b"\0"]
    assert terminal.shown == ["step 3> ", "step 3> "]


@pytest.mark.parametrize(("told", "line"), [(None, "go"), (True, "o")])
def test_typed_keys_are_kept_unless_update_was_shown(terminal, told, line):
    def news():
        os.read(terminal.watch, 1)
        terminal.later(terminal.type, b"o\n")
        return told

    def type_and_tell():
        terminal.type(b"g")
        os.write(terminal.news_end, b"\0")

    terminal.later(type_and_tell)
    assert terminal.ask(news) == line


def test_withdrawn_question_returns_none(terminal):
    os.write(terminal.news_end, b"\0")
    assert terminal.ask(lambda: False) is None


def test_typed_end_of_file_raises(terminal):
    terminal.later(terminal.type, b"\x04")
    with pytest.raises(EOFError):
        terminal.ask()


def test_hangup_raises(terminal):
    terminal.later(os.close, terminal.operator)
    with pytest.raises((OSError, EOFError)):
        terminal.ask()


def test_prompt_without_terminal_raises():
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError):
            Keyboard(read_end, lambda _: None).ask("? ", read_end, lambda: True)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_secret_is_not_echoed(terminal):
    seen = []

    def type_it():
        seen.append(terminal.echoes())
        terminal.type(b"hunter2\n")

    terminal.later(type_it)
    assert terminal.ask(secret=True) == "hunter2"
    assert seen == [False]
    assert b"hunter2" not in terminal.echoed()
    assert "hunter2" not in "".join(terminal.shown)


def test_echo_is_restored_after_secret(terminal):
    terminal.later(terminal.type, b"hunter2\n")
    terminal.ask(secret=True)
    assert terminal.echoes()


def test_echo_is_restored_after_interrupted_secret(terminal):
    def ctrl_c():
        raise KeyboardInterrupt

    os.write(terminal.news_end, b"\0")
    with pytest.raises(KeyboardInterrupt):
        terminal.ask(ctrl_c, secret=True)
    assert terminal.echoes()


def test_ordinary_answer_is_echoed(terminal):
    terminal.later(terminal.type, b"retry\n")
    terminal.ask()
    assert b"retry" in terminal.echoed()
