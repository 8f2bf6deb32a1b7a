"""Test creating the folders of runs, and finding a run by name."""

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
    """Create runs with these names and empty journals."""
    made = [RunDirectory(parent / name) for name in names]
    for run in made:
        run.path.mkdir(parents=True)
        run.journal.touch()
    return made


# ── Creating ─────────────────────────────────────────────────────────────────────────────────


def test_new_id_has_time_runbook_and_random_suffix(tmp_path: Path) -> None:
    run = create(tmp_path, new_id(Path("/srv/restore.ipynb"), NOON))
    assert re.fullmatch(r"20261123-120000-restore-[a-z0-9]{4}", run.id)
    assert run.path.parent == tmp_path


def test_new_id_has_utc_time_in_any_time_zone(tmp_path: Path) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    run = create(tmp_path, new_id(Path("r.ipynb"), NOON.astimezone(kathmandu)))
    assert run.id.startswith("20261123-120000-")


@pytest.mark.parametrize("umask", [0, 0o027, 0o777])
def test_created_folder_is_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        run = create(tmp_path / "runs", new_id(Path("restore.ipynb")))
    finally:
        os.umask(before)
    assert mode(run.path) == 0o700
    assert mode(run.path.parent) & 0o077 == 0


def test_existing_parent_folder_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    create(tmp_path, new_id(Path("restore.ipynb")))
    assert mode(tmp_path) == 0o750


def test_runs_of_same_second_have_different_ids(tmp_path: Path) -> None:
    ids = {create(tmp_path, new_id(Path("restore.ipynb"), NOON)).id for _ in range(20)}
    assert len(ids) == 20


def test_creation_failure_names_path(tmp_path: Path) -> None:
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
        ("пример.ipynb", "пример"),
        ("データベース 復旧（本番）.ipynb", "データベース-復旧-本番"),
        ("क्षेत्र-बदलें.ipynb", "क्षेत्र-बदलें"),
        ("Sauvegarde d'été.ipynb", "Sauvegarde-d-été"),
        ("e\u0301te\u0301.ipynb", "été"),
        ("a--b.ipynb", "a--b"),
        ("🔥.ipynb", "runbook"),
        ("\udcff.ipynb", "runbook"),
        ("\u202eabc.ipynb", "abc"),
        ("𐌰" * 200 + ".ipynb", "𐌰" * 45),
        ("a\nb;c'd.ipynb", "a-b-c-d"),
        ("x" * 200 + ".ipynb", "x" * 60),
    ],
)
def test_runbook_name_is_sanitized_for_file_names(tmp_path: Path, runbook: str, stem: str) -> None:
    run = create(tmp_path, new_id(Path(runbook), NOON))
    assert run.id[:-4] == f"20261123-120000-{stem}-"
    assert run.notebook(runbook) == run.path / f"{stem}.ipynb"


@given(st.text(st.characters(exclude_characters="/\0"), min_size=1))
def test_notebook_path_stays_in_folder_for_any_name(name: str) -> None:
    notebook = RunDirectory(Path("/runs/one")).notebook(name)
    assert notebook.parent == Path("/runs/one")
    assert re.fullmatch(r"\w[\w.-]*\.ipynb", re.sub(r"[^\x00-\x7f]", "a", notebook.name))
    assert len(notebook.name.encode()) < 200


def test_notebook_of_an_older_run_keeps_its_name() -> None:
    run = RunDirectory(Path("/runs/20260101-000000-runbook-ab12"))
    assert run.notebook("/srv/пример.ipynb").name == "runbook.ipynb"


def test_letters_that_file_names_cannot_hold_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("latin-1"))
    assert new_id(Path("für пример.ipynb"), NOON)[:-4] == "20261123-120000-für-"


def test_a_run_is_found_by_letters_in_any_normal_form(tmp_path: Path) -> None:
    (run,) = kept(tmp_path, "20260101-000000-été-ab12")
    assert find(tmp_path, "e\u0301te\u0301") == run


def test_run_directory_has_paths_of_its_files() -> None:
    run = RunDirectory(Path("/runs/one"))
    assert (run.id, run.journal, run.log) == (
        "one",
        Path("/runs/one/journal.jsonl"),
        Path("/runs/one/supervisor.log"),
    )


# ── Finding ──────────────────────────────────────────────────────────────────────────────────


def test_all_runs_lists_only_runs_newest_first(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "20251231-235959-b-aaaa", "20260101-000000-a-aaaa")
    (tmp_path / "20270101-000000-no-journal").mkdir()
    (tmp_path / "a file").touch()
    assert all_runs(tmp_path) == [new, old]


def test_all_runs_is_empty_without_folder(tmp_path: Path) -> None:
    assert all_runs(tmp_path / "none") == []


def test_find_accepts_id_part_of_id_and_last(tmp_path: Path) -> None:
    old, new = kept(tmp_path, "20260101-000000-restore-ab12", "20260102-000000-rotate-cd34")
    assert find(tmp_path, old.id) == old
    assert find(tmp_path, "ab12") == old
    assert find(tmp_path, "rotate") == new
    assert find(tmp_path, "last") == new


def test_find_prefers_exact_id_over_partial_match(tmp_path: Path) -> None:
    short, _ = kept(tmp_path, "restore", "restore-again")
    assert find(tmp_path, "restore") == short


def test_find_accepts_path_of_folder_or_journal(
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
def test_find_names_searched_folder_if_nothing_matches(tmp_path: Path, called: str) -> None:
    with pytest.raises(RunNotFoundError, match="no run called") as raised:
        find(tmp_path, called)
    assert str(tmp_path) in str(raised.value)


def test_find_lists_some_of_many_matches(tmp_path: Path) -> None:
    runs = kept(tmp_path, *(f"2026010{day}-000000-restore-ab12" for day in range(1, 8)))
    with pytest.raises(RunNotFoundError) as raised:
        find(tmp_path, "restore")
    assert "'restore' matches 7 runs" in str(raised.value)
    assert runs[-1].id in str(raised.value)
    assert str(raised.value).endswith(" and 2 more")
