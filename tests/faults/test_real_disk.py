"""P3 and P12 with the real command, a real kernel, and a real file system that fails."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nbrun import events as ev
from tests.build_notebooks import code
from tests.e2e.terminal import TELL_PID, Desk, is_gone, wait_until

SAFE = "what was recorded before is kept"


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Path]:
    """A file system of 2 MiB where the runs are kept."""
    disk = desk.folder / "disk"
    disk.mkdir()
    size = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(disk)]
    mounted = shutil.which("mount") and subprocess.run(size, capture_output=True, check=False)
    if not mounted or mounted.returncode:
        pytest.skip("a file system can't be mounted here: that takes root, on Linux")
    desk.runs = disk / "runs"
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fails_in_the_middle(
    desk: Desk, trouble: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Two steps with an effect each; between them the journal can't be written any more."""
    effects = desk.folder / "effects"
    effect = f"open({str(effects)!r}, 'a').write"
    desk.book(
        code(TELL_PID + f"{effect}('one\\n')", id="one"),
        code(trouble, id="trouble"),
        code(f"{effect}('three\\n')", id="three"),
    )
    done = desk.unattended(*options)
    assert effects.read_text() == "one\n", "a step was sent after the record had failed"
    assert [each.step for each in desk.events(ev.AttemptFinished)] == ["one"]
    assert desk.events(ev.AttemptStarted)[-1].step == "trouble"
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done


def kernel_of(desk: Desk) -> int:
    return int(desk.printed("one").split()[1])


def test_a_full_disk_stops_the_run_and_is_named(desk: Desk, small_disk: Path) -> None:
    fill = f"open({str(small_disk / 'filler')!r}, 'wb').write(bytes(10**7))"
    done = fails_in_the_middle(
        desk, f"try:\n    {fill}\nexcept OSError:\n    pass\nprint('x' * 10**6)"
    )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert SAFE in done.stderr
    assert "step 2, attempt 1 ended" in done.stderr
    wait_until(lambda: is_gone(kernel_of(desk)))


def test_on_a_read_only_disk_nothing_is_run_and_it_is_named(desk: Desk, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    effects = desk.folder / "effects"
    desk.book(code(f"open({str(effects)!r}, 'w')", id="one"))
    done = desk.unattended()
    assert done.returncode == 1
    assert "can't make the run's folder: Read-only file system" in done.stderr
    assert not effects.exists()


def test_a_limit_on_the_size_of_files_stops_the_run_and_is_named(desk: Desk) -> None:
    limited = (
        "import resource, os; resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (1000, 1000))"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("another process's limits can be set on Linux alone")
    done = fails_in_the_middle(desk, limited)
    assert done.returncode == 1
    assert "File too large" in done.stderr


@pytest.mark.parametrize(
    ("touch", "told"),
    [
        ("open(journal, 'a').write('{}\\n')", "was written to by something else"),
        ("os.truncate(journal, os.path.getsize(journal) - 1)", "was cut short"),
        ("os.remove(journal)", "was deleted or moved away"),
    ],
    ids=["appended to", "cut", "deleted"],
)
def test_a_cell_that_touches_the_journal_is_found_out_before_the_next_step(
    desk: Desk, touch: str, told: str
) -> None:
    effects = desk.folder / "effects"
    find = f"import glob, os\njournal, = glob.glob({str(desk.runs)!r} + '/*/journal.jsonl')\n"
    desk.book(code(find + touch, id="one"), code(f"open({str(effects)!r}, 'w')", id="two"))
    done = desk.unattended()
    assert done.returncode == 7
    assert told in done.stderr or "the record is damaged" in done.stderr  # who sees it first
    assert not effects.exists()
    checked = desk.command("verify", str(desk.runs))
    assert checked.returncode in (7, 8)


def test_it_is_on_the_screen_within_a_second(desk: Desk, small_disk: Path) -> None:
    """A cell that goes on for a minute, and a disk that fills up from elsewhere meanwhile."""
    desk.book(code("import time\nfor n in range(600): print('line', n); time.sleep(0.1)", id="a"))
    terminal = desk.start()
    terminal.until("line 3")
    with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    began = time.monotonic()
    terminal.until("the journal can't be written: No space left on device")
    assert time.monotonic() - began < 1.5  # a second, and the cell's next line
    assert terminal.wait() == 1
    assert "step 1, attempt 1 ended" in terminal.words()
