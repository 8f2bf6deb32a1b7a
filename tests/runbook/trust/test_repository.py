"""Which commit of a branch has a runbook's bytes, asked of real repositories."""

from pathlib import Path

import pytest

from nbrun.errors import RepositoryError
from nbrun.runbook.trust.repository import checked_out_commit, commit_with, is_branch_name
from tests.support.git_repository import Repository, needs_git

pytestmark = needs_git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Repository(tmp_path / "repository")


def test_commit_with_is_the_tip_if_it_has_the_bytes(repository: Repository) -> None:
    repository.commit("db/a.ipynb", b"one")
    tip = repository.commit("db/b.ipynb", b"other")
    assert commit_with(repository.folder / "db/a.ipynb", b"one", "main") == tip
    assert checked_out_commit(repository.folder / "db") == tip


def test_commit_with_finds_an_older_version_in_the_history(repository: Repository) -> None:
    old = repository.commit("db/a.ipynb", b"old")
    repository.commit("db/a.ipynb", b"new")
    assert commit_with(repository.folder / "db/a.ipynb", b"old", "main") == old


def test_commit_with_finds_a_version_of_a_merged_branch(repository: Repository) -> None:
    repository.commit("a.ipynb", b"one")
    repository.git("switch", "--quiet", "--create", "side")
    side = repository.commit("a.ipynb", b"side")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--strategy=ours", "--message=m", "side")
    assert commit_with(repository.folder / "a.ipynb", b"side", "main") == side


@pytest.mark.parametrize("content", [b"one ", b"", b"other"])
def test_commit_with_refuses_bytes_that_no_commit_has_there(
    repository: Repository, content: bytes
) -> None:
    repository.commit("b.ipynb", b"other")
    repository.commit("a.ipynb", b"one")
    with pytest.raises(RepositoryError, match=r"no commit on main has a\.ipynb with this content"):
        commit_with(repository.folder / "a.ipynb", content, "main")


def test_commit_with_refuses_a_version_of_another_branch(repository: Repository) -> None:
    repository.commit("a.ipynb", b"one")
    repository.git("switch", "--quiet", "--create", "side")
    repository.commit("a.ipynb", b"side")
    repository.git("tag", "main")  # a tag of the branch's name does not count
    with pytest.raises(RepositoryError, match="no commit on main"):
        commit_with(repository.folder / "a.ipynb", b"side", "main")


def test_commit_with_refuses_unknown_and_ambiguous_branches(repository: Repository) -> None:
    tip = repository.commit("a.ipynb", b"one")
    path = repository.folder / "a.ipynb"
    with pytest.raises(RepositoryError, match="has no branch origin/main"):
        commit_with(path, b"one", "origin/main")
    repository.git("update-ref", "refs/remotes/origin/main", tip)
    assert commit_with(path, b"one", "origin/main") == tip
    repository.git("update-ref", "refs/heads/origin/main", tip)
    with pytest.raises(RepositoryError, match="both refs/heads/origin/main and refs/remotes/"):
        commit_with(path, b"one", "origin/main")
    assert commit_with(path, b"one", "refs/remotes/origin/main") == tip


def test_commit_with_refuses_a_folder_outside_a_repository(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="not a git repository"):
        commit_with(tmp_path / "a.ipynb", b"one", "main")
    assert checked_out_commit(tmp_path) is None


def test_commit_with_takes_names_that_git_could_take_for_patterns(repository: Repository) -> None:
    for name in (":a [1]*.ipynb", "-a ü.ipynb"):
        commit = repository.commit(name, b"one")
        repository.commit(name, b"two")
        assert commit_with(repository.folder / name, b"one", "main") == commit
    with pytest.raises(RepositoryError, match="line break"):
        commit_with(repository.folder / "a\nb.ipynb", b"one", "main")


def test_environment_can_not_name_another_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Repository(tmp_path / "other")
    other.commit("a.ipynb", b"evil")
    repository.commit("a.ipynb", b"one")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    with pytest.raises(RepositoryError, match="no commit on main"):
        commit_with(repository.folder / "a.ipynb", b"evil", "main")


def test_replaced_and_grafted_history_is_not_believed(repository: Repository) -> None:
    main = repository.commit("a.ipynb", b"one")
    repository.git("switch", "--quiet", "--create", "side")
    side = repository.commit("a.ipynb", b"evil")
    repository.git("replace", main, side)
    (repository.folder / ".git/info/grafts").write_text(f"{main} {side}\n")
    with pytest.raises(RepositoryError, match="no commit on main"):
        commit_with(repository.folder / "a.ipynb", b"evil", "main")


def test_bare_repository_inside_a_commit_is_not_asked(
    repository: Repository, tmp_path: Path
) -> None:
    """Anybody's commit can contain the files of a bare repository, with a `main` of its own."""
    evil = Repository(tmp_path / "evil")
    evil.commit("a.ipynb", b"evil")
    (evil.folder / ".git").rename(repository.folder / "runbooks")
    evil_folder = repository.folder / "runbooks"
    (evil_folder / "a.ipynb").write_bytes(b"evil")
    repository.commit("b.ipynb", b"one")
    for worktree in ("", f"[core]\nworktree = {evil_folder}\n"):
        (evil_folder / "config").write_text(f"[core]\nbare = {not worktree}\n{worktree}".lower())
        with pytest.raises(RepositoryError):
            commit_with(evil_folder / "a.ipynb", b"evil", "main")


@pytest.mark.parametrize("name", ["", "-x", "a..b", "main^", "main~1", "main@{1}", "a b", "a:b"])
def test_branch_name_refuses_what_git_reads_as_an_expression(name: str) -> None:
    assert not is_branch_name(name)
    assert is_branch_name("release/1.2-x+y")
