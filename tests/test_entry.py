"""The console script: what starts before the command line is imported, and what does not."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from nbrun import __version__, entry
from nbrun.cli import main as command_line
from nbrun.cli.commands.operate import start
from nbrun.errors import ExitCode
from nbrun.supervisor import spawn


def test_version_is_printed_without_importing_the_command_line() -> None:
    code = (
        "import sys; sys.argv = ['nbrun', '--version']; from nbrun.entry import main; main();"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    version, loaded = done.stdout.splitlines()
    assert version == f"nbrun {__version__}"
    assert not {"typer", "rich", "msgspec", "subprocess", "pathlib", "typing"}.intersection(
        loaded.split()
    )


def test_python_m_nbrun_is_nbrun() -> None:
    command = [sys.executable, "-m", "nbrun", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "Usage: nbrun" in done.stdout


@pytest.mark.parametrize(
    ("words", "is_prestarted"),
    [
        (["start", "book.ipynb"], True),
        (["start", "--detach", "book.ipynb"], True),
        (["start", "--help"], False),
        (["start", "-h"], False),
        (["start", "book.ipynb", "--help-parameters"], False),
        (["log", "start"], False),
        (["--help"], False),
        ([], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_supervisor_is_prestarted_only_for_a_run(
    words: list[str], is_prestarted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Any] = []
    monkeypatch.setattr(sys, "argv", ["nbrun", *words])
    monkeypatch.setattr(spawn, "spawn", lambda: "supervisor")
    monkeypatch.setattr(command_line, "main", passed.append)
    entry.main()
    assert passed == ["supervisor" if is_prestarted else None]


@pytest.mark.parametrize("prestarted", [None, "prestarted"])
def test_start_uses_the_prestarted_supervisor_if_there_is_one(
    prestarted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Any] = []

    def record(_request: Any, _wanted: Any, supervisor: Any, **_options: Any) -> ExitCode:
        used.append(supervisor)
        return ExitCode.COMPLETED

    monkeypatch.setattr(spawn, "spawn", lambda: "its own")
    monkeypatch.setattr(start, "start", record)
    result = CliRunner().invoke(command_line.app, ["start", "book.ipynb"], obj=prestarted)
    assert (result.exit_code, used) == (0, [prestarted or "its own"])


def test_prestarted_supervisor_exits_with_nbrun_after_a_usage_error(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['nbrun', 'start', '--nonsense']\n"
        "from nbrun import entry\nfrom nbrun.supervisor import spawn\n"
        "started = []\n"
        "original = spawn.spawn\n"
        "spawn.spawn = lambda: started.append(original()) or started[0]\n"
        "try:\n    entry.main()\n"
        "except SystemExit as left:\n"
        "    print(started[0].process.pid, left.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
    )
    pid, exit_code = map(int, done.stdout.split())
    assert exit_code == 2
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the supervisor still waits for a request"
        time.sleep(0.01)
