"""A real kernel, started, spoken to and ended."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbrun.errors import KernelError, RunbookError
from nbrun.kernel.jupyter_adapter import find_kernelspec
from nbrun.kernel.launcher import KernelLauncher
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
from nbrun.kernel.process import KernelLog

PATIENCE = 30  # seconds


class Talk:
    """A kernel and what it says. `ask` sends code and gives what came of it."""

    def __init__(self, folder: Path, name: str = "python3") -> None:
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.log = folder / "supervisor.log"
        self.launcher = KernelLauncher(name, cwd=folder, attended=True)
        self.kernel = LocalKernel(self.launcher, self.said.put, log=KernelLog(self.log, bytes))

    def hear(self) -> Message:
        return self.said.get(timeout=PATIENCE)

    def until(self, *kinds: type[Any]) -> list[Any]:
        """All that is said up to the first of those kinds, which is the last."""
        heard = [self.hear()]
        while not isinstance(heard[-1], kinds):
            heard.append(self.hear())
        return heard

    def ask(self, source: str) -> list[Any]:
        request = self.kernel.execute(source)
        heard = self.until(Replied)
        assert {each.request for each in heard} == {request}
        return heard

    def reply(self, source: str) -> Replied:
        return self.ask(source)[-1]

    def value(self, expression: str) -> str:
        """The repr of an expression."""
        shown = [each for each in self.ask(expression) if isinstance(each, Displayed)]
        return str(shown[0].output["data"]["text/plain"])


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One kernel for all that does not end it."""
    made = Talk(tmp_path_factory.mktemp("kernel"))
    made.kernel.start()
    yield made
    made.kernel.shutdown()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Talk]:
    """A kernel that a test may end; its connection files are in `tmp_path / 'sockets'`."""
    sockets = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # a socket's path is a short one
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    made = Talk(tmp_path)
    yield made
    made.kernel.shutdown()
    assert list(sockets.iterdir()) == [], "a kernel's folder was left behind"
    sockets.rmdir()


def text(heard: list[Any], name: str = "stdout") -> str:
    return "".join(
        each.text for each in heard if isinstance(each, TextPrinted) and each.name == name
    )


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


def test_no_source_is_kept_where_the_next_person_would_find_it(talk: Talk) -> None:
    """IPython's history, twice: by its command line, and where that is a wrapper's by nbrun's own
    set-up; and that of a bash, as of a bash kernel."""
    assert talk.value("get_ipython().history_manager.enabled") == "False"
    assert talk.value("str(get_ipython().history_manager.hist_file)") == "':memory:'"
    assert talk.value("__import__('os').environ['HISTFILE']") == "''"


# ── What it says ─────────────────────────────────────────────────────────────────────────────


def test_outputs_come_in_order_before_the_reply(talk: Talk) -> None:
    heard = talk.ask(
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
    told = [each for each in heard if not (isinstance(each, TextPrinted) and not each.text.strip())]
    kinds = [type(each) for each in told]
    assert kinds == [
        TextPrinted,
        TextPrinted,
        Displayed,
        DisplayUpdated,
        Cleared,
        Displayed,
        Replied,
    ]
    assert (told[0].text, told[1].name) == ("one\n", "stderr")
    assert told[2].display_id == told[3].display_id == "d1"
    assert told[3].data["text/plain"] == "'four'"
    assert told[4].wait
    assert told[5].output["output_type"] == "execute_result"
    assert told[-1].status == "ok"
    assert told[5].output["execution_count"] == told[-1].execution_count


def test_an_error_is_an_output_and_a_reply(talk: Talk) -> None:
    *_, shown, reply = talk.ask("raise ValueError('no such host')")
    assert shown.output["output_type"] == "error"
    assert shown.output["ename"] == "ValueError"
    assert (reply.status, reply.ename, reply.evalue) == ("error", "ValueError", "no such host")


def test_no_output_of_many_is_lost(talk: Talk) -> None:
    heard = talk.ask("for number in range(5000): display(number)")
    shown = [each.output["data"]["text/plain"] for each in heard[:-1]]
    assert shown == [str(number) for number in range(5000)]


def test_a_message_nested_too_deeply_to_be_read_does_not_end_the_reading(talk: Talk) -> None:
    reply = talk.reply(
        "session = get_ipython().kernel.session\n"
        "plain = session.pack\n"
        "deep = b'{\"data\": ' + b'[' * 5000 + b']' * 5000 + b'}'\n"
        "session.pack = lambda value: deep if value == {'deep': 1} else plain(value)\n"
        "socket = get_ipython().kernel.iopub_socket\n"
        "session.send(socket, 'display_data', {'deep': 1})\n"
        "session.pack = plain"
    )
    assert reply.status == "ok"
    assert talk.value("1 + 1") == "2"


def test_an_asked_for_exit_is_told(talk: Talk) -> None:
    reply = talk.reply("import sys; sys.exit(0)")
    assert (reply.ename, reply.evalue) == ("SystemExit", "0")


def test_the_kernel_works_where_it_was_told_to(talk: Talk) -> None:
    assert talk.value("__import__('os').getcwd()") == repr(str(talk.log.parent))


def test_what_a_cell_leaves_in_a_circle_is_finalized_at_the_end(
    alone: Talk, tmp_path: Path
) -> None:
    """What the kernel was made of is set aside from collections; what cells make is not."""
    alone.kernel.start()
    assert alone.value("__import__('gc').get_freeze_count() > 0") == "True"
    kept = tmp_path / "kept"
    held = "class Holder:\n    def __del__(self):\n        self.path.write_text('let go')"
    alone.reply(f"import gc, pathlib\ngc.disable()  # it is left to the end\n{held}")
    alone.reply(f"one = Holder(); one.self = one; one.path = pathlib.Path({str(kept)!r}); del one")
    alone.kernel.shutdown()
    assert kept.read_text() == "let go"


# ── Shell commands ───────────────────────────────────────────────────────────────────────────


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
        ("!kill -9 $$", (-9,)),
    ],
)
def test_the_exit_of_every_shell_command_is_seen(
    talk: Talk, source: str, exits: tuple[int, ...]
) -> None:
    reply = talk.reply(source)
    assert reply.status == "ok"
    assert reply.shell_exits == exits


def test_the_exits_of_one_cell_are_not_told_of_the_next(talk: Talk) -> None:
    talk.reply("!false")
    assert talk.reply("pass").shell_exits == ()


def test_the_exit_of_a_shell_command_is_seen_in_a_cell_that_fails(talk: Talk) -> None:
    reply = talk.reply("!exit 3\n1 / 0")
    assert (reply.ename, reply.shell_exits) == ("ZeroDivisionError", (3,))


def test_the_exit_of_a_command_between_two_cells_is_not_told_of_the_next(
    talk: Talk, tmp_path: Path
) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    talk.reply(
        "import pathlib, threading, time\n"
        "def act():\n"
        f"    while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        "    get_ipython().system('exit 4')\n"
        f"    pathlib.Path({str(done)!r}).touch()\n"
        "threading.Thread(target=act).start()"
    )
    go.touch()
    deadline = time.monotonic() + PATIENCE
    while not done.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert talk.reply("pass").shell_exits == ()


def test_what_a_shell_command_prints_is_what_it_would_be_without_nbrun(talk: Talk) -> None:
    assert text(talk.ask("!echo hello; echo there")).split() == ["hello", "there"]
    talk.reply("lines = !printf 'a\\nb\\n'")
    assert talk.value("list(lines), type(lines).__name__") == "(['a', 'b'], 'SList')"
    talk.reply("both = !echo out; echo err >&2")
    assert talk.value("sorted(both)") == "['err', 'out']"


def test_a_shell_command_with_variables_sees_those_of_its_function(talk: Talk) -> None:
    heard = talk.ask("def greet(who):\n    !echo hello {who} $who\ngreet('ada')")
    assert text(heard).strip() == "hello ada ada"


def test_a_failing_bash_cell_fails_by_itself(talk: Talk) -> None:
    reply = talk.reply("%%bash\nexit 3")
    assert (reply.status, reply.ename) == ("error", "CalledProcessError")


def test_no_name_of_the_runbook_is_nbruns(alone: Talk) -> None:
    alone.kernel.start()
    alone.reply("!true")
    names = alone.value("[name for name in dir() if not name.startswith('_')]")
    assert names == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"
    assert alone.value("[name for name in dir() if 'nbrun' in name]") == "[]"
    assert alone.value("_exit_code") == "0"
    assert alone.value("In[1]") == repr("get_ipython().system('true')")


# ── Input and interrupts ─────────────────────────────────────────────────────────────────────


def test_the_kernel_has_no_debugger_and_a_cell_may_have_one(talk: Talk) -> None:
    assert talk.value("hasattr(get_ipython().kernel, 'debugger')") == "False"
    assert talk.value("'debugpy.server' in __import__('sys').modules") == "False"
    found = "__import__('importlib.util').util.find_spec('debugpy.server') is not None"
    assert talk.value(found) == "True"
    assert talk.value("__import__('sys').argv[0].rsplit('/')[-1]") == "'ipykernel_launcher.py'"


def test_a_breakpoint_is_passed_by_as_with_a_debugger_that_nobody_is_attached_to(
    talk: Talk,
) -> None:
    assert talk.value("(breakpoint(), 7)[1]") == "7"


def test_a_question_is_relayed_and_its_answer_reaches_the_cell(talk: Talk) -> None:
    request = talk.kernel.execute("host = input('host? '); print(host)")
    assert talk.until(InputWanted)[-1] == InputWanted(
        request=request, prompt="host? ", password=False
    )
    talk.kernel.answer("db2 é")
    assert text(talk.until(Replied)) == "db2 é\n"


def test_a_password_is_asked_for_as_one(talk: Talk) -> None:
    talk.kernel.execute("import getpass; key = getpass.getpass('key: ')")
    wanted = talk.until(InputWanted)[-1]
    assert (wanted.prompt, wanted.password) == ("key: ", True)
    talk.kernel.answer("secret")
    heard = talk.until(Replied)
    assert heard[-1].status == "ok"
    assert "secret" not in repr(heard)


def test_running_code_can_be_interrupted(talk: Talk) -> None:
    talk.kernel.execute("import time\nprint('on', flush=True)\ntime.sleep(60)")
    talk.until(TextPrinted)
    began = time.monotonic()
    talk.kernel.interrupt()
    reply = talk.until(Replied)[-1]
    assert (reply.status, reply.ename) == ("error", "KeyboardInterrupt")
    assert time.monotonic() - began < 10
    assert talk.value("1 + 1") == "2"


# ── Lives and deaths ─────────────────────────────────────────────────────────────────────────


def test_a_killed_kernel_says_so_last_and_another_can_be_started(alone: Talk) -> None:
    first = alone.kernel.start()
    assert (first.generation, first.kernelspec, first.language) == (1, "python3", "python")
    assert first.implementation == "ipython"
    pid = int(alone.value("kept = __import__('os').getpid()\nkept"))
    alone.kernel.execute("print('going', flush=True)\n!sleep 60")
    alone.until(TextPrinted)
    alone.kernel.kill()
    death = alone.until(Died)[-1]
    assert death.generation == 1
    assert death.why == "the kernel was killed, as asked"
    assert not is_alive(pid)
    assert alone.kernel.start().generation == 2
    assert alone.reply("kept").ename == "NameError"


def test_a_kernel_that_ends_itself_is_found_dead_with_its_status(alone: Talk) -> None:
    alone.kernel.start()
    alone.kernel.execute(
        "import os, time\nprint('last words', flush=True)\ntime.sleep(0.5)\nos._exit(3)"
    )
    heard = alone.until(Died)
    assert text(heard) == "last words\n"
    assert heard[-1].why == "the kernel process ended with status 3"


def test_nothing_is_lost_while_nobody_takes_what_the_kernel_says(alone: Talk) -> None:
    """Five times ZeroMQ's usual mark of 1,000 messages, while the reading thread stands still."""
    held, let_go = threading.Event(), threading.Event()

    def hold(message: Message) -> None:
        if isinstance(message, Displayed) and not held.is_set():
            held.set()
            let_go.wait(PATIENCE)
        alone.said.put(message)

    done = alone.log.parent / "done"
    alone.kernel = LocalKernel(alone.launcher, hold)
    alone.kernel.start()
    alone.kernel.execute(
        f"for n in range(5000): display(n)\nfrom pathlib import Path; Path({str(done)!r}).touch()"
    )
    assert held.wait(PATIENCE)
    while not done.exists():
        time.sleep(0.02)
    let_go.set()
    shown = [each.output["data"]["text/plain"] for each in alone.until(Replied)[:-1]]
    assert shown == [str(n) for n in range(5000)]


def test_a_cell_may_ask_at_once(alone: Talk) -> None:
    for _ in range(3):
        alone.kernel.start()
        alone.kernel.execute("print(input('who? '))")
        assert alone.until(InputWanted)[-1].prompt == "who? "
        alone.kernel.answer("ada")
        assert text(alone.until(Replied)) == "ada\n"


SLOW_GOODBYE = """
import pathlib, time
kernel = get_ipython().kernel
say = kernel._publish_status_and_flush
def slowly(status, channel, *more):
    ending = kernel._shutdown_message is not None
    time.sleep(0.5 * ending)  # the main thread is at its end by then
    say(status, channel, *more)
    if ending:
        pathlib.Path({said!r}).touch()
kernel._publish_status_and_flush = slowly
"""


def test_a_kernel_that_is_slow_to_say_goodbye_ends_by_itself(alone: Talk, tmp_path: Path) -> None:
    """Its control thread wants to use what its main thread closes."""
    said = tmp_path / "said"
    alone.kernel.start()
    alone.reply(SLOW_GOODBYE.format(said=str(said)))
    alone.kernel.shutdown()
    assert said.exists()


def test_what_a_thread_still_prints_is_delivered_at_the_end(alone: Talk) -> None:
    alone.kernel.start()
    alone.ask(
        "import threading, time\n"
        "def later():\n    time.sleep(3)\n    print('from the thread', flush=True)\n"
        "threading.Thread(target=later).start()"
    )
    pid = int(alone.value("__import__('os').getpid()"))
    alone.kernel.shutdown()
    said = []
    while not alone.said.empty():
        said.append(alone.said.get())
    assert text(said) == "from the thread\n"
    assert not any(isinstance(each, Died) for each in said), "an end that was asked for is no news"
    assert not is_alive(pid)
    alone.kernel.shutdown()  # nothing is left to end


def test_without_a_kernel_nothing_can_be_sent(alone: Talk) -> None:
    with pytest.raises(KernelError, match="no kernel is running"):
        alone.kernel.execute("1")


# ── Kernels that are not there ───────────────────────────────────────────────────────────────


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernelspecs whose program is missing, ends at once, or is no kernel."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    programs = {
        "missing": ["/nowhere/python", "{connection_file}"],
        "ending": [sys.executable, "-c", "import sys; sys.exit('no licence')"],
    }
    for name, argv in programs.items():
        folder = tmp_path / "jupyter" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": argv, "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))


def test_a_kernel_that_is_not_installed_is_an_error_that_lists_those_that_are(
    broken: None,
) -> None:
    with pytest.raises(RunbookError, match=r"no kernel named 'julia'.*--kernel") as raised:
        find_kernelspec("julia")
    for name in ("ending", "missing", "python3"):
        assert name in str(raised.value)


@pytest.mark.parametrize("name", [None, ""])
def test_a_notebook_that_names_no_kernel_is_an_error_that_lists_them(name: str | None) -> None:
    with pytest.raises(RunbookError, match=r"names no kernel.*python3"):
        find_kernelspec(name)


def test_an_installed_kernel_is_found() -> None:
    assert find_kernelspec("python3").language == "python"


def test_a_kernel_is_found_where_ipython_2_had_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kernels" / "old"
    folder.mkdir(parents=True)
    spec = {"argv": ["old"], "display_name": "Old", "language": "cobol"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    assert find_kernelspec("old").language == "cobol"


def test_a_kernel_is_found_without_all_of_ipython() -> None:
    seen = (
        "import sys\n"
        "from nbrun.kernel.jupyter_adapter import find_kernelspec\n"
        "print(find_kernelspec('python3').language, 'IPython' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["python", "False"]


@pytest.mark.parametrize(
    ("name", "why"), [("missing", "/nowhere/python"), ("ending", "ended before it was ready")]
)
def test_a_kernel_that_does_not_start_is_an_error_that_names_the_log(
    tmp_path: Path, broken: None, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    talk = Talk(tmp_path, name)
    began = time.monotonic()
    with pytest.raises(KernelError, match=f"'{name}' did not start") as raised:
        talk.kernel.start()
    assert time.monotonic() - began < 20
    assert why in str(raised.value)
    assert str(talk.log) in str(raised.value)
    assert list(sockets.iterdir()) == []
    talk.kernel.shutdown()
    if name == "ending":
        assert "no licence" in talk.log.read_text()


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


def test_a_reply_that_an_interrupt_costs_does_not_leave_the_run_waiting(talk: Talk) -> None:
    request = talk.kernel.execute(LOSES_ITS_REPLY)
    talk.until(TextPrinted)
    talk.kernel.interrupt()
    replied = talk.until(Replied)[-1]
    assert (replied.request, replied.ename) == (request, "KeyboardInterrupt")
    assert "no reply" in replied.evalue
    assert talk.value("6 * 7") == "42"


def test_an_interrupt_that_is_answered_is_answered_once(talk: Talk) -> None:
    request = talk.kernel.execute("print('on', flush=True)\nimport time; time.sleep(600)")
    talk.until(TextPrinted)
    talk.kernel.interrupt()
    replied = talk.until(Replied)[-1]
    assert (replied.request, replied.ename, replied.evalue) == (request, "KeyboardInterrupt", "")
    assert talk.value("6 * 7") == "42"
