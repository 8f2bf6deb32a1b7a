"""A record that somebody copied, moved or renamed never passes for the record of another run."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from nbrun.audit import ssh_signatures
from nbrun.audit.verify import Standing, verified_end
from nbrun.cli.commands.records import verify as command
from nbrun.cli.commands.records.verify import VerifyOptions
from nbrun.errors import DamagedJournalError
from nbrun.views.export import notebook, ticket
from tests.audit.test_verify import Kept, whole
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

STAGING = "20261123-093000-deploy-ab12"
PRODUCTION = "20261123-101500-deploy-zz99"


@pytest.fixture
def staging(tmp_path: Path) -> Kept:
    return Kept(tmp_path, STAGING).write(whole(run=STAGING))


@needs_ssh_keygen
def test_sealed_record_in_folder_of_failed_run_is_broken(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys")
    signers = allow(tmp_path / "signers", ("ops", key))
    good = Kept(tmp_path, STAGING).write(
        whole(run=STAGING, sign_key=ssh_signatures.fingerprint(key))
    )
    good.seal(key)
    assert good.verify(allowed_signers=signers).standing is Standing.SEALED
    failed = Kept(tmp_path, PRODUCTION).write(whole(run=PRODUCTION)[:4])

    shutil.rmtree(failed.directory.path)
    shutil.copytree(good.directory.path, failed.directory.path)
    good.notebook.rename(failed.notebook)
    found = failed.verify(allowed_signers=signers)
    assert found.standing is Standing.BROKEN
    assert found.why.startswith(f"line 1: is the record of the run {STAGING}")
    assert (found.run, found.folder) == (STAGING, PRODUCTION)
    with pytest.raises(DamagedJournalError, match="was copied or moved here"):
        verified_end(failed.directory, notebook.digest)
    summary = ticket.build(failed.records(), found).decode()
    assert f"| Run | {STAGING}" in summary
    assert "BROKEN" in summary


def test_link_named_as_other_run_is_broken(tmp_path: Path, staging: Kept) -> None:
    link = tmp_path / PRODUCTION
    link.symlink_to(staging.directory.path)
    assert Kept.verify(_at(link)).standing is Standing.BROKEN


def test_copy_under_free_name_is_named_as_copy(tmp_path: Path, staging: Kept) -> None:
    """An auditor keeps copies as `evidence` or `case-17`: such a name claims no run."""
    shutil.copytree(staging.directory.path, tmp_path / "evidence")
    found = Kept.verify(_at(tmp_path / "evidence"))
    assert (found.standing, found.run, found.folder) == (Standing.UNSEALED, STAGING, "evidence")
    assert found.notes[0] == (
        f"a copy or a renamed folder: evidence holds the record of the run {STAGING}"
    )


def test_copies_in_same_folder_are_named(tmp_path: Path, staging: Kept, capsys: Any) -> None:
    shutil.copytree(staging.directory.path, tmp_path / "evidence")
    shutil.copytree(staging.directory.path, tmp_path / "partial")
    Kept.rewrite(_at(tmp_path / "partial"), staging.lines[:3])
    assert command.show(VerifyOptions(runs=[str(tmp_path)], json=True)) == 8
    shown = capsys.readouterr().out
    assert "evidence holds the same record" in shown
    assert "partial holds ANOTHER record of this run: 3 lines" in shown
    command.show(VerifyOptions(runs=[str(tmp_path / "evidence")]))
    assert f"run          {STAGING} in the folder evidence" in capsys.readouterr().out


def test_same_folder_named_twice_is_no_duplicate(
    tmp_path: Path, staging: Kept, capsys: Any
) -> None:
    path = str(staging.directory.path)
    command.show(VerifyOptions(runs=[path, path], json=True))
    assert "holds" not in capsys.readouterr().out


def test_files_that_no_check_covers_are_listed(staging: Kept) -> None:
    for name in ("supervisor.log", "deploy.html"):
        (staging.directory.path / name).touch()
    assert staging.verify().unchecked == ("deploy.html", "supervisor.log")
    staging.rewrite(staging.lines[:3])
    found = staging.verify()
    assert found.standing is Standing.OPEN
    assert "deploy.ipynb" in found.unchecked, "without an end, the notebook is not compared"


def _at(path: Path) -> Kept:
    """Return an existing folder as a `Kept`."""
    kept = object.__new__(Kept)
    from nbrun.journal.run_directory import RunDirectory

    kept.directory = RunDirectory(path)
    return kept
