"""Lines typed at a pseudo-terminal, whose other end an operator holds: a thread of the test."""

import fcntl
import io
import os
import pty
import select
import signal
import struct
import termios
import threading
import time

import pyte
import pytest
from rich.console import Console

from nbrun.views.terminal.typed_lines import line_editor
from nbrun.views.terminal.typed_lines.keyboard import Keyboard
from nbrun.views.terminal.typed_lines.question import Question

TIMEOUT = 30.0  # seconds
ROWS, COLUMNS = 24, 60
CHOICES = [("retry", "run it again"), ("restart", "a new kernel"), ("skip", "skip it")]


class Operator(threading.Thread):
    """Does what a script says: waits for a text on the screen (`str`), types (`bytes`), or acts.

    None hangs up.
    """

    def __init__(self, fd, screen, prompt, script):
        super().__init__(daemon=True)
        self.screen = screen
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._fd = fd
        self._prompt = prompt
        self._script = script
        self.failure = ""
        self._done = threading.Event()
        self.ended = False

    def run(self):
        self._wait_for(self._asked, self._prompt)
        for step in self._script:
            match step:
                case str():
                    self._wait_for(lambda step=step: step in self.text, step)
                case bytes():
                    self._type(step)
                case None:
                    self.hang_up()
                case _:
                    step()
        while not (self._done.is_set() or self.ended):
            self._read(0.02)

    def _type(self, keys):
        while keys:
            if select.select([], [self._fd], [], 0.05)[1]:
                keys = keys[os.write(self._fd, keys[:512]) :]
            self._read(0)

    def _asked(self):
        """Return True if the cursor is behind the question: what is above may be of another one."""
        row = self.screen.display[self.screen.cursor.y][: self.screen.cursor.x]
        return row.rstrip().endswith(self._prompt)

    def _wait_for(self, holds, text):
        deadline = time.monotonic() + TIMEOUT
        while not holds():
            if time.monotonic() > deadline:
                self.failure = f"{text!r} is not on the screen:\n{self.text}\n{self.raw!r}"
                os.kill(os.getpid(), signal.SIGINT)
                return
            self._read(0.05)

    def hang_up(self):
        os.close(self._fd)
        self.ended = True

    def _read(self, timeout):
        if self.ended:
            return
        while select.select([self._fd], [], [], timeout)[0]:
            timeout = 0
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return
            self.raw += data
            self._stream.feed(data)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def finish(self):
        self._done.set()
        self.join(TIMEOUT)
        self._read(0)
        assert not self.failure, self.failure


class Terminal:
    """A terminal that a Keyboard asks on. `news` are texts that arrive during a question."""

    def __init__(self, *, plain=False):
        self.operator_end, self.fd = pty.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.file = os.fdopen(self.fd, "w", encoding="utf-8", closefd=False)
        self.console = Console(
            file=self.file, force_terminal=True, width=COLUMNS, highlight=False, markup=False
        )
        self.plain = plain
        self.keyboard = Keyboard(self.fd, self.console, plain=plain)
        self.watch, self._news_end = os.pipe()
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.shown = ""
        self.raw = b""

    def arrive(self, text):
        return lambda: os.write(self._news_end, text.encode() + b"\n")

    def poll(self, hide):
        for text in os.read(self.watch, 4096).decode().splitlines():
            if text == "withdraw":
                return False
            hide()
            self.console.print(text)
        return True

    def ask(self, *script, prompt="step 3> ", **kind):
        seen = prompt.removeprefix("\x1b[31m").rpartition("\n")[2].rstrip()
        operator = Operator(self.operator_end, self.screen, seen, script)
        operator.start()
        try:
            return self.keyboard.ask(Question(prompt, **kind), self.watch, self.poll)
        finally:
            self.file.flush()
            operator.finish()
            self.shown, self.raw = operator.text, operator.raw

    def modes(self):
        return termios.tcgetattr(self.fd)

    def close(self):
        for fd in (self.operator_end, self.fd, self.watch, self._news_end):
            try:
                os.close(fd)
            except OSError:
                continue


@pytest.fixture(autouse=True)
def _capable_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "")


@pytest.fixture(params=["drawn", "plain"])
def terminal(request):
    made = Terminal(plain=request.param == "plain")
    yield made
    made.close()


@pytest.fixture
def drawn():
    made = Terminal()
    yield made
    made.close()


def paste(text):
    return b"\x1b[200~" + text.encode() + b"\x1b[201~"


def test_line_typed_after_prompt_is_returned(terminal):
    assert terminal.ask("réessayer \N{CJK UNIFIED IDEOGRAPH-5B57}\r".encode()) == "réessayer 字"
    assert "step 3> réessayer 字" in terminal.shown


def test_keys_typed_before_prompt_are_discarded(terminal):
    os.write(terminal.operator_end, b"skip\nyes\nhalf")
    assert select.select([terminal.fd], [], [], TIMEOUT)[0]
    assert terminal.ask(b"retry\r") == "retry"
    assert "half" not in drawn_over(terminal)


def drawn_over(terminal):
    return "" if terminal.plain else terminal.shown


def test_keys_typed_after_enter_do_not_answer_the_next_question(terminal):
    assert terminal.ask(b"retry\r\r") == "retry"
    assert terminal.ask(b"x\r") == "x"


def test_output_is_printed_above_a_half_typed_line(terminal):
    news = terminal.arrive("the disk is full")
    line = b"n bob asks whether we may"
    script = [line, line.decode(), news, "the disk is full\nstep 3> n bob asks whether we may"]
    assert terminal.ask(*script, b" go\r") == "n bob asks whether we may go"


def test_half_typed_secret_survives_output_unseen(terminal):
    news = terminal.arrive("the disk is full")
    script = [b"hunt", news, "the disk is full\nstep 3>", b"er2\r"]
    assert terminal.ask(*script, secret=True) == "hunter2"
    assert b"hunt" not in terminal.raw
    assert "*" not in terminal.shown


def test_paste_of_several_lines_is_one_text(drawn):
    pasted = paste("first\r\nsecond\rthird\n")
    assert drawn.ask(pasted, "third", b"\r") == "first\nsecond\nthird"


def test_several_lines_at_once_are_one_text_without_marks(terminal):
    assert terminal.ask(b"skip\ryes\r", "yes", b"\r") == "skip\nyes"


def test_line_may_be_longer_than_a_terminals_own_limit(terminal):
    assert terminal.ask(b"x" * 20_000, b"\r") == "x" * 20_000


def test_pasted_text_may_be_long(drawn):
    text = "a line of a certificate\n" * 4_000
    assert drawn.ask(paste(text), b"\r", secret=True) == text.rstrip("\n")


@pytest.mark.parametrize(
    "reply", ["\x1b[?62;1;6;22c", "\x1b[12;40R", "\x1bP>|xterm(379)\x1b\\", "\x1b]11;rgb:0/0/0\x07"]
)
def test_terminal_reply_is_no_key(terminal, reply):
    assert terminal.ask(b"re", reply.encode(), b"try\r") == "retry"


def test_invalid_utf8_is_replaced(terminal):
    assert terminal.ask(b"caf\xe9\r") == "caf\N{REPLACEMENT CHARACTER}"


def test_withdrawn_question_returns_none_and_leaves_the_line_to_read(terminal):
    assert terminal.ask(b"because", "because", terminal.arrive("withdraw")) is None
    assert "step 3> because" in terminal.shown


def test_typed_end_of_file_raises(terminal):
    with pytest.raises(EOFError):
        terminal.ask(b"\x04")


def test_ctrl_c_sends_the_signal(terminal):
    with pytest.raises(KeyboardInterrupt):
        terminal.ask(b"half", "step 3> half", b"\x03")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signal_before_the_first_drawing_is_not_lost(terminal, monkeypatch):
    interrupt = lambda _: signal.raise_signal(signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(line_editor, "discard_input", interrupt)
    with pytest.raises(KeyboardInterrupt):
        terminal.keyboard.ask(Question("step 3> "))


def test_hangup_raises(terminal):
    with pytest.raises(OSError):
        terminal.ask(None)


def test_prompt_without_terminal_raises():
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError):
            Keyboard(read_end, Console(file=io.StringIO())).ask(Question("? "))
    finally:
        os.close(read_end)
        os.close(write_end)


def test_backspace_and_history_edit_the_line(terminal):
    assert terminal.ask("reü\x7f\x7fun\r".encode(), history="choices") == "run"
    assert terminal.ask(b"\x1b[A", "step 3> run", b" 2\r", history="choices") == "run 2"
    assert terminal.shown.count("run 2") == 1


def test_histories_are_apart_and_hold_no_secret(terminal):
    terminal.ask(b"a reason\r", history="reasons")
    terminal.ask(b"hunter2\r", secret=True)
    assert terminal.ask(b"\x1b[A\x1b[Ago\r", history="choices") == "go"
    assert terminal.ask(b"\x12hunter\x1b[A\r", prompt="password: ", secret=True) == "hunter"
    assert b"hunter" not in terminal.raw


def test_tab_completes_words(drawn):
    offered = lambda text: [each for each in CHOICES if each[0].startswith(text)]  # noqa: E731
    script = [b"re\t", "a new kernel", b"\t\r"]
    assert drawn.ask(*script, completions=offered) in ("retry", "restart")
    assert drawn.ask(b"s\t", "skip", b"\r", completions=offered) == "skip"


def test_alt_enter_begins_a_new_line(drawn):
    assert drawn.ask(b"one\x1b\rtwo", "two", b"\r") == "one\ntwo"


def test_prompt_of_several_lines_is_shown_in_its_colours(drawn):
    assert drawn.ask(b"2\r", prompt="\x1b[31mwhich host?\nnumber: ") == "2"
    assert "which host?\nnumber: 2" in drawn.shown
    assert b"\x1b[0;31mnumber: " in drawn.raw  # the colour goes on below


def test_prompt_higher_than_the_screen_can_be_answered(terminal):
    menu = "\n".join(f"{n} a host" for n in range(40))
    assert terminal.ask("39 a host\nwhich?", b"7\r", prompt=f"{menu}\nwhich? ") == "7"


def test_plain_prompt_writes_no_escape_sequence():
    made = Terminal(plain=True)
    made.ask(b"x", made.arrive("late"), "late\nstep 3> x", b"\r", prompt="\x1b[31mstep 3> ")
    assert b"\x1b" not in made.raw
    made.close()


def test_modes_are_restored(terminal):
    before = terminal.modes()
    terminal.ask(b"retry\r")
    assert terminal.modes() == before
    with pytest.raises(KeyboardInterrupt):
        terminal.ask(b"\x03", secret=True)
    assert terminal.modes() == before
    terminal.ask(terminal.arrive("withdraw"))
    assert terminal.modes() == before


def test_handlers_of_signals_are_restored(terminal):
    numbers = (signal.SIGCONT, signal.SIGTSTP, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)
    before = [signal.getsignal(number) for number in numbers]
    terminal.ask(b"retry\r")
    assert [signal.getsignal(number) for number in numbers] == before
