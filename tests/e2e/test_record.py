"""The record of a run: complete after a crash, exported, replayed and private."""

import hashlib
import json
import subprocess
import sys
import termios
from pathlib import Path

import nbformat
import pytest

from nbrun import __version__
from nbrun.core import events as ev
from nbrun.journal.codec import encode
from tests.support.build_notebooks import code, markdown
from tests.support.terminal import TELL_PID, Desk

REASON = "reason (Enter for none, Ctrl-C to go back):"

COUNT = """import time
for n in range(10_000):
    print('line', n, flush=True)
    time.sleep(0.02)"""


@pytest.mark.sweep
@pytest.mark.parametrize("until", [0, 7, 60])
def test_killed_run_has_recorded_all_that_was_shown(desk: Desk, until: int) -> None:
    desk.book(
        code(TELL_PID + "1 / 0", id="fails"),
        code("print('this ran')", id="first"),
        code(COUNT, id="counts"),
    )
    terminal = desk.start()
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "")
    terminal.until(f"\nline {until}\n")
    desk.kill_supervisor()
    assert terminal.wait() == 6
    assert desk.events(ev.AttemptStarted)[-1].step == "counts"
    assert desk.attempts() == [("fails", 1, "error"), ("first", 1, "ok")]
    assert f"line {until}\n" in desk.printed("counts")  # what a person saw was written before
    assert desk.events(ev.RunFinished) == []
    desk.notebook()
    listed = desk.command("runs")
    assert "interrupted" in listed.stdout
    assert json.loads(desk.command("runs", "--json").stdout)["status"] == "interrupted"
    told = desk.command("log")
    assert told.returncode == 0
    assert "this ran" in told.stdout
    assert f"line {until}\n" in told.stdout
    made = desk.command("export", "last", "--notebook")
    assert made.returncode == 0
    assert len(desk.code_cells()) == 3
    assert desk.code_cells()[-1].metadata.nbrun.outcome == "indeterminate"


@pytest.mark.sweep
def test_run_of_runbook_outside_ascii_keeps_its_letters(desk: Desk) -> None:
    desk.book(code("print('seen')")).rename(desk.folder / "データベース 復旧.ipynb")
    assert desk.command("start", "データベース 復旧.ipynb").returncode == 0
    assert "-データベース-復旧-" in desk.run.name
    assert [path.name for path in desk.run.glob("*.ipynb")] == ["データベース-復旧.ipynb"]
    assert desk.command("verify", "データベース").returncode == 0
    exported = desk.command("export", "データベース", "--markdown")
    assert exported.stdout.endswith("データベース-復旧.md\n")
    assert desk.run.name in desk.command("runs").stdout


@pytest.mark.sweep
def test_torn_last_line_is_reported_and_saved(desk: Desk) -> None:
    desk.book(code("print('seen')", id="one"))
    assert desk.unattended().returncode == 0
    journal = desk.run / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    told = desk.command("log")
    assert told.returncode == 0
    assert "seen" in told.stdout
    assert "a torn last line" in told.stdout
    (aside,) = desk.run.glob("journal.jsonl.torn-at-*")
    assert whole.endswith(aside.read_bytes() + whole[-20:])
    first, second, rest = whole.split(b"\n", 2)
    journal.write_bytes(b"\n".join([first, second.replace(b"python3", b"python2"), rest]))
    altered = desk.command("log")
    assert altered.returncode == 7
    assert "line 3" in altered.stderr
    assert len(altered.stderr.splitlines()) == 1


@pytest.mark.sweep
def test_output_notebook_shows_attempts_and_decisions_in_order(desk: Desk) -> None:
    desk.book(
        markdown("# Look at the *disk*"),
        code("print('disk ' + 'is fine')", id="look"),
        markdown("# Mend it"),
        code("print('mend' + 'ing'); 1 / 0", id="mend"),
        code("left = 'never run'", id="left"),
    )
    desk.editor_does("1c print('in' + 'serted')")
    terminal = desk.start("--reason", "the disk alarm")
    terminal.answer("step 2>", "n smells * of <b>smoke</b>")
    terminal.answer("step 2>", "r")
    terminal.answer(REASON, "perhaps a glitch")
    terminal.answer("step 2>", "i")
    terminal.answer("run this? [y/N]", "y")
    terminal.answer(REASON, "")
    terminal.until("inserted\n")
    terminal.answer("step 2>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "mended by hand")
    assert terminal.wait() == 5

    cells = desk.notebook().cells
    assert [cell.cell_type[0] for cell in cells[:3]] == ["m", "m", "c"]
    assert "the disk alarm" in cells[0].source
    assert "cancelled" in cells[0].source
    assert "Look at the" in cells[1].source
    ran = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.source for cell in ran[:4]] == [
        "print('disk ' + 'is fine')",
        "print('mend' + 'ing'); 1 / 0",
        "print('mend' + 'ing'); 1 / 0",
        "print('in' + 'serted')",
    ]
    assert [cell.execution_count for cell in ran] == [1, 2, 3, 4, None]
    assert ran[-1] is cells[-1]
    assert "left = 'never run'" in ran[-1].source
    assert ran[-1].outputs == []
    assert [cell.metadata.nbrun.get("attempt") for cell in ran] == [1, 1, 2, 1, None]
    told = [cell.source for cell in cells if cell.cell_type == "markdown"]
    for words in ("perhaps a glitch", "mended by hand", "smoke"):
        assert len([source for source in told if words in source]) >= 1, words
    assert not any("<b>smoke" in source for source in told)

    (path,) = desk.run.glob("*.ipynb")
    own = path.read_bytes()
    assert desk.finish().notebook_sha256 == hashlib.sha256(own).hexdigest()
    elsewhere = desk.folder / "made again.ipynb"
    assert desk.command("export", "last", str(elsewhere), "--notebook").returncode == 0
    assert elsewhere.read_bytes() == own
    path.unlink()
    assert desk.command("export", desk.run.name[-4:], "--notebook").returncode == 0
    assert path.read_bytes() == own
    nbformat.validate(nbformat.read(elsewhere, as_version=4))

    again = desk.command("start", str(elsewhere))
    assert again.returncode == 2
    assert "is the record of a run" in again.stderr
    assert len(desk.all_runs()) == 1

    check_log_and_runs(desk)


def check_log_and_runs(desk: Desk) -> None:
    """Check `nbrun log` and `nbrun runs` of the run above."""
    whole = desk.command("log").stdout
    for shown in ("disk is fine", "mending", "ZeroDivisionError", "perhaps a glitch", "cancelled"):
        assert shown in whole
    quiet = desk.command("log", "--no-output").stdout
    assert "disk is fine" not in quiet
    assert "perhaps a glitch" in quiet
    steps = desk.command("log", "--steps").stdout
    words = " ".join(steps.split())
    assert "disk is fine" not in words
    for shown in ("off script", "note", "smells * of <b>smoke</b>", "retry", "mended by hand"):
        assert shown in words
    one = desk.command("log", "--step", "1").stdout
    assert "disk is fine" in one
    assert "mending" not in one
    assert "mending" in desk.command("log", "--step", "mend").stdout
    assert desk.command("log", "--step", "9").returncode == 2
    lines = desk.command("log", "--json").stdout.splitlines()
    assert lines == [encode(record).decode() for record in desk.journal()]
    paced = desk.command("log", "--timing", "--speed", "100", "--max-wait", "0.1")
    assert paced.stdout == whole
    on_screen = desk.open("log", "--timing", "--speed", "100", "--max-wait", "0.1")
    assert on_screen.wait() == 0
    for shown in ("disk is fine", "mending", "perhaps a glitch", "cancelled, off script at"):
        assert shown in on_screen.text()

    (line,) = map(json.loads, desk.command("runs", "--json").stdout.splitlines())
    assert line["run"] == desk.run.name
    assert (line["status"], line["off_script"]) == ("cancelled", True)
    listed = desk.open("runs", columns=160)
    assert listed.wait() == 0
    assert desk.run.name in listed.text()
    assert "cancelled" in listed.text()


def test_record_is_readable_by_its_operator_alone(desk: Desk) -> None:
    desk.book(code("1", id="one"))
    assert desk.unattended().returncode == 0
    assert desk.run.stat().st_mode & 0o777 == 0o700
    for name in ("journal.jsonl", "runbook.ipynb"):
        assert (desk.run / name).stat().st_mode & 0o777 == 0o600


def test_nbrun_is_a_jupyter_subcommand(desk: Desk) -> None:
    script = Path(sys.executable).with_name("jupyter-nbrun")
    told = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert told.returncode == 0
    assert told.stdout == f"nbrun {__version__}\n"


@pytest.mark.sweep
def test_keys_control_playback(desk: Desk) -> None:
    desk.book(*(code(f"import time; time.sleep(0.4); print('dul' + 'l {n}')") for n in range(3)))
    assert desk.unattended().returncode == 0
    terminal = desk.open("log", "last", "--timing", "--speed", "0.02")
    terminal.until("space: pause")
    terminal.type_ahead("3g")
    terminal.until("paused at this step")
    assert "dull 1" in terminal.text()
    assert "dull 2" not in terminal.text()

    def gone(keys: str, to: str, from_: str) -> str:
        """Press `keys`; return what is shown after them, up to the step that they lead to."""
        since = terminal.screen.cursor_line
        terminal.type_ahead(keys)
        terminal.until(lambda: f"running step {to}" in terminal.screen.text(since))
        told = terminal.screen.text(since)
        assert "paused at this step" in told
        assert f"step {to} of 3 · import time; time.sleep(0.4); print('dul'" in told
        assert f"step {from_} of 3 · import" not in told.split("paused at")[1]
        return told

    for keys, to, from_ in (("b", "2", "3"), ("b", "1", "2"), ("3g", "3", "9"), ("1g", "1", "3")):
        told = gone(keys, to, from_)
        assert ("dull 0" in told, "dull 1" in told) == (
            (True,) * 2 if keys == "3g" else (False,) * 2
        )
    terminal.type_ahead(" >>>>>>>>>>>>")
    assert terminal.wait() == 0
    assert "dull 2" in terminal.text()
    assert "completed, on script" in terminal.text()


def test_playback_restores_the_terminals_echo(desk: Desk) -> None:
    desk.book(code("1"))
    assert desk.unattended().returncode == 0
    terminal = desk.open("log", "last", "--timing")
    terminal.until("space: pause")
    terminal.until(lambda: not termios.tcgetattr(terminal.fd)[3] & termios.ICANON)
    terminal.type_ahead("q")
    assert terminal.wait() == 0
    assert termios.tcgetattr(terminal.fd)[3] & termios.ICANON


@pytest.mark.sweep
def test_record_whose_torn_line_cannot_be_cut_is_readable(desk: Desk) -> None:
    desk.book(code("print('one')", id="one"))
    assert desk.unattended().returncode == 0
    journal = desk.run / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])  # the end of the run is torn
    before = journal.read_bytes()
    no_room = 'ulimit -f 0; exec "$@"'  # no file can grow, as on a full disk
    desk.nbrun = ["bash", "-c", no_room, "bash", *desk.nbrun]
    for command in ("log", "log --steps", "runs", "watch last", "review runbook.ipynb"):
        done = desk.command(*command.split())
        assert "can't be cut" not in done.stderr
        assert done.stdout.strip(), command
    log = desk.command("log")
    assert log.returncode == 0
    assert "the last line is torn" in log.stderr
    assert journal.read_bytes() == before
