"""`os.system` in an IPython kernel, which nbrun replaces so that an interrupt ends the cell."""

import pytest

from tests.support.kernel_session import KernelSession


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("os.system('true')", "0"),
        ("os.system(b'exit 3')", str(3 << 8)),
        ("os.system(pathlib.Path('false'))", str(1 << 8)),
        ("os.system('kill -9 $$')", "9"),
        ("os.waitstatus_to_exitcode(os.system('exit 7'))", "7"),
    ],
)
def test_os_system_returns_the_wait_status(session: KernelSession, call: str, status: str) -> None:
    session.reply("import os, pathlib")
    assert session.value(call) == status


@pytest.mark.parametrize("argument", ["3", "None", "['true']", "'a\\0b'"])
def test_os_system_refuses_what_python_refuses(session: KernelSession, argument: str) -> None:
    refused = {}
    for name in ("posix", "os"):
        refused[name] = session.reply(f"import os, posix\n{name}.system({argument})").ename
    assert refused["os"] == refused["posix"] is not None


def test_handler_of_the_runbook_is_put_back_after_a_command(session: KernelSession) -> None:
    session.reply("import os, signal\ndef own(*_): pass\nold = signal.signal(signal.SIGINT, own)")
    session.reply("signal.signal(signal.SIGINT, own); os.system('true')\n!true\nx = !true")
    source = "signal.signal(signal.SIGINT, own)\n!kill -INT $PPID\nprint('went', 'on')"
    reply = session.reply(source + "\nassert signal.getsignal(signal.SIGINT) is own")
    assert reply.status == "ok"
