"""`nbrun export` writes a notebook or report from the journal alone."""

import json

import nbformat
import pytest

from nbrun.audit import ssh_signatures
from nbrun.cli.commands.records.export import export
from nbrun.errors import DamagedJournalError, JournalError, UsageError
from nbrun.journal.reader import JournalReader
from nbrun.views.export import notebook
from tests.audit.test_verify import Kept, whole
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

RUN = "20261123-093000-restore-ab12"


def test_notebook_is_written_into_run_folder_by_default(keep, tale, runs_dir):
    journal = keep(tale)
    code, target = export("last", "notebook", None, runs_dir)
    assert code == 0
    assert target == runs_dir / RUN / "restore.ipynb"
    assert target.read_bytes() == notebook.build(JournalReader(journal))
    nbformat.validate(nbformat.from_dict(json.loads(target.read_bytes())))


def test_notebook_is_written_to_given_path(keep, tale, runs_dir, tmp_path):
    keep(tale)
    _, target = export(RUN, "notebook", tmp_path / "copy.ipynb", runs_dir)
    assert target == tmp_path / "copy.ipynb"
    assert not (runs_dir / RUN / "restore.ipynb").exists()


def test_bare_file_name_is_in_working_folder(keep, tale, runs_dir, tmp_path, monkeypatch):
    keep(tale)
    monkeypatch.chdir(tmp_path)
    export(
        RUN, "notebook", notebook_path := (tmp_path / "copy.ipynb").relative_to(tmp_path), runs_dir
    )
    assert (tmp_path / notebook_path).is_file()


def test_same_journal_gives_same_bytes(keep, tale, runs_dir, tmp_path):
    keep(tale)
    first, second = (
        export(RUN, "notebook", tmp_path / name, runs_dir)[1].read_bytes() for name in ("1", "2")
    )
    assert first == second


def test_folder_as_path_is_usage_error(keep, tale, runs_dir, tmp_path):
    keep(tale)
    with pytest.raises(UsageError, match="is a folder"):
        export(RUN, "notebook", tmp_path, runs_dir)


def test_unwritable_path_is_named(keep, tale, runs_dir, tmp_path):
    keep(tale)
    with pytest.raises(UsageError, match="nowhere"):
        export(RUN, "notebook", tmp_path / "nowhere" / "x.ipynb", runs_dir)


def test_damaged_journal_gives_no_notebook(keep, tale, runs_dir, tmp_path):
    journal = keep(tale)
    journal.write_bytes(journal.read_bytes().replace(b"two", b"2wo", 1))
    with pytest.raises(DamagedJournalError):
        export(RUN, "notebook", tmp_path / "x.ipynb", runs_dir)
    assert not (tmp_path / "x.ipynb").exists()


def test_empty_journal_gives_no_notebook(keep, tale, runs_dir, tmp_path):
    keep(tale).write_bytes(b"")
    for path in (None, tmp_path / "x.ipynb"):
        with pytest.raises(JournalError):
            export(RUN, "notebook", path, runs_dir)


@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["html", "markdown"])
def test_report_states_verification_result_and_signer(kind, runs_dir, tmp_path):
    key = make_key(tmp_path / "keys")
    kept = Kept(runs_dir).write(whole(sign_key=ssh_signatures.fingerprint(key)))
    kept.seal(key)

    def made(**options):
        code, target = export("last", kind, None, runs_dir, **options)
        return int(code), target.read_text()

    code, text = made(allowed_signers=allow(tmp_path / "signers", ("ops.example", key)))
    assert (code, "SEALED: whole, ended and signed by ops.example" in text) == (0, True)
    code, text = made()
    assert (code, "UNSEALED: whole, ended and signed with SHA256:" in text) == (0, True)
    kept.notebook.write_text("{}")
    code, text = made()
    assert (code, "BROKEN: restore.ipynb is not the notebook" in text) == (7, True)
    kept.notebook.unlink()
    assert "restore.ipynb is missing" in made()[1]


def test_unusable_allowed_signers_are_refused(keep, tale, runs_dir, tmp_path):
    keep(tale)
    own = runs_dir / RUN / "signers"
    own.touch()
    for kind, signers, why in (
        ("notebook", tmp_path, "says nothing about signatures"),
        ("html", tmp_path / "none", "no such file"),
        ("html", own, "lies in the folder of the run"),
    ):
        with pytest.raises(UsageError, match=why):
            export("last", kind, None, runs_dir, allowed_signers=signers)
