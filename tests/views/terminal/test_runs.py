"""The list of runs."""

import io

from rich.console import Console

from nbrun.views.terminal.runs import ListedRun, listing

RUN = ListedRun(
    run="20261123-093000-restore-ab12",
    runbook="restore.ipynb",
    parameters={"host": "db1", "n": 3},
    operator="ada",
    started="2026-11-23T09:30:00.000000Z",
    duration=61.5,
    status="completed",
    off_script=True,
)


def shown(*lines, width=100):
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    console.print(listing(list(lines), "/var/runs"), crop=False)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_run_is_two_lines():
    assert shown(RUN) == [
        "20261123-093000-restore-ab12  completed, off script · 1 min 02 s",
        "    restore.ipynb  host=db1  n=3  2026-11-23 09:30:00 UTC by ada",
    ]


def test_unfinished_run_has_no_duration():
    going = ListedRun(
        run="r", runbook="x.ipynb", operator="ada", started=RUN.started, status="running"
    )
    assert shown(going) == ["r  running", "    x.ipynb  2026-11-23 09:30:00 UTC by ada"]


def test_run_that_never_began_has_only_id():
    assert shown(ListedRun(run="r", status="never began"))[0] == "r  never began"


def test_listing_keeps_order_and_aligns_status():
    one = ListedRun(run="bbbb", status="running")
    other = ListedRun(run="a", status="failed")
    assert [line for line in shown(one, other) if line] == ["bbbb  running", "a     failed"]


def test_wide_characters_in_id_keep_the_alignment():
    wide = ListedRun(run="データ", status="running")
    assert shown(ListedRun(run="a", status="failed"), wide)[::2] == [
        "a       failed",
        "データ  running",
    ]


def test_empty_listing_names_folder():
    assert shown() == ["no runs in /var/runs"]


def test_listing_escapes_hostile_text():
    hostile = "[bold]\x1b[2J"
    text = "\n".join(
        shown(ListedRun(run=hostile, runbook=hostile, operator=hostile, parameters={"p": hostile}))
    )
    assert "\x1b" not in text
    assert text.count("[bold]") == 3  # who started it is told with when


def test_id_is_never_cut_on_narrow_terminal():
    assert any(RUN.run in line for line in shown(RUN, width=20))
