"""Lines typed at a real terminal: a pseudo-terminal pair, whose other end this test holds."""

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


def test_a_line_typed_after_the_question_is_the_answer(terminal):
    terminal.later(terminal.type, "réessayer\n".encode())
    assert terminal.ask() == "réessayer"
    assert terminal.shown == ["step 3> "]


def test_keys_typed_before_the_question_answer_nothing(terminal):
    terminal.type(b"skip\nyes\nhalf")
    time.sleep(SETTLE)
    terminal.later(terminal.type, b"retry\n")
    assert terminal.ask() == "retry"


def test_a_line_that_is_not_utf8_is_still_a_line(terminal):
    terminal.later(terminal.type, b"caf\xe9\n")
    assert terminal.ask() == "caf\N{REPLACEMENT CHARACTER}"


def test_news_is_taken_and_the_question_asked_again(terminal):
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
def test_what_was_typed_before_news_counts_only_if_it_can_still_be_seen(terminal, told, line):
    def news():
        os.read(terminal.watch, 1)
        terminal.later(terminal.type, b"o\n")
        return told

    def type_and_tell():
        terminal.type(b"g")
        os.write(terminal.news_end, b"\0")

    terminal.later(type_and_tell)
    assert terminal.ask(news) == line


def test_news_that_makes_the_question_moot_ends_it_without_an_answer(terminal):
    os.write(terminal.news_end, b"\0")
    assert terminal.ask(lambda: False) is None


def test_an_end_of_file_typed_is_no_answer(terminal):
    terminal.later(terminal.type, b"\x04")
    with pytest.raises(EOFError):
        terminal.ask()


def test_a_terminal_that_hangs_up_is_an_error_and_no_answer(terminal):
    terminal.later(os.close, terminal.operator)
    with pytest.raises((OSError, EOFError)):
        terminal.ask()


def test_a_question_on_something_that_is_no_terminal_is_an_error():
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError):
            Keyboard(read_end, lambda _: None).ask("? ", read_end, lambda: True)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_secret_is_not_echoed(terminal):
    seen = []

    def type_it():
        seen.append(terminal.echoes())
        terminal.type(b"hunter2\n")

    terminal.later(type_it)
    assert terminal.ask(secret=True) == "hunter2"
    assert seen == [False]
    assert b"hunter2" not in terminal.echoed()
    assert "hunter2" not in "".join(terminal.shown)


def test_the_echo_comes_back_after_a_secret(terminal):
    terminal.later(terminal.type, b"hunter2\n")
    terminal.ask(secret=True)
    assert terminal.echoes()


def test_the_echo_comes_back_when_a_secret_is_broken_off(terminal):
    def ctrl_c():
        raise KeyboardInterrupt

    os.write(terminal.news_end, b"\0")
    with pytest.raises(KeyboardInterrupt):
        terminal.ask(ctrl_c, secret=True)
    assert terminal.echoes()


def test_an_ordinary_answer_is_echoed(terminal):
    terminal.later(terminal.type, b"retry\n")
    terminal.ask()
    assert b"retry" in terminal.echoed()
