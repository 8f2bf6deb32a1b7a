"""A real kernel: started, used and ended, and what it sends."""

import tempfile
import threading
import time
from pathlib import Path

import pytest

from nbrun.errors import KernelError
from nbrun.kernel.local import LocalKernel
from nbrun.kernel.messages import (
    Cleared,
    Died,
    Displayed,
    DisplayUpdated,
    InputWanted,
    Message,
    Replied,
    TextPrinted,
)
from tests.support.kernel_session import TIMEOUT, KernelSession, is_alive, printed_text


def test_outputs_arrive_in_order_before_the_reply(session: KernelSession) -> None:
    messages = session.ask(
        "import sys\n"
        "print('one')\n"
        "sys.stdout.flush()\n"
        "print('two', file=sys.stderr)\n"
        "sys.stderr.flush()\n"
        "shown = display('three', display_id='d1')\n"
        "shown.update('four')\n"
        "get_ipython().display_pub.clear_output(wait=True)\n"
        "5"
    )
    visible = [
        each for each in messages if not (isinstance(each, TextPrinted) and not each.text.strip())
    ]
    kinds = [type(each) for each in visible]
    assert kinds == [
        TextPrinted,
        TextPrinted,
        Displayed,
        DisplayUpdated,
        Cleared,
        Displayed,
        Replied,
    ]
    assert (visible[0].text, visible[1].name) == ("one\n", "stderr")
    assert visible[2].display_id == visible[3].display_id == "d1"
    assert visible[3].data["text/plain"] == "'four'"
    assert visible[4].wait
    assert visible[5].output["output_type"] == "execute_result"
    assert visible[-1].status == "ok"
    assert visible[5].output["execution_count"] == visible[-1].execution_count


def test_error_is_an_output_and_a_reply(session: KernelSession) -> None:
    *_, shown, reply = session.ask("raise ValueError('no such host')")
    assert shown.output["output_type"] == "error"
    assert shown.output["ename"] == "ValueError"
    assert (reply.status, reply.ename, reply.evalue) == ("error", "ValueError", "no such host")


@pytest.mark.sweep
def test_all_of_many_outputs_arrive(session: KernelSession) -> None:
    messages = session.ask("for number in range(5000): display(number)")
    shown = [each.output["data"]["text/plain"] for each in messages[:-1]]
    assert shown == [str(number) for number in range(5000)]


def test_unparsable_message_does_not_stop_the_reading(
    session: KernelSession,
) -> None:
    reply = session.reply(
        "session = get_ipython().kernel.session\n"
        "plain = session.pack\n"
        "session.pack = lambda value: b'{\"data\": [' if value == {'torn': 1} else plain(value)\n"
        "socket = get_ipython().kernel.iopub_socket\n"
        "session.send(socket, 'display_data', {'torn': 1})\n"
        "session.pack = plain"
    )
    assert reply.status == "ok"
    assert session.value("1 + 1") == "2"


def test_kernel_runs_in_the_given_folder(session: KernelSession) -> None:
    assert session.value("__import__('os').getcwd()") == repr(str(session.log.parent))


def test_input_request_is_relayed_and_answered(session: KernelSession) -> None:
    request = session.kernel.execute("host = input('host? '); print(host)")
    assert session.until(InputWanted)[-1] == InputWanted(
        request=request, prompt="host? ", password=False
    )
    session.kernel.answer("db2 é")
    assert printed_text(session.until(Replied)) == "db2 é\n"


def test_password_request_is_marked(session: KernelSession) -> None:
    session.kernel.execute("import getpass; key = getpass.getpass('key: ')")
    wanted = session.until(InputWanted)[-1]
    assert (wanted.prompt, wanted.password) == ("key: ", True)
    session.kernel.answer("secret")
    messages = session.until(Replied)
    assert messages[-1].status == "ok"
    assert "secret" not in repr(messages)


def test_running_code_is_interrupted(session: KernelSession) -> None:
    session.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(60)")
    session.until(TextPrinted)
    began = time.monotonic()
    session.kernel.interrupt()
    reply = session.until(Replied)[-1]
    assert (reply.status, reply.ename) == ("error", "KeyboardInterrupt")
    assert time.monotonic() - began < 10
    assert session.value("1 + 1") == "2"


def test_killed_kernel_reports_death_and_can_be_restarted(
    own_session: KernelSession,
) -> None:
    first = own_session.kernel.start()
    assert (first.generation, first.kernelspec, first.language) == (1, "python3", "python")
    assert first.implementation == "ipython"
    pid = int(own_session.value("kept = __import__('os').getpid()\nkept"))
    own_session.kernel.execute("print('going', flush=True)\n!sleep 60")
    own_session.until(TextPrinted)
    own_session.kernel.kill()
    death = own_session.until(Died)[-1]
    assert death.generation == 1
    assert death.why == "the kernel was killed, as asked"
    assert not is_alive(pid)
    assert own_session.kernel.start().generation == 2
    assert own_session.reply("kept").ename == "NameError"


def test_exit_of_the_process_is_reported_with_its_status(
    own_session: KernelSession,
) -> None:
    own_session.kernel.start()
    own_session.kernel.execute(
        "import os, time\nprint('last words', flush=True)\ntime.sleep(0.5)\nos._exit(3)"
    )
    messages = own_session.until(Died)
    assert printed_text(messages) == "last words\n"
    assert messages[-1].why == "the kernel process ended with status 3"


@pytest.mark.sweep
def test_no_message_is_lost_while_the_sink_blocks(
    own_session: KernelSession,
) -> None:
    """5,000 messages come while the reading thread is blocked; ZeroMQ's default limit is 1,000."""
    blocked, release = threading.Event(), threading.Event()

    def block(message: Message) -> None:
        if isinstance(message, Displayed) and not blocked.is_set():
            blocked.set()
            release.wait(TIMEOUT)
        own_session.queue.put(message)

    done = own_session.log.parent / "done"
    own_session.kernel = LocalKernel(own_session.launcher, block)
    own_session.kernel.start()
    own_session.kernel.execute(
        f"for n in range(5000): display(n)\nfrom pathlib import Path; Path({str(done)!r}).touch()"
    )
    assert blocked.wait(TIMEOUT)
    while not done.exists():
        time.sleep(0.02)
    release.set()
    shown = [each.output["data"]["text/plain"] for each in own_session.until(Replied)[:-1]]
    assert shown == [str(n) for n in range(5000)]


def test_input_can_be_requested_by_the_first_cell(own_session: KernelSession) -> None:
    for _ in range(3):
        own_session.kernel.start()
        own_session.kernel.execute("print(input('who? '))")
        assert own_session.until(InputWanted)[-1].prompt == "who? "
        own_session.kernel.answer("ada")
        assert printed_text(own_session.until(Replied)) == "ada\n"


def test_execute_without_a_kernel_is_an_error(own_session: KernelSession) -> None:
    with pytest.raises(KernelError, match="no kernel is running"):
        own_session.kernel.execute("1")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "/nowhere/python, or the interpreter that it names, does not exist"),
        ("ending", "ended before it was ready. It printed last: one | two | no licence. All"),
    ],
)
def test_failed_start_is_an_error_that_names_the_log(
    tmp_path: Path, broken_kernelspecs: None, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    session = KernelSession(tmp_path, name)
    began = time.monotonic()
    with pytest.raises(KernelError, match=f"'{name}' did not start") as raised:
        session.kernel.start()
    assert time.monotonic() - began < 20
    assert why in str(raised.value)
    assert list(sockets.iterdir()) == []
    session.kernel.shutdown()
    if name == "ending":
        assert str(session.log) in str(raised.value)
        assert "no licence" in session.log.read_text()


LOSES_ITS_REPLY = """
kernel = get_ipython().kernel
this, send = kernel.get_parent()["header"]["msg_id"], kernel.session.send
def lose(stream, kind, content=None, parent=None, *arguments, **named):
    if kind == "execute_reply" and parent["header"]["msg_id"] == this:
        return {"content": {"status": "ok"}}
    return send(stream, kind, content, parent, *arguments, **named)
kernel.session.send = lose
print("all is done")
"""


def test_reply_lost_by_an_interrupt_is_replaced(
    session: KernelSession,
) -> None:
    request = session.kernel.execute(LOSES_ITS_REPLY)
    session.until(TextPrinted)
    session.kernel.interrupt()
    replied = session.until(Replied)[-1]
    assert (replied.request, replied.ename) == (request, "KeyboardInterrupt")
    assert "no reply" in replied.evalue
    assert session.value("6 * 7") == "42"


def test_interrupt_is_replied_to_once(session: KernelSession) -> None:
    request = session.kernel.execute("print('on', flush=True)\nimport time; time.sleep(600)")
    session.until(TextPrinted)
    session.kernel.interrupt()
    replied = session.until(Replied)[-1]
    assert (replied.request, replied.ename, replied.evalue) == (request, "KeyboardInterrupt", "")
    assert session.value("6 * 7") == "42"
