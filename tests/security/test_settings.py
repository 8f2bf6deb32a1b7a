"""An `nbrun.toml` that came with a notebook acts for nobody who has not trusted it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.core import events as ev
from nbrun.journal.reader import JournalReader
from tests.support.build_notebooks import code
from tests.support.terminal import Desk


@pytest.mark.sweep
def test_settings_of_a_clone_run_nothing_until_they_are_trusted(desk: Desk) -> None:
    ran = desk.folder / "ran"
    command = [sys.executable, "-c", f"open({str(ran)!r}, 'a')"]
    desk.book(code("1", id="one"))
    settings = desk.folder / "nbrun.toml"
    settings.write_text(
        f"[journal]\nforward = {json.dumps(command)}\n"
        f"[roles.dba]\nenv_from_cmd = {{ PGPASSWORD = 'touch {ran}' }}\n"
    )
    for words in (["start"], ["start", "--role", "dba"], ["plan", "--role", "dba"]):
        refused = desk.command(words[0], "runbook.ipynb", *words[1:])
        assert refused.returncode == 2
        assert f"{settings}: [journal] forward runs, sends or signs" in refused.stderr
        assert f"nbrun trust {settings}" in refused.stderr
    assert not desk.runs.exists()
    assert not ran.exists()
    told = desk.command("trust", str(settings))
    assert told.stdout.endswith("takes effect: [journal] forward, [roles.dba]\n")
    stored = desk.folder / "home/.local/state/nbrun/trusted.json"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert desk.unattended().returncode == 0
    assert ran.exists()
    started = next(iter(JournalReader(desk.run / "journal.jsonl"))).event
    assert isinstance(started, ev.RunStarted)
    assert [file.path for file in started.settings] == [str(settings)]
    settings.write_text(settings.read_text() + "# changed\n")
    assert "as it is now" in desk.unattended().stderr


@pytest.fixture
def etc() -> Iterator[Path]:
    """Return a copy of /etc, which a private mount namespace can show in place of /etc."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        copy = Path(folder, "etc")
        subprocess.run(["cp", "-a", "/etc", str(copy)], check=True)
        if subprocess.run(in_namespace(copy, "true"), check=False, capture_output=True).returncode:
            pytest.skip("this machine allows no mount namespaces")
        yield copy


def in_namespace(etc: Path, *words: str) -> list[str]:
    script = 'mount --bind "$0" /etc && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(etc), *words]


@pytest.mark.sweep
def test_policy_of_the_machine_holds_below_an_empty_file(desk: Desk, etc: Path) -> None:
    (etc / "nbrun.toml").write_text(
        "[policy]\nstrict = true\nneed_reason = ['skipped']\n[redact]\npatterns = ['AKIA[A-Z]+']\n"
    )
    (desk.folder / "nbrun.toml").write_text("[policy]\nstrict = false\nneed_reason = []\n")
    desk.book(code("print('AKIA' + 'ABCD')", id="one"))
    desk.nbrun = in_namespace(etc, *desk.nbrun)
    done = desk.unattended()
    assert done.returncode == 0, done.stderr
    started = next(iter(JournalReader(desk.run / "journal.jsonl"))).event
    assert isinstance(started, ev.RunStarted)
    assert started.policy.strict
    assert started.policy.need_reason == ("skipped",)
    files = [file.path for file in started.settings]
    assert files == ["/etc/nbrun.toml", str(desk.folder / "nbrun.toml")]
    assert "AKIAABCD" not in (desk.run / "journal.jsonl").read_text()
    assert "/etc/nbrun.toml (sha256 " in desk.command("log", "last").stdout
