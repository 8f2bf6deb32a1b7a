"""Reading a record that anybody may have made: every command answers in words, and soon."""

import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbrun.cli.main import main
from nbrun.journal.codec import GENESIS, digest
from tests.support.build_notebooks import code
from tests.support.planted_run import RUN
from tests.support.terminal import Desk

RECORD = Path(__file__).parent.parent / "records" / "v1" / "journal.jsonl"
LINES = [json.loads(line) for line in RECORD.read_bytes().splitlines()]
COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "--waiting"),
    ("log", RUN),
    ("log", RUN, "--steps"),
    ("log", RUN, "--json"),
    ("watch", RUN),
    ("verify", RUN),
    ("review", str(LINES[0]["runbook"])),
    ("approve", RUN, "--yes"),
    ("cancel", RUN),
    *(("export", RUN, "out", f"--{kind}") for kind in ("notebook", "html", "markdown", "cast")),
)
DEEP = b"[" * 900 + b"]" * 900
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8}


def run(runs: Path, *words: str) -> tuple[int, str]:
    """Run a command in this process, and return its exit code and what it printed."""
    said = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["nbrun", *words]),
        mock.patch.dict(os.environ, {"NBRUN_RUNS_DIR": str(runs)}),
        redirect_stdout(said),
        redirect_stderr(said),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0), said.getvalue()


def forge(folder: Path, lines: list[Any]) -> Path:
    """Write a record of these lines, numbered and chained as nbrun does it."""
    run_folder = folder / RUN
    run_folder.mkdir(parents=True, exist_ok=True)
    run_folder.chmod(0o700)
    prev, made = GENESIS, []
    for line in lines:
        chained = {**line, "prev": prev} if isinstance(line, dict) else line
        text = json.dumps(chained, separators=(",", ":"), ensure_ascii=False).encode()
        text = text.replace(b'"<deep>"', DEEP)  # as text: no tool of the test could carry it
        prev = digest(text)
        made.append(text + b"\n")
    journal = run_folder / "journal.jsonl"
    journal.write_bytes(b"".join(made))
    journal.chmod(0o600)
    return run_folder


NASTY = st.sampled_from(
    (
        *(None, True, -1, 2**63, 2**64, 10**400, 1e308, -1e308, "", "\x1b]0;x\x07", "x" * 5000),
        *([], {}, [None], {"": {}}, [[1]], {"text/plain": 7}, {"text/html": [None]}, "<deep>"),
        *("2026-13-99", "../../etc/passwd", "completed", "s1", ["s1", 2], {"a": "<deep>"}),
        *(0, 1, 0.5, "9" * 400),
    )
)


@st.composite
def forged(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Any]:
    """Return the lines of a record in which some values, somewhere, are others; or are missing."""
    lines = json.loads(json.dumps(LINES))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = lines[draw(st.integers(0, len(lines) - 1))]
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            below = place[key]
            if isinstance(below, dict | list) and below and draw(st.booleans()):
                place = below
                continue
            if draw(st.integers(0, 5)) == 0:
                del place[key]
            else:
                place[key] = draw(NASTY)
            break
        lines = [line if isinstance(line, dict) and line else {"event": "output"} for line in lines]
    return lines


def check_commands(lines: list[Any]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        runs = Path(folder)
        for words in COMMANDS:
            forge(runs, lines)
            code, said = run(runs, *(str(runs / word) if word == "out" else word for word in words))
            assert code in CODES, (words, code)
            assert "Traceback" not in said, (words, said)


@pytest.mark.sweep
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(forged())
@example([{**LINES[0], "steps": "<deep>"}, *LINES[1:]])
@example([{**LINES[0], "at": "soon"}, *LINES[1:]])
@example([{**LINES[0], "parameters": {"n": 10**400}}, *LINES[1:]])
@example([LINES[0], *LINES[2:]])
@example([*LINES[:-1], {**LINES[-1], "duration": 1e308, "counts": {"ok": -1}}])
def test_no_forged_value_ends_a_command_with_a_traceback(lines: list[Any]) -> None:
    check_commands(lines)


@pytest.mark.sweep
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(forged())
def test_no_forged_value_of_many_ends_a_command_with_a_traceback(lines: list[Any]) -> None:
    check_commands(lines)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "\u0663"])
def test_seal_of_an_impossible_line_is_an_error_in_words(tmp_path: Path, number: str) -> None:
    statement = f"nbrun-seal 1\nrun {RUN}\nseq {number}\nsha256 {'0' * 64}\n"
    seal = json.dumps({"statement": statement, "signature": ""}, separators=(",", ":"))
    (forge(tmp_path, LINES) / "seals.jsonl").write_text(f"{seal}\n")
    code, said = run(tmp_path, "verify", RUN)
    assert code == 7
    assert "seals.jsonl, line 1: not a seal" in said


@pytest.mark.parametrize("at", ["soon", "2026-11-23T09:31:04"])
def test_interrupted_clone_with_an_impossible_time_takes_no_review_away(
    tmp_path: Path, at: str
) -> None:
    forge(tmp_path, [*LINES[:-2], {**LINES[-2], "at": at}])
    code, said = run(tmp_path, "review", str(LINES[0]["runbook"]))
    assert code == 2
    assert "left out" in said


FINISHED = (
    b'{"v":1,"event":"attempt.finished","step":"one","outcome":"ok","at":"%b","duration":%b%b}\n'
)
NOW = b"2026-11-23T09:31:04.000000Z"


@pytest.mark.sweep
@pytest.mark.parametrize(
    "line",
    [
        FINISHED % (b"\xff", b"1", b""),
        FINISHED % (NOW, b"1", b',"more":' + b"[" * 5000 + b"]" * 5000),
        FINISHED % (b"soon", b"1", b""),
        FINISHED % (NOW, b"1e308", b""),
    ],
)
def test_earlier_record_of_a_colleague_hides_no_step(
    desk: Desk,
    line: bytes,
) -> None:
    """A console shows when each step ran last, from every record in the folder of runs."""
    book = desk.book(code("print('went' + ' on')", id="one"))
    journal = forge(desk.runs, [{**LINES[0], "runbook": str(book)}]) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + line)
    done = desk.unattended()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "last time" not in done.stdout
    assert "print('went' + ' on')" in done.stdout


# ── files that are none ──────────────────────────────────────────────────────────────────────


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("plant", [_fifo, _endless, _hole, _folder])
@pytest.mark.parametrize("name", ["journal.jsonl", "seals.jsonl", "unforwarded"])
def test_no_planted_file_stops_or_fills_a_command(
    tmp_path: Path, plant: Callable[[Path], None], name: str
) -> None:
    policy = {**LINES[0]["policy"], "forward": ["true"]}
    folder = forge(tmp_path, [{**LINES[0], "policy": policy}, *LINES[1:]])
    (folder / name).unlink(missing_ok=True)
    plant(folder / name)
    for words in (("runs",), ("log", RUN), ("watch", RUN), ("verify", RUN), ("cancel", RUN)):
        code, said = run(tmp_path, *words)
        assert code in CODES, (words, code)
        assert "Traceback" not in said, (words, said)


def test_hole_in_the_place_of_a_torn_line_is_not_read_into_memory(tmp_path: Path) -> None:
    folder = forge(tmp_path, LINES[:-1])
    journal = folder / "journal.jsonl"
    size = journal.stat().st_size
    journal.write_bytes(journal.read_bytes() + b'{"v":1')
    _hole(folder / f"journal.jsonl.torn-at-{size}")
    code, said = run(tmp_path, "log", RUN)
    assert code in CODES
    assert "Traceback" not in said
    assert (folder / f"journal.jsonl.torn-at-{size}-2").read_bytes() == b'{"v":1'
