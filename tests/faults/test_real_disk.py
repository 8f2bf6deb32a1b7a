"""Test P3 and P12 with the real command, a real kernel, and a real file system that fails."""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import TELL_PID, Desk, is_gone, wait_until

SAFE = "what was recorded before is kept"


@pytest.fixture(scope="session")
def own_mounts() -> None:
    """Move this process into a mount namespace of its own.

    Mounts are visible to this process and its children only, and end with them.
    """
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a file system can't be mounted here: that takes root, on Linux")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        pytest.skip(f"no mounts of one's own here: {os.strerror(ctypes.get_errno())}")
    mount("--make-rprivate", "/")


CLONE_NEWNS = 0x20000  # unshare(2)


def mount(*words: str) -> None:
    """Run mount(8); skip the test if that is not possible."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def small_disk(desk: Desk, own_mounts: None) -> Iterator[Path]:
    """Keep the runs on a file system of 2 MiB."""
    disk = desk.folder / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(disk))
    desk.runs = disk / "runs"
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def failing_disk(desk: Desk, own_mounts: None) -> Iterator[Path]:
    """Keep the runs on ext4, in a file.

    The kernel makes a faulty ext4 read-only while files are open for writing there. No other way
    has that effect.
    """
    image, disk = desk.folder / "image", desk.folder / "disk"
    with image.open("wb") as file:
        file.truncate(8 * 2**20)
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    disk.mkdir()
    mount("-o", "loop", str(image), str(disk))
    desk.runs = disk / "runs"
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fails_in_the_middle(
    desk: Desk, trouble: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run two steps with an effect each; between them, the journal stops being writable."""
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


@pytest.mark.sweep
def test_full_disk_stops_run_and_is_named(desk: Desk, small_disk: Path) -> None:
    fill = f"open({str(small_disk / 'filler')!r}, 'wb').write(bytes(10**7))"
    done = fails_in_the_middle(
        desk, f"try:\n    {fill}\nexcept OSError:\n    pass\nprint('x' * 10**6)"
    )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert SAFE in done.stderr
    assert "step 2, attempt 1 ended" in done.stderr
    wait_until(lambda: is_gone(kernel_of(desk)))


def test_read_only_disk_is_named_and_nothing_runs(desk: Desk, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    effects = desk.folder / "effects"
    desk.book(code(f"open({str(effects)!r}, 'w')", id="one"))
    done = desk.unattended()
    assert done.returncode == 1
    assert "can't create the run's folder: Read-only file system" in done.stderr
    assert not effects.exists()


def joined(text: str) -> str:
    """Return `text` without white space: the terminal breaks lines within words."""
    return "".join(text.split())


@pytest.mark.sweep
def test_disk_turning_read_only_stops_run_within_second(desk: Desk, failing_disk: Path) -> None:
    """A cell runs for a minute, and the journal is open for writing all the time."""
    effects = desk.folder / "effects"
    effect = f"open({str(effects)!r}, 'a').write"
    goes_on = f"import time\nfor n in range(600): print('line', n); {effect}('x'); time.sleep(0.1)"
    desk.book(code(TELL_PID + goes_on, id="a"), code(f"{effect}('two')", id="b"))
    terminal = desk.start()
    kernel = terminal.kernel()
    terminal.until("line 3")
    mount("-o", "remount,abort", str(failing_disk))
    began = time.monotonic()
    terminal.until("the journal can't be written: Read-only file system")
    assert time.monotonic() - began < 1.5  # a second, and the cell's next line
    shown = terminal.text()
    assert joined(SAFE) in joined(shown)
    assert terminal.wait() == 1
    assert joined("Not recorded: how step 1, attempt 1 ended") in joined(shown)
    wait_until(lambda: is_gone(kernel))
    assert "two" not in effects.read_text(), "a step was sent after the record had failed"
    assert [event.step for event in desk.events(ev.AttemptStarted)] == ["a"]
    assert desk.command("verify", str(desk.runs)).returncode == 8


@pytest.mark.sweep
def test_file_size_limit_stops_run_and_is_named(desk: Desk) -> None:
    limited = (
        "import resource, os; resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (1000, 1000))"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("another process's limits can be set on Linux alone")
    done = fails_in_the_middle(desk, limited)
    assert done.returncode == 1
    assert "File too large" in done.stderr


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("touch", "told"),
    [
        ("open(journal, 'a').write('{}\\n')", "was written to by something else"),
        ("os.truncate(journal, os.path.getsize(journal) - 1)", "was cut short"),
        ("os.remove(journal)", "was deleted or moved away"),
        ("with open(journal, 'r+b') as f: f.seek(300); f.write(b'#')", "was overwritten"),
    ],
    ids=["appended to", "cut", "deleted", "overwritten"],
)
def test_change_by_real_cell_is_detected_before_next_step(
    desk: Desk, touch: str, told: str
) -> None:
    effects = desk.folder / "effects"
    find = f"import glob, os\njournal, = glob.glob({str(desk.runs)!r} + '/*/journal.jsonl')\n"
    desk.book(code(find + touch, id="one"), code(f"open({str(effects)!r}, 'w')", id="two"))
    done = desk.unattended()
    seen = {told: 7, "the record is damaged": 7, "can't read the journal: No such file": 1}
    assert (done.returncode, True) in [  # the run itself, or its console before it
        (code, words in done.stderr) for words, code in seen.items()
    ], done.stderr
    assert not effects.exists()
    checked = desk.command("verify", str(desk.runs))
    assert checked.returncode in (7, 8)


@pytest.mark.sweep
def test_full_disk_is_shown_within_second(desk: Desk, small_disk: Path) -> None:
    """A cell runs for a minute, while another program fills the disk."""
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
