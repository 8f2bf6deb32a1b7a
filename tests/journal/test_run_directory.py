"""Where runs are kept, and how one is found by what a person calls it."""

import os
import re
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbrun.errors import JournalError, RunNotFoundError
from nbrun.journal.run_directory import RunDirectory, all_runs, create, find, new_id

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kept(parent: Path, *names: str) -> list[RunDirectory]:
    """Runs of those names, each with a journal."""
    made = [RunDirectory(parent / name) for name in names]
    for run in made:
        run.path.mkdir(parents=True)
        run.journal.touch()
    return made


# ── Making one ───────────────────────────────────────────────────────────────────────────────


def test_a_run_is_named_by_its_time_its_runbook_and_chance(tmp_path: Path) -> None:
    run = create(tmp_path, new_id(Path("/srv/restore.ipynb"), NOON))
    assert re.fullmatch(r"20261123-120000-restore-[a-z0-9]{4}", run.id)
    assert run.path.parent == tmp_path


def test_the_time_in_the_name_is_utc_wherever_the_clock_is(tmp_path: Path) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    run = create(tmp_path, new_id(Path("r.ipynb"), NOON.astimezone(kathmandu)))
    assert run.id.startswith("20261123-120000-")


@pytest.mark.parametrize("umask", [0, 0o027, 0o777])
def test_a_run_is_for_its_owner_alone_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        run = create(tmp_path / "runs", new_id(Path("restore.ipynb")))
    finally:
        os.umask(before)
    assert mode(run.path) == 0o700
    assert mode(run.path.parent) & 0o077 == 0


def test_a_folder_of_runs_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    create(tmp_path, new_id(Path("restore.ipynb")))
    assert mode(tmp_path) == 0o750


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    ids = {create(tmp_path, new_id(Path("restore.ipynb"), NOON)).id for _ in range(20)}
    assert len(ids) == 20


def test_a_run_that_cannot_be_kept_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"file.*can't create the run's folder: Not a directory"):
        create(tmp_path / "file" / "runs", new_id(Path("restore.ipynb")))


@pytest.mark.parametrize(
    ("runbook", "stem"),
    [
        ("restore.ipynb", "restore"),
        ("Restore the DB (v2).ipynb", "Restore-the-DB-v2"),
        ("-rf.ipynb", "rf"),
        (".hidden.ipynb", "hidden"),
        ("пример.ipynb", "runbook"),
        ("a\nb;c'd.ipynb", "a-b-c-d"),
        ("x" * 200 + ".ipynb", "x" * 60),
    ],
)
def test_a_runbooks_name_is_made_fit_for_a_file_name(
    tmp_path: Path, runbook: str, stem: str
) -> None:
    run = create(tmp_path, new_id(Path(runbook), NOON))
    assert run.id[:-4] == f"20261123-120000-{stem}-"
    assert run.notebook(runbook) == run.path / f"{stem}.ipynb"


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1))
def test_no_name_of_a_runbook_leads_out_of_the_folder(name: str) -> None:
    notebook = RunDirectory(Path("/runs/one")).notebook(name)
    assert notebook.parent == Path("/runs/one")
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.ipynb", notebook.name)


def test_a_run_knows_its_files() -> None:
    run = RunDirectory(Path("/runs/one"))
    assert (run.id, run.journal, run.log) == (
        "one",
        Path("/runs/one/journal.jsonl"),
        Path("/runs/one/supervisor.log"),
    )


# ── Finding one ──────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_newest_first_and_nothing_else(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "20251231-235959-b-aaaa", "20260101-000000-a-aaaa")
    (tmp_path / "20270101-000000-no-journal").mkdir()
    (tmp_path / "a file").touch()
    assert all_runs(tmp_path) == [new, old]


def test_there_are_no_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert all_runs(tmp_path / "none") == []


def test_a_run_is_found_by_its_id_a_part_of_it_or_as_the_last(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "20260101-000000-restore-ab12", "20260102-000000-rotate-cd34")
    assert find(tmp_path, old.id) == old
    assert find(tmp_path, "ab12") == old
    assert find(tmp_path, "rotate") == new
    assert find(tmp_path, "last") == new


def test_a_whole_id_is_found_though_it_is_a_part_of_another(tmp_path: Path) -> None:
    short, _ = kept(tmp_path, "restore", "restore-again")
    assert find(tmp_path, "restore") == short


def test_a_run_is_found_by_its_path_or_its_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = kept(tmp_path / "elsewhere", "one")
    none = tmp_path / "none"
    assert find(none, str(run.path)) == run
    assert find(none, str(run.journal)) == run
    monkeypatch.chdir(run.path.parent)
    assert find(none, "one") == run
    monkeypatch.setenv("HOME", str(run.path.parent))
    assert find(none, "~/one") == run


@pytest.mark.parametrize("called", ["nothing", "last", "~nobody-of-this-name", "x" * 5000, "a\0b"])
def test_a_run_that_is_not_there_is_an_error_that_says_where_was_looked(
    tmp_path: Path, called: str
) -> None:
    with pytest.raises(RunNotFoundError, match="no run called") as raised:
        find(tmp_path, called)
    assert str(tmp_path) in str(raised.value)


def test_a_part_of_many_ids_lists_some_of_them(tmp_path: Path) -> None:
    runs = kept(tmp_path, *(f"2026010{day}-000000-restore-ab12" for day in range(1, 8)))
    with pytest.raises(RunNotFoundError) as raised:
        find(tmp_path, "restore")
    assert "'restore' matches 7 runs" in str(raised.value)
    assert runs[-1].id in str(raised.value)
    assert str(raised.value).endswith(" and 2 more")
