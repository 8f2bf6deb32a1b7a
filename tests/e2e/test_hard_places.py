"""Adverse conditions: closed pipes, unusual environments, kernels that never start."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

REASON = "reason (Enter for none, Ctrl-C to go back):"
NBRUN = f"{shlex.quote(sys.executable)} -m nbrun"


@pytest.mark.sweep
@pytest.mark.parametrize("leave", ["exit(1)", "quit(2)", "exit('no')", "import sys; sys.exit(1)"])
def test_cell_that_exits_with_an_error_fails(desk: Desk, leave: str) -> None:
    desk.book(code(leave, id="check"), code("print('on')", id="next"))
    ended = desk.unattended()
    assert ended.returncode == 4, ended.stdout
    assert desk.attempts() == [("check", 1, "error")]


@pytest.mark.sweep
@pytest.mark.parametrize("leave", ["exit()", "quit()", "exit(0)", "exit"])
def test_cell_that_exits_without_an_error_ends_the_run(desk: Desk, leave: str) -> None:
    desk.book(code(leave, id="check"), code("print('on')", id="next"))
    assert desk.unattended().returncode == 0
    assert desk.attempts() == [("check", 1, "ok")]


def test_shell_command_that_reads_stdin_does_not_hang(desk: Desk) -> None:
    desk.book(code("!read -p 'go? ' x", id="ask"))
    assert desk.unattended().returncode == 4
    assert desk.attempts() == [("ask", 1, "error")]


@pytest.mark.sweep
def test_shell_command_that_reads_stdin_fails_at_once_when_attended(desk: Desk) -> None:
    desk.book(code("!read -p 'go? ' x", id="ask"))
    terminal = desk.start()
    terminal.until("a shell command gets no input: ask with input() instead")
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "no")
    assert terminal.wait() == 3
    assert desk.attempts() == [("ask", 1, "error")]


@pytest.mark.sweep
def test_run_continues_when_stdout_is_closed(desk: Desk) -> None:
    desk.book(code("for n in range(20_000): print(n)", id="much"), code("print('done')", id="last"))
    ended = subprocess.run(
        [
            "bash",
            "-c",
            f"{NBRUN} start runbook.ipynb </dev/null | head -3; exit ${{PIPESTATUS[0]}}",
        ],
        cwd=desk.folder,
        env=desk.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert desk.attempts() == [("much", 1, "ok"), ("last", 1, "ok")]
    assert desk.events(ev.RunFinished)[0].outcome == "completed"


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("name", "value"),
    [("XDG_RUNTIME_DIR", "/nonexistent"), ("TMPDIR", "long"), ("PYTHONIOENCODING", "ascii")],
)
def test_run_completes_in_an_unusual_environment(desk: Desk, name: str, value: str) -> None:
    if value == "long":
        value = str(desk.folder / ("x" * 100))
        Path(value).mkdir()
    desk.book(code("print('h\\u00e9llo')", id="one"))
    environment = desk.environment() | {name: value}
    ended = subprocess.run(
        [sys.executable, "-m", "nbrun", "start", "runbook.ipynb"],
        cwd=desk.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == b""


@pytest.mark.sweep
def test_ctrl_c_aborts_a_kernel_that_never_starts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jupyter = desk.folder / "jupyter"
    folder = jupyter / "kernels/never"
    folder.mkdir(parents=True)
    spec = {"argv": ["sleep", "300"], "display_name": "never", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setattr(
        desk, "environment", lambda plain=desk.environment: plain() | {"JUPYTER_PATH": str(jupyter)}
    )
    desk.book(code("print(1)", id="one"))
    terminal = desk.start("--kernel", "never")
    terminal.until("starting the kernel never")
    terminal.press("ctrl-c")
    terminal.until("the operator gave up waiting")
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "no kernel today")
    assert terminal.wait() == 5
    (finished,) = desk.events(ev.RunFinished)
    assert finished.why.endswith("no kernel today")
    assert desk.attempts() == []


def test_signal_that_cancels_a_run_is_recorded_as_the_reason(desk: Desk) -> None:
    desk.book(code("import time; print('be' + 'gun', flush=True); time.sleep(60)", id="one"))
    terminal = desk.start()
    terminal.until("begun")
    os.kill(desk.supervisor(), signal.SIGTERM)
    assert terminal.wait() == 5
    (finished,) = desk.events(ev.RunFinished)
    assert finished.why.endswith("the supervisor got SIGTERM")


@pytest.mark.sweep
def test_table_of_a_killed_run_shows_the_attempt_in_flight(desk: Desk) -> None:
    desk.book(code("import time; print('be' + 'gun', flush=True); time.sleep(60)", id="one"))
    terminal = desk.start()
    terminal.until("begun")
    desk.kill_supervisor()
    assert terminal.wait() == 6
    assert "the run's supervisor is gone" in terminal.text()
    table = desk.command("log", "--steps")
    assert "indeterminate" in table.stdout
    assert desk.notebook().metadata.nbrun.outcome is None


def test_ctrl_c_at_the_kill_question_keeps_the_question(desk: Desk) -> None:
    desk.book(
        code(
            "import signal, time\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "print('deaf' + ' now', flush=True)\n"
            "while True: time.sleep(1)",
            id="deaf",
        )
    )
    terminal = desk.start()
    terminal.until("deaf now")
    terminal.press("ctrl-c")
    terminal.until("interrupting the step")
    terminal.press("ctrl-c")
    terminal.prompted("kill the kernel? [y/N]")
    terminal.press("ctrl-c")
    terminal.until(lambda: len(desk.events(ev.KernelInterrupted)) == 2)
    terminal.press("ctrl-c")  # within two seconds of the first, or it is a first itself
    if len(desk.events(ev.KernelInterrupted)) > 2:
        terminal.press("ctrl-c")
    terminal.answer("kill the kernel? [y/N]", "y")
    terminal.prompted("step 1>")
    assert desk.attempts() == [("deaf", 1, "kernel_died")]


@pytest.mark.sweep
def test_python_settings_reach_the_kernel_and_not_nbrun(desk: Desk) -> None:
    desk.variables = {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
    desk.book(code("import sys; print(sys.warnoptions, sys.flags.dev_mode)", id="one"))
    ended = desk.unattended()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert desk.printed("one") == "['default', 'error'] True\n"
    assert "/zmq/" not in (desk.run / "supervisor.log").read_text()


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_file_gets_colours_and_no_redrawn_screen_when_asked_for(desk: Desk, variable: str) -> None:
    desk.variables = {variable: "1"}
    desk.book(code("import time; print('one', flush=True); time.sleep(0.5); print('two')", id="a"))
    ended = desk.unattended()
    assert ended.returncode == 0
    codes = set(re.findall(r"\x1b\[[0-9;?]*([A-Za-z])", ended.stdout))
    assert codes == {"m"}
    assert ended.stdout.count("one\n") == 1


def test_command_for_a_secret_that_hangs_is_named_and_ends_on_ctrl_c(desk: Desk) -> None:
    desk.book(code("token = ''", id="p", tags=["parameters"]), code("print(1)", id="one"))
    terminal = desk.start("-p", "token=@cmd:sh -c 'trap : INT; sleep 60; sleep 60'")
    terminal.until("nbrun: waiting for the command sh -c")
    terminal.press("ctrl-c")
    assert terminal.wait() == 130
    assert not desk.runs.exists()


@pytest.mark.sweep
def test_watch_says_that_the_record_was_deleted(desk: Desk) -> None:
    desk.book(code("import time; print('be' + 'gun', flush=True); time.sleep(60)", id="one"))
    desk.command("start", "runbook.ipynb", "--detach")
    watch = desk.open("watch", "last")
    watch.until("begun")
    supervisor, kernel = desk.supervisor(), desk.kernel()
    shutil.rmtree(desk.runs)
    watch.until("was deleted, and the record with it")
    assert watch.wait() == 1
    assert "Traceback" not in watch.text()
    for pid in (supervisor, kernel):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_signals_that_were_ignored_stay_ignored(desk: Desk) -> None:
    desk.book(
        code(
            "import os, time; print('be' + 'gun', flush=True)\n"
            "while not os.path.exists('go'): time.sleep(0.05)",
            id="one",
        )
    )
    desk.nbrun = ["bash", "-c", f"trap '' INT HUP QUIT; exec {NBRUN} \"$@\"", "bash"]
    terminal = desk.start()
    terminal.until("begun")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        terminal.signal(number)
    (desk.folder / "go").touch()
    assert terminal.wait() == 0
    assert desk.decisions() == []


def test_deleted_working_folder_and_unreadable_names_have_words(desk: Desk) -> None:
    desk.book(code("print(1)", id="one"))
    environment = desk.environment()

    def complain(script: str) -> str:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=desk.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return f"{done.returncode}: {done.stderr.splitlines()[0]}"

    start = f"{NBRUN} start"
    gone = "2: nbrun: the working folder was deleted: change to another one (cd)"
    assert complain(f"mkdir gone; cd gone; rmdir ../gone; {start} ../runbook.ipynb") == gone
    name = r"$'caf\xe9.ipynb'"
    refused = complain(f"cp runbook.ipynb {name}; {start} {name}")
    assert refused.startswith(f"2: nbrun: {desk.folder}/caf\\xe9.ipynb: the name is not text")


@pytest.mark.sweep
def test_colleagues_runbook_with_another_alphabet_breaks_no_list(desk: Desk) -> None:
    desk.book(code("print(1)", id="one"))
    desk.unattended()
    (desk.folder / "runbook.ipynb").rename(desk.folder / "größe.ipynb")
    desk.command("start", "größe.ipynb")
    desk.variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in ("runs", "runs --json", "review runbook.ipynb", "log", "verify last"):
        done = desk.command(*command.split())
        assert (command, done.returncode, done.stderr) == (command, 0, "")


def test_process_1_of_a_container_says_that_the_run_ends_with_it(desk: Desk) -> None:
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, "true"], check=False).returncode
    ):
        pytest.skip("this user can't create a process namespace")
    desk.book(code("print(1)", id="one"))
    desk.nbrun = [*namespace, *desk.nbrun]
    detached = desk.unattended("--detach")
    assert detached.returncode == 2
    assert "a detached run would be killed at once" in detached.stderr
    assert not desk.runs.exists()
    ended = desk.unattended()
    assert (ended.returncode, desk.attempts()) == (0, [("one", 1, "ok")])
    assert "the run can't outlive it" in ended.stderr
