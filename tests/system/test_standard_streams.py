"""Standard streams that are closed, full or gone, as a process of its own has them."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import sys
from nbrun.system import standard_streams as streams
streams.protect()
code = 0
try:
    exec(sys.argv[1])
except streams.OutputLostError:
    print('raised', file=sys.stderr)
sys.exit(streams.finish(code))
"""


def run(code: str, redirections: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `code` between `protect` and `finish` in a new Python, with the shell's redirections."""
    shell = f'"$0" -c "$1" "$2" {redirections}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", shell, sys.executable, _PROGRAM, code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | variables,
    )


FULL = "nbrun: stdout can't be written: No space left on device\n"


@pytest.mark.parametrize(
    ("code", "redirections", "status", "stderr"),
    [
        ("print('x')", ">/dev/full", 1, FULL),
        ("print('x'); code = 7", ">/dev/full", 7, FULL),
        ("print('x' * 10**6); code = 3", "| true", 3, ""),
        ("print('x')", ">&-", 0, ""),
        ("streams.raise_if_stdout_is_lost(); print('x', flush=True)", ">&-", 0, ""),
        ("streams.raise_if_stdout_is_lost(); print('x' * 10**6)", "| true", 0, "raised\n"),
        (
            "streams.raise_if_stdout_is_lost(); print('x', flush=True)",
            ">/dev/full",
            1,
            f"raised\n{FULL}",
        ),
        (
            "streams.continue_without_stdout('it goes on'); print('x', flush=True); print('y')",
            ">/dev/full",
            0,
            f"{FULL.rstrip()}: it goes on\n",
        ),
        (
            "streams.continue_without_stdout('it goes on'); print('x')",
            ">&-",
            0,
            "nbrun: stdout is closed: it goes on\n",
        ),
        ("print('x', file=sys.stderr); code = 4", "2>/dev/full", 4, ""),
        ("print('x', file=sys.stderr); code = 4", "2>&-", 4, ""),
        ("code = len(sys.stdin.read())", "<&-", 0, ""),
    ],
)
def test_lost_stream_changes_no_exit_code_but_success(
    code: str, redirections: str, status: int, stderr: str
) -> None:
    done = run(code, redirections)
    assert (done.returncode, done.stderr) == (status, stderr)


def test_file_opened_after_protect_never_takes_the_number_of_a_closed_stream(
    tmp_path: Path,
) -> None:
    done = run(f"f = open({str(tmp_path / 'f')!r}, 'w'); print('x'); code = f.fileno()", "<&- >&-")
    assert done.returncode >= 3
    assert (tmp_path / "f").read_text() == ""


def test_child_inherits_a_stream_that_was_closed(tmp_path: Path) -> None:
    code = "import subprocess; code = subprocess.run(['sh', '-c', 'echo x']).returncode"
    assert run(code, ">&-").returncode == 0


def test_full_nonblocking_pipe_is_waited_for() -> None:
    code = "import os; os.set_blocking(1, False); print('x' * 10**6)"
    done = run(code, "| wc -c")
    assert (done.returncode, done.stdout.strip()) == (0, "1000001")


def test_stream_is_buffered_even_with_pythonunbuffered() -> None:
    """An unbuffered stream drops the rest of a write that a signal has interrupted."""
    done = run(
        "print(type(sys.stdout.buffer).__name__, type(sys.stderr.buffer).__name__)",
        PYTHONUNBUFFERED="1",
    )
    assert done.stdout == "BufferedWriter BufferedWriter\n"


def test_lost_terminal_is_no_failure_at_exit() -> None:
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "sys.stdin.readline(); print('x'); code = 3"],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    os.close(ours)
    _, stderr = program.communicate("\n", timeout=60)
    assert (program.returncode, stderr.splitlines()[:1]) == (
        3,
        ["nbrun: stdout can't be written: Input/output error"],
    )
