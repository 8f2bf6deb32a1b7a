"""Records that are signed, forwarded and verified by the real commands."""

import json
import os
import subprocess

import pytest

from nbrun.audit import seals
from nbrun.core import events as ev
from nbrun.journal import runs_index
from tests.support.build_notebooks import code
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen
from tests.support.terminal import Desk, is_gone, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"


def head_printed(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("head ")]
    return line.split()[1]


@pytest.mark.sweep
def test_printed_head_is_what_verify_expects(desk: Desk) -> None:
    desk.book(code("print('hello')", id="one"))
    head = head_printed(desk.unattended().stdout)
    assert head == desk.journal()[-1].hash
    assert head_printed(desk.command("log").stdout) == head
    told = desk.command("verify", "last", "--expect-head", head)
    assert (told.returncode, told.stdout.split()[0]) == (0, "UNSEALED")
    assert desk.command("verify", "last", "--require-seal").returncode == 7
    lines = (desk.run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (desk.run / "journal.jsonl").write_bytes(b"".join(lines[:-1]))
    assert desk.command("verify", "last", "--expect-head", head).returncode == 7
    assert desk.command("verify", "last").returncode == 8
    assert desk.command("verify", str(desk.runs)).returncode == 7, "the index has its end"


@pytest.mark.sweep
@needs_ssh_keygen
def test_run_is_sealed_at_stops_and_at_the_end(desk: Desk) -> None:
    key = make_key(desk.folder / "keys")
    signers = allow(desk.folder / "signers", ("ops@example.com", key))
    desk.book(code("1 / 0", id="one"))
    terminal = desk.start("--sign", str(key))
    terminal.prompted("step 1>")
    wait_until(lambda: len(seals.read(desk.run / "seals.jsonl")) == 1)
    checked = desk.command("verify", "last", "--allowed-signers", str(signers))
    assert (checked.returncode, checked.stdout.split()[0]) == (8, "OPEN")
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    assert "sealed with SHA256:" in terminal.text()
    checked = desk.command(
        "verify", str(desk.runs), "--allowed-signers", str(signers), "--require-seal"
    )
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith("SEALED  whole, ended and signed by ops@example.com")
    assert [each.seq for each in seals.read(desk.run / "seals.jsonl")][-1] == desk.journal()[-1].seq
    (desk.run / "seals.jsonl").unlink()
    assert desk.command("verify", "last").returncode == 7
    assert "was sealed later, at 20" in desk.command("seal", "last", "--sign", str(key)).stdout
    checked = desk.command("verify", "last", "--allowed-signers", str(signers))
    assert checked.returncode == 0
    assert "and not by the run itself" in " ".join(checked.stdout.split())


@pytest.mark.sweep
@needs_ssh_keygen
def test_agent_key_signs_and_passphrase_key_starts_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect = desk.folder / "effect"
    desk.book(code(f"open({str(effect)!r}, 'w')", id="one"))
    locked = make_key(desk.folder / "keys", "locked", "secret")
    for words in (("--sign", str(locked)), ("--sign", str(desk.folder / "none"))):
        refused = desk.unattended(*words)
        assert refused.returncode == 2
        assert "can't sign" in refused.stderr
    assert not effect.exists()
    assert not desk.runs.exists()

    key = make_key(desk.folder / "keys", "open")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(desk.folder / "agent")])
    try:
        wait_until((desk.folder / "agent").exists)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(desk.folder / "agent"))
        subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
        key.unlink()
        desk.configure('sign_key = "keys/open.pub"\n')
        done = desk.unattended()
    finally:
        agent.terminate()
        agent.wait()
    assert done.returncode == 0, done.stderr
    signers = desk.folder / "signers"
    signers.write_text(f"ops {(desk.folder / 'keys/open.pub').read_text()}")
    checked = desk.command("verify", "last", "--allowed-signers", str(signers))
    assert (checked.returncode, checked.stdout.split()[0]) == (0, "SEALED")


@pytest.mark.sweep
@needs_ssh_keygen
def test_missing_key_during_a_run_is_reported_as_not_sealed(
    desk: Desk,
) -> None:
    key = make_key(desk.folder / "keys")
    desk.book(code(f"import os; os.remove({str(key)!r}); 1 / 0", id="one"))
    terminal = desk.start("--sign", str(key))
    terminal.prompted("step 1>")
    wait_until(lambda: desk.events(ev.SealFailed))
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "")
    assert terminal.wait() == 3
    assert "NOT SEALED" in terminal.text()
    assert desk.command("verify", "last").returncode == 7


@pytest.mark.sweep
def test_every_line_is_forwarded_to_the_configured_command(desk: Desk) -> None:
    got = desk.folder / "got"
    command = ["sh", "-c", f"cat >> {got}"]
    desk.configure(f"[journal]\nforward = {json.dumps(command)}\n")
    desk.book(code("print('hello')", id="one"), code("print('again')", id="two"))
    assert desk.unattended().returncode == 0
    assert got.read_bytes() == (desk.run / "journal.jsonl").read_bytes()
    assert not (desk.run / "unforwarded").exists()


@pytest.mark.sweep
def test_failing_forward_target_is_reported_and_stops_nothing(desk: Desk) -> None:
    desk.configure('[journal]\nforward = ["false"]\n')
    desk.book(code("import time; time.sleep(1)", id="one"), code("print('done')", id="two"))
    done = desk.unattended()
    assert done.returncode == 0
    (failed,) = desk.events(ev.ForwardingFailed)
    assert (failed.target, failed.since) == ("false", 0)
    assert "waits to be sent to false" in done.stdout
    assert (desk.run / "unforwarded").exists()
    assert desk.command("verify", "last").returncode == 0


@pytest.mark.sweep
def test_short_run_says_what_was_not_forwarded_and_leaves_no_process(desk: Desk) -> None:
    file = desk.folder / "pids"
    command = ["sh", "-c", f"echo $$ >> {file}; sleep 600 & echo $! >> {file}; wait"]
    desk.configure(f"[journal]\nforward = {json.dumps(command)}\n")
    desk.book(code("print('done')", id="one"))
    ended = desk.unattended()
    assert ended.returncode == 0
    lines = len(desk.journal())
    assert f"NOT FORWARDED: {lines} lines of the record could not be sent to sh" in ended.stderr
    assert "The next run that forwards sends them" in ended.stderr
    pids = file.read_text().split()
    assert len(pids) >= 2
    wait_until(lambda: all(is_gone(int(pid)) for pid in pids))


def test_unwritable_index_stops_no_run_and_is_reported(desk: Desk) -> None:
    desk.book(code("print('done')", id="one"))
    desk.runs.mkdir(exist_ok=True)
    runs_index.path_in(desk.runs, os.geteuid()).symlink_to("/nowhere")
    done = desk.unattended()
    assert done.returncode == 0
    assert "the run is not in the index of runs" in done.stdout
    assert "NOT IN THE INDEX: the end of this run" in done.stderr
    assert desk.events(ev.IndexFailed)
