"""Which runs commands may act on."""

import os
import shutil
from pathlib import Path

import pytest

from nbrun.errors import ForeignRunError, JournalError
from nbrun.journal import own_runs
from nbrun.journal.run_directory import RunDirectory, find
from tests.support.planted_run import RUN, plant


@pytest.fixture
def begun(tmp_path: Path) -> RunDirectory:
    """A run of this user, as far as its first line."""
    return plant(tmp_path)


def test_own_run_may_be_acted_on(begun: RunDirectory) -> None:
    own_runs.require_own(begun)
    own_runs.require_foreign_option(begun, foreign=False)
    begun.path.chmod(0o710)  # shared with a group, which may read
    begun.journal.chmod(0o640)
    own_runs.require_own(begun)
    assert own_runs.owner_of(begun) == ""


@pytest.mark.parametrize("which", ["path", "journal"])
def test_run_that_others_can_write_is_refused(begun: RunDirectory, which: str) -> None:
    getattr(begun, which).chmod(0o770)
    with pytest.raises(ForeignRunError, match=r"others can write .*: chmod go-w"):
        own_runs.require_own(begun)
    with pytest.raises(ForeignRunError, match="others can write"):
        own_runs.require_own(begun, foreign=True)
    assert own_runs.owner_of(begun) == "anybody: others can write it"


def test_link_to_a_run_is_not_the_run(begun: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / RUN).symlink_to(begun.path)
    with pytest.raises(ForeignRunError, match="neither a file nor a folder"):
        own_runs.require_own(RunDirectory(tmp_path / "shared" / RUN))
    assert find(tmp_path, str(tmp_path / "shared" / RUN)).path == begun.path


def test_run_without_journal_is_refused(begun: RunDirectory) -> None:
    begun.journal.unlink()
    with pytest.raises(JournalError, match="there is none"):
        own_runs.require_own(begun)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_last_is_the_newest_run_of_ones_own(begun: RunDirectory, tmp_path: Path) -> None:
    newer = plant(tmp_path, run="20991123-093000-restore-zz99")
    assert find(tmp_path, "last") == newer
    for path in (newer.path, newer.journal):
        shutil.chown(path, 65534)
    assert find(tmp_path, "last") == begun
    assert own_runs.owner_of(newer) == "nobody"
    with pytest.raises(ForeignRunError, match="as root: --foreign"):
        own_runs.require_own(newer)
    own_runs.require_own(newer, foreign=True)
    shutil.chown(begun.path, 65534)
    with pytest.raises(Exception, match=r"no run in .* is your own"):
        find(tmp_path, "last")
