"""Test P13: a cell that prints without limit does not fill nbrun's memory."""

import sys

import pytest

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads the peak of a process's memory from /proc"
)

# The process that owns the kernel is its parent.
PEAK = """import os, re
def peak():
    status = open(f'/proc/{os.getppid()}/status').read()
    return int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1]) // 1024
before = peak()"""
GROWN = "print(peak() - before, 'MiB more')"

FLOODS = {
    "100 MB at once": "print('x' * 100_000_000)",
    "600 MB bit by bit": "for _ in range(60): print('y' * 10_000_000, flush=True)",
    "many small displays": "for n in range(5_000): display(n)",
    "a display updated without end": (
        "shown = display(0, display_id=True)\nfor n in range(2_000): shown.update('z' * 1000)"
    ),
}


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(flood, id=name, marks=() if "at once" in name else pytest.mark.sweep)
        for name, flood in FLOODS.items()
    ],
)
def test_memory_stays_bounded_and_dropped_output_is_reported(desk: Desk, flood: str) -> None:
    desk.book(code(PEAK, id="before"), code(flood, id="flood"), code(GROWN, id="after"))
    done = desk.unattended("--max-output", "1MiB")
    assert done.returncode == 0, done.stderr
    assert desk.attempts() == [("before", 1, "ok"), ("flood", 1, "ok"), ("after", 1, "ok")]
    told = desk.events(ev.OutputCapped)
    last = told[-1]
    assert {(each.step, each.limit) for each in told} == {("flood", 2**20)}
    assert len(told) <= 2  # a kernel may send all of it in one message
    assert last.bytes > told[0].bytes or len(told) == 1
    assert desk.run.joinpath("journal.jsonl").stat().st_size < 4 * 2**20
    assert "output past 1.0 MiB is not kept" in done.stdout
    assert last.sha256 in " ".join(done.stdout.split()).replace(" ", "")
    (remark,) = [cell.source for cell in desk.notebook().cells if "is not kept" in cell.source]
    assert last.sha256 in remark
    grown = int(desk.printed("after").split()[0])
    most = 350 if "0_000_000" in flood else 100  # messages may wait to be read
    assert grown < most, f"{grown} MiB"


@pytest.mark.sweep
def test_large_output_without_cap_is_recorded_without_copies(desk: Desk) -> None:
    flood = "print('line\\n' * 20_000_000)"
    desk.book(code(PEAK, id="before"), code(flood, id="flood"), code(GROWN, id="after"))
    done = desk.unattended("--max-output", "0")
    assert done.returncode == 0, done.stderr
    texts = [each.output["text"] for each in desk.events(ev.Output) if each.step == "flood"]
    assert sum(map(len, texts)) == 100_000_001
    grown = int(desk.printed("after").split()[0])
    came = 120_000_000 >> 20  # MiB: in JSON a newline is two characters
    assert grown < 1.4 * came, f"{grown} MiB"
