"""`nbrun seal` signs complete records that have no seal."""

from pathlib import Path

import pytest

from nbrun.audit import ssh_signatures
from nbrun.audit.verify import Standing
from nbrun.cli.commands.records.seal import seal
from nbrun.errors import DamagedJournalError, SignatureError, UsageError
from tests.audit.test_verify import Kept, whole
from tests.support.build_events import policy, run_started
from tests.support.settings_files import configure
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

pytestmark = needs_ssh_keygen
RUN = "20261123-093000-restore-ab12"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "keys")


def kept(runs_dir: Path, key: Path | None = None) -> Kept:
    """Return a record without a seal that was configured to be signed with `key`."""
    events = whole()
    if key is not None:
        plan = run_started(
            1,
            run=RUN,
            policy=policy(sign=str(key)),
            sign_key=ssh_signatures.fingerprint(key),
            versions=events[0].versions,
        )
        events = [plan, *events[1:]]
    return Kept(runs_dir, RUN).write(events)


def test_seal_signs_once_with_the_key_of_the_run(runs_dir: Path, tmp_path: Path, key: Path) -> None:
    made = kept(runs_dir, key)
    before = made.verify()
    assert before.standing is Standing.BROKEN
    assert "nbrun seal" in before.why
    with pytest.raises(UsageError, match=f"name one with --sign. The record says {key}"):
        seal(RUN, runs_dir, None)  # what a record names is not used: anybody can make a record
    told = seal(RUN, runs_dir, key)
    assert told.startswith(f"{RUN} was sealed later, at 20")
    assert ssh_signatures.fingerprint(key) in told
    signers = allow(tmp_path / "signers", ("ops@example.com", key))
    found = made.verify(allowed_signers=signers)
    assert found.standing is Standing.SEALED
    assert ", later, at 20" in found.why
    seals = made.directory.seals.read_bytes()
    assert seal(RUN, runs_dir, None) == f"{RUN} is sealed already"
    assert made.directory.seals.read_bytes() == seals
    assert made.directory.seals.stat().st_mode & 0o777 == 0o600


def test_key_comes_from_option_or_nbrun_toml(
    runs_dir: Path, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kept(runs_dir)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name one with --sign"):
        seal(RUN, runs_dir, None)
    configure(tmp_path, f"sign_key = '{key}'")
    seal(RUN, runs_dir, None)
    made.directory.seals.unlink()
    other = make_key(tmp_path / "keys", "other")
    assert ssh_signatures.fingerprint(other) in seal(RUN, runs_dir, other)


def test_only_complete_and_ended_record_is_sealed(runs_dir: Path, key: Path) -> None:
    made = kept(runs_dir, key)
    lines = made.lines
    made.rewrite(lines[:-1])
    with pytest.raises(UsageError, match="no end"):
        seal(RUN, runs_dir, None)
    made.rewrite([*lines[:2], lines[2].replace(b"step_1", b"step_9"), *lines[3:]])
    with pytest.raises(DamagedJournalError, match="line 4"):
        seal(RUN, runs_dir, None)
    made.rewrite(lines)
    made.notebook.write_bytes(b"{}")
    with pytest.raises(DamagedJournalError, match="was changed"):
        seal(RUN, runs_dir, None)
    assert not made.directory.seals.exists()


def test_failed_signature_creates_no_seal(runs_dir: Path, tmp_path: Path, key: Path) -> None:
    made = kept(runs_dir, key)
    with pytest.raises(SignatureError):
        seal(RUN, runs_dir, tmp_path / "nowhere")
    assert not made.directory.seals.exists()
