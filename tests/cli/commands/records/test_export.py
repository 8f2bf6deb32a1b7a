"""`nbrun export` writes a notebook or report from the journal alone."""

import hashlib
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from nbrun.audit import dsse, ssh_signatures
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


# ── attestations ─────────────────────────────────────────────────────────────────────────────


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@needs_ssh_keygen
def test_attestation_agrees_with_the_journal_and_is_signed(runs_dir, tmp_path):
    key = make_key(tmp_path / "keys")
    kept = Kept(runs_dir).write(whole())
    code, target = export("last", "attestation", None, runs_dir, sign=key)
    assert (code, target) == (0, kept.directory.path / "restore.intoto.json")
    signers = allow(tmp_path / "signers", ("ops@example.com", key))
    kind, now = "application/vnd.in-toto+json", datetime.now(UTC)
    payload, signer = dsse.verified(target.read_bytes(), kind, signers, now)
    assert signer == "ops@example.com"
    statement = json.loads(payload)
    assert {each["name"]: each["digest"]["sha256"] for each in statement["subject"]} == {
        "journal.jsonl": sha256(kept.directory.journal),
        "restore.ipynb": sha256(kept.notebook),
    }
    assert statement["predicate"]["record"] == {
        "lines": len(kept.lines),
        "head": hashlib.sha256(kept.lines[-1].rstrip(b"\n")).hexdigest(),
    }
    assert kept.verify(head=statement["predicate"]["record"]["head"]).standing == "UNSEALED"


@needs_ssh_keygen
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_attestation_is_checked_by_the_commands_in_the_docs(runs_dir, tmp_path):
    key = make_key(tmp_path / "keys")
    kept = Kept(runs_dir).write(whole())
    folder = kept.directory.path
    export("last", "attestation", folder / "run.json", runs_dir, sign=key)
    allow(folder / "allowed_signers", ("ops@example.com", key))
    page = Path(__file__).parents[4].joinpath("docs", "export.md").read_text()
    commands = re.search(r"```sh\n(jq .*?)```", page, re.S)[1]

    def check():
        return subprocess.run(
            ["sh", "-ec", commands], cwd=folder, capture_output=True, text=True, check=False
        )

    done = check()
    assert done.returncode == 0, done.stderr
    assert 'Good "nbrun-attestation" signature for ops@example.com' in done.stdout
    assert "journal.jsonl: OK" in done.stdout
    kept.notebook.write_text("{}")
    assert check().returncode != 0


def test_attestation_without_a_key_is_a_bare_statement_and_says_so(runs_dir, capsys):
    Kept(runs_dir).write(whole())
    _, target = export("last", "attestation", None, runs_dir)
    assert json.loads(target.read_bytes())["_type"] == "https://in-toto.io/Statement/v1"
    assert "the statement is not signed: name a key with --sign" in capsys.readouterr().err


def test_broken_or_open_record_is_not_attested(runs_dir, tmp_path):
    kept = Kept(runs_dir).write(whole())
    kept.notebook.write_text("{}")
    with pytest.raises(DamagedJournalError, match="is not the notebook"):
        export("last", "attestation", tmp_path / "x.json", runs_dir)
    kept.rewrite(kept.lines[:-1])
    with pytest.raises(UsageError, match="it can be attested when it has ended"):
        export("last", "attestation", tmp_path / "x.json", runs_dir)
    assert not (tmp_path / "x.json").exists()


def test_run_that_others_can_write_is_not_signed(runs_dir, tmp_path):
    kept = Kept(runs_dir).write(whole())
    kept.directory.path.chmod(0o777)
    with pytest.raises(UsageError, match="is not your own run, and so is not signed"):
        export(RUN, "attestation", tmp_path / "x.json", runs_dir, sign=tmp_path / "key")


def test_only_an_attestation_is_signed(keep, tale, runs_dir, tmp_path):
    keep(tale)
    with pytest.raises(UsageError, match="--sign: --html is not signed"):
        export("last", "html", None, runs_dir, sign=tmp_path / "key")
