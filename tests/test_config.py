"""What a team has set down in `nbrun.toml`."""

from pathlib import Path

import pytest

from nbrun.config import Config, load
from nbrun.errors import UsageError


def configure(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nbrun.toml"
    path.write_text(text)
    return path


def test_everything_is_unset_where_there_is_no_file(tmp_path: Path) -> None:
    assert load(tmp_path) == Config(runs_dir=None)


def test_a_relative_runs_dir_is_below_the_files_own_folder(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = 'kept/runs'")
    assert load(tmp_path / "a" / "b") == Config(runs_dir=tmp_path / "kept/runs")


def test_an_absolute_runs_dir_is_taken_as_it_is(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = '/srv/runs'")
    assert load(tmp_path).runs_dir == Path("/srv/runs")


def test_a_runs_dir_below_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    configure(tmp_path, "runs_dir = '~/runs'")
    assert load(tmp_path).runs_dir == Path("/home/ada/runs")


def test_the_nearest_file_counts_and_alone(tmp_path: Path) -> None:
    configure(tmp_path, "runs_dir = '/far'")
    configure(tmp_path / "team", "runs_dir = '/near'")
    configure(tmp_path / "team" / "empty", "")
    assert load(tmp_path / "team" / "restore").runs_dir == Path("/near")
    assert load(tmp_path / "team" / "empty").runs_dir is None


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "nbrun.toml").mkdir()
    assert load(tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("runs_dir = ", "can't be read"),
        ("\udcff", "can't be read"),
        ("run_dir = 'x'", "unknown key 'run_dir' (known: runs_dir, "),
        ("runs_dir = 3", "must be the path of a folder, not 3"),
        ("runs_dir = ''", "must be the path of a folder, not ''"),
        ("runs_dir = ['a']", "must be the path of a folder"),
        ("runs_dir = '~nobody-of-this-name/runs'", "can't be found"),
    ],
)
def test_a_file_that_makes_no_sense_is_an_error_that_names_it(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "nbrun.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError) as raised:
        load(tmp_path)
    assert str(raised.value).startswith(str(tmp_path / "nbrun.toml"))
    assert why in str(raised.value)
