"""`nbrun verify` checks one or many records, and exits with one code."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nbrun.audit import ssh_signatures
from nbrun.cli.commands.records import verify
from nbrun.cli.commands.records.verify import VerifyOptions
from nbrun.errors import ExitCode, RunNotFoundError, UsageError
from tests.audit.test_verify import Kept, whole
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

NAME = "20261123-0930{:02}-restore-ab12"


@pytest.fixture
def check(runs_dir: Path, capsys: Any, monkeypatch: Any) -> Any:
    """Check runs as `nbrun verify` does. Return the exit code and the output."""
    monkeypatch.setenv("COLUMNS", "300")

    def checked(*runs: str, **options: Any) -> tuple[ExitCode, str]:
        code = verify.show(VerifyOptions(runs=runs or ("last",), runs_dir=runs_dir, **options))
        return code, capsys.readouterr().out

    return checked


def keep(runs_dir: Path, number: int, upto: int | None = None, **fields: Any) -> Kept:
    name = NAME.format(number)
    return Kept(runs_dir, name).write(whole(**{"run": name} | fields)[:upto])


def test_single_record_is_shown_with_its_head(runs_dir: Path, check: Any) -> None:
    kept = keep(runs_dir, 1)
    code, out = check()
    assert code == 0
    assert out.startswith("UNSEALED  whole and ended")
    assert kept.verify().head in out
    assert check(expect_head=kept.verify().head)[0] == 0
    code, out = check(expect_head="0" * 64)
    assert code == 7
    assert out.startswith("BROKEN  line 6: the head is")
    assert check(require_seal=True)[0] == 7


def test_worst_record_determines_exit_code(runs_dir: Path, check: Any) -> None:
    keep(runs_dir, 1)
    keep(runs_dir, 2)
    assert check(str(runs_dir))[0] == 0
    keep(runs_dir, 3, upto=3)
    code, out = check(str(runs_dir))
    assert (code, "3 records: 0 SEALED, 2 UNSEALED, 1 OPEN, 0 BROKEN" in out) == (8, True)
    broken = keep(runs_dir, 4)
    broken.rewrite(broken.lines[1:])
    code, out = check(str(runs_dir))
    assert code == 7
    assert [line.split()[:2] for line in out.splitlines()[1:5]] == [
        ["BROKEN", NAME.format(4)],
        ["OPEN", NAME.format(3)],
        ["UNSEALED", NAME.format(2)],
        ["UNSEALED", NAME.format(1)],
    ]
    assert check(NAME.format(1), NAME.format(3))[0] == 8


def test_missing_journal_is_reported(runs_dir: Path, check: Any) -> None:
    keep(runs_dir, 1)
    gone = keep(runs_dir, 2)
    gone.directory.journal.unlink()
    for called in (str(runs_dir), str(gone.directory.path)):
        code, out = check(called)
        assert code == 7
        assert "there is no journal" in out


def test_json_has_one_object_for_each_record(runs_dir: Path, check: Any) -> None:
    kept = keep(runs_dir, 1)
    keep(runs_dir, 2)
    _, out = check(str(runs_dir), json=True)
    newer, older, index = map(json.loads, out.splitlines())
    assert (newer["run"], newer["standing"]) == (NAME.format(2), "UNSEALED")
    assert older == {
        "run": NAME.format(1),
        "standing": "UNSEALED",
        "why": "whole and ended; it was not to be signed",
        "lines": 6,
        "head": kept.verify().head,
        "notes": [],
        "folder": NAME.format(1),
        "unchecked": [],
    }
    assert (index["index"], index["standing"]) == (f"index-{os.geteuid()}.jsonl", "MISSING")


@needs_ssh_keygen
def test_allowed_signers_in_run_folder_are_refused(
    runs_dir: Path, check: Any, tmp_path: Path
) -> None:
    key = make_key(tmp_path)
    kept = keep(runs_dir, 1, sign_key=ssh_signatures.fingerprint(key))
    kept.seal(key)
    beside = allow(kept.directory.path / "signers", ("eve", key))
    link = tmp_path / "link"
    link.symlink_to(beside)
    for signers in (beside, link):
        with pytest.raises(UsageError, match="keep it elsewhere"):
            check(allowed_signers=signers)
    elsewhere = allow(tmp_path / "signers", ("ops", key))
    code, out = check(allowed_signers=elsewhere, require_seal=True)
    assert (code, out.startswith("SEALED  whole, ended and signed by ops")) == (0, True)
    kept.directory.seals.unlink()
    assert check()[0] == 7


def test_wrong_options_are_refused(runs_dir: Path, check: Any, tmp_path: Path) -> None:
    keep(runs_dir, 1)
    keep(runs_dir, 2)
    with pytest.raises(UsageError, match="not a SHA-256"):
        check(expect_head="abc")
    with pytest.raises(UsageError, match="the head of one run"):
        check(str(runs_dir), expect_head="0" * 64)
    with pytest.raises(UsageError, match="no such file"):
        check(allowed_signers=tmp_path / "none")
    with pytest.raises(RunNotFoundError):
        check("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no runs"):
        check(str(tmp_path / "empty"))
