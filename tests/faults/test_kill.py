"""Test P2 and P5: when nbrun is killed at any moment, the journal has what the screen showed.

An attempt that was running is never recorded as finished.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import pytest
from rich.console import Console

from nbrun.audit.verify import Standing, Trust, verify
from nbrun.core import events as ev
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.journal.reader import JournalReader
from nbrun.views.export import notebook
from nbrun.views.terminal.view import TerminalView
from tests.support.fault_rig import EFFECTS, Rig

BOUNDARIES = ("write", "fdatasync", "fsync", "replace", "open")


def killed(runs: Path, screen: Path, effects: Path, nth: int, *, after: bool) -> bool:
    """Run in a child process, and kill it before or after its system call number `nth`.

    What was shown is written to `screen`, what the kernel ran to `effects`. Return False if the run
    made fewer calls.
    """
    child = os.fork()
    if child == 0:
        try:
            perform(runs, screen, effects, nth, after=after)
        except BaseException:  # noqa: BLE001  a child must not continue as a test
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def perform(runs: Path, screen: Path, effects: Path, nth: int, *, after: bool) -> None:
    rig = Rig(runs)
    with screen.open("w") as shown, effects.open("w") as done:
        view, state = TerminalView(Console(file=shown, width=200), live=False), RunState()

        def show(record: ev.Record) -> None:
            apply(state, record.event)
            view.show(state, record)
            view.flush()
            shown.flush()

        def run(source: str) -> None:
            done.write(source + "\n")
            done.flush()

        rig.on_publish, rig.kernel.on_execute = show, run
        calls = [0]
        for name in BOUNDARIES:
            setattr(os, name, dying(getattr(os, name), calls, nth, after=after))
        assert rig.perform() is None


def dying(real: object, calls: list[int], nth: int, *, after: bool) -> object:
    def call(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == nth and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)  # type: ignore[operator]
        if calls[0] == nth and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


@pytest.mark.sweep
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after it"])
def test_journal_has_what_was_shown_when_killed_at_any_call(tmp_path: Path, after: bool) -> None:
    for nth in range(1, 500):
        runs, screen, effects = (tmp_path / f"{nth}-{what}" for what in ("runs", "screen", "did"))
        if not killed(runs, screen, effects, nth, after=after):
            assert nth > 30, "hardly a system call was made"
            assert effects.read_text().splitlines() == EFFECTS
            return
        check(runs, screen.read_text(), effects.read_text().splitlines())
    raise AssertionError("no run completed without being killed")


def check(runs: Path, shown: str, effects: list[str]) -> None:
    (folder,) = (path for path in runs.iterdir() if path.is_dir())
    path = folder / "journal.jsonl"
    records = [record.event for record in JournalReader(path)]
    ended = [event for event in records if isinstance(event, ev.AttemptFinished)]
    begun = [event.source for event in records if isinstance(event, ev.AttemptStarted)]
    done = sum(line.startswith(("ok · ", "failed · ")) for line in shown.splitlines())
    assert done <= len(ended), "the screen says done where the journal does not"
    for printed in ("one", "two", "two again", "three"):
        if printed in shown.splitlines():
            assert f"{printed}\n" in [e.output["text"] for e in records if isinstance(e, ev.Output)]
    assert begun[: len(effects)] == effects, "the kernel has code that the journal does not"
    assert len(begun) <= len(effects) + 1
    from nbrun.journal.run_directory import RunDirectory

    if records and not isinstance(records[-1], ev.RunFinished):
        assert verify(RunDirectory(folder), Trust(), notebook.digest).standing is Standing.OPEN
    elif records:
        found = verify(RunDirectory(folder), Trust(), notebook.digest)
        assert found.standing is Standing.UNSEALED, found
