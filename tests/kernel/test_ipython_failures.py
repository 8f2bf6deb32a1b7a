"""Failures that an IPython kernel only shows: shell commands, nested errors, and `exit()`."""

import time
from pathlib import Path

import pytest

from tests.support.kernel_session import TIMEOUT, KernelSession, printed_text


@pytest.mark.parametrize(
    ("source", "exits"),
    [
        ("1 + 1", ()),
        ("!true", (0,)),
        ("!exit 3", (3,)),
        ("!false\n!true", (1, 0)),
        ("!true\n!exit 4\n!true", (0, 4, 0)),
        ("x = !exit 7", (7,)),
        ("x = !echo hello\n!exit 2", (0, 2)),
        ("%sx exit 5", (5,)),
        ("%system exit 6", (6,)),
        ("for code in (0, 8):\n    !exit {code}", (0, 8)),
        ("def act(code):\n    !exit {code}\nact(9)", (9,)),
        ("def act(code):\n    x = !exit {code}\n    return x\n_ = act(10)", (10,)),
        ("!kill -9 $$", (137,)),
        ("!exit 255", (255,)),
        ("x = !kill -9 $$", (137,)),
    ],
)
def test_exit_code_of_every_shell_command_is_reported(
    session: KernelSession, source: str, exits: tuple[int, ...]
) -> None:
    reply = session.reply(source)
    assert reply.status == "ok"
    assert reply.shell_exits == exits


def test_exit_codes_are_not_reported_for_the_next_cell(session: KernelSession) -> None:
    session.reply("!false")
    assert session.reply("pass").shell_exits == ()


def test_exit_code_is_reported_for_a_failing_cell(session: KernelSession) -> None:
    reply = session.reply("!exit 3\n1 / 0")
    assert (reply.ename, reply.shell_exits) == ("ZeroDivisionError", (3,))


def test_exit_code_between_two_cells_is_not_reported(
    session: KernelSession, tmp_path: Path
) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    session.reply(
        "import pathlib, threading, time\n"
        "def act():\n"
        f"    while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "    get_ipython().system('exit 4')\n"
        f"    pathlib.Path({str(done)!r}).touch()\n"
        "threading.Thread(target=act).start()"
    )
    go.touch()
    deadline = time.monotonic() + TIMEOUT
    while not done.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert session.reply("pass").shell_exits == ()


def test_shell_output_is_that_of_ipython(
    session: KernelSession,
) -> None:
    assert printed_text(session.ask("!echo hello; echo there")).split() == ["hello", "there"]
    session.reply("lines = !printf 'a\\nb\\n'")
    assert session.value("list(lines), type(lines).__name__") == "(['a', 'b'], 'SList')"
    session.reply("both = !echo out; echo err >&2")
    assert session.value("sorted(both)") == "['err', 'out']"


def test_shell_command_sees_variables_of_its_function(session: KernelSession) -> None:
    messages = session.ask("def greet(who):\n    !echo hello {who} $who\ngreet('ada')")
    assert printed_text(messages).strip() == "hello ada ada"


def test_failing_bash_cell_is_an_error(session: KernelSession) -> None:
    reply = session.reply("%%bash\nexit 3")
    assert (reply.status, reply.ename) == ("error", "CalledProcessError")


def test_exit_of_a_cell_is_an_error_reply(session: KernelSession) -> None:
    reply = session.reply("import sys; sys.exit(0)")
    assert (reply.ename, reply.evalue) == ("SystemExit", "0")


@pytest.mark.parametrize("source", ["exit()", "quit()", "exit(True)", "exit(False)", "exit(0)"])
def test_exit_function_raises_system_exit(session: KernelSession, source: str) -> None:
    reply = session.reply(f"{source}\nprint('not reached')")
    assert reply.ename == "SystemExit"
    assert reply.evalue in ("0", "None")
    assert not reply.exit_asked


def test_nested_error_is_reported_for_its_own_cell_only(session: KernelSession) -> None:
    reply = session.reply("get_ipython().run_cell('1 / 0'); get_ipython().run_cell('[][1]')")
    assert reply.status == "ok"
    assert reply.nested_error == ("ZeroDivisionError", "division by zero")
    assert session.reply("pass").nested_error is None


def test_own_error_of_a_cell_is_not_nested(session: KernelSession) -> None:
    assert session.reply("1 / 0").nested_error is None
    assert session.reply("1 +").nested_error is None
    assert session.reply("import sys; sys.exit(0)").nested_error is None
