"""What is done before the command line is imported, and what is not."""

import subprocess
import sys
import time

import psutil
import pytest

from nbrun import __version__, entry
from nbrun.cli import main as command_line
from nbrun.supervisor import spawn


def test_the_version_is_told_without_importing_the_command_line() -> None:
    code = (
        "import sys; sys.argv = ['nbrun', '--version']; from nbrun.entry import main; main();"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    told, loaded = done.stdout.splitlines()
    assert told == f"nbrun {__version__}"
    assert not {"typer", "rich", "msgspec", "subprocess", "pathlib"}.intersection(loaded.split())


@pytest.mark.parametrize(
    ("words", "started"),
    [
        (["start", "book.ipynb"], 1),
        (["start", "--detach", "book.ipynb"], 1),
        (["start", "--help"], 0),
        (["start", "-h"], 0),
        (["start", "book.ipynb", "--help-parameters"], 0),
        (["log", "start"], 0),
        (["--help"], 0),
        ([], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_supervisor_is_started_ahead_for_a_run_alone(
    words: list[str], started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(sys, "argv", ["nbrun", *words])
    monkeypatch.setattr(spawn, "prestart", lambda: calls.append("ahead"))
    monkeypatch.setattr(command_line, "main", lambda: calls.append("command line"))
    entry.main()
    assert calls == ["ahead"] * started + ["command line"]


def test_the_supervisor_that_was_started_ahead_is_the_one_that_is_ordered() -> None:
    spawn.prestart()
    first, second = spawn.spawn(), spawn.spawn()
    for spawned in (first, second):
        assert spawned.process.stdin is not None
        spawned.process.stdin.close()
    assert first.process.pid != second.process.pid
    assert {spawned.process.wait(60) for spawned in (first, second)} == {0}


def test_one_that_is_never_ordered_ends_with_who_started_it() -> None:
    code = (
        "import sys; sys.argv = ['nbrun', 'start', '--nonsense']\n"
        "from nbrun import entry\nfrom nbrun.supervisor import spawn\n"
        "try:\n    entry.main()\n"
        "except SystemExit as left:\n"
        "    print(spawn._prestarted[0].process.pid, left.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    pid, exit_code = map(int, done.stdout.split())
    assert exit_code == 2
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it waits for an order that never comes"
        time.sleep(0.01)
