"""A runbook that the rules of `[runbooks]` do not allow starts nothing, whoever wrote it."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.audit import ssh_signatures
from nbrun.audit.runbook_trust import NAMESPACE
from nbrun.core import events as ev
from nbrun.core.reducer import fold
from nbrun.core.run_options import RunOptions
from nbrun.errors import RepositoryError, RunbookError
from nbrun.journal.reader import JournalReader
from nbrun.runbook.trust.repository import commit_with
from nbrun.supervisor.kernel_plan import plan_kernel
from nbrun.supervisor.requests import StartRequest
from nbrun.supervisor.resume import runbook_replacement
from tests.support.build_events import run_started
from tests.support.build_notebooks import code, notebook, write
from tests.support.git_repository import Repository, needs_git
from tests.support.in_process import Command
from tests.support.other_users import OtherUsers
from tests.support.planted_run import give
from tests.support.settings_files import configure
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen
from tests.support.terminal import Desk

SIGNED = "[runbooks]\nrequire_signed = 'signers'\n"


def sign(key: Path, runbook: Path) -> None:
    signature = ssh_signatures.sign(key, runbook.read_bytes(), NAMESPACE)
    runbook.with_name(f"{runbook.name}.sig").write_text(signature)


# ── require_signed ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.sweep
@needs_ssh_keygen
def test_changed_runbook_starts_nothing_below_a_rule_of_the_team(desk: Desk) -> None:
    """The settings that came with the notebook can't take the team's rule away."""
    key = make_key(desk.folder / "keys", "ada")
    allow(desk.folder / "signers", ("ada", key))
    (desk.folder / "nbrun.toml").write_text(SIGNED)
    book = write(desk.folder, notebook(code("open('ran', 'w')", id="one")))
    sign(key, book)
    (desk.folder / "sub").mkdir()
    mine = make_key(desk.folder / "keys", "eve")
    allow(desk.folder / "sub" / "signers", ("eve", mine))
    (desk.folder / "sub" / "nbrun.toml").write_text(SIGNED)
    copy = write(desk.folder / "sub", book.read_bytes())
    sign(mine, copy)
    with pytest.raises(RunbookError, match=rf"{desk.folder}/nbrun.toml has .* does not allow"):
        plan_kernel(StartRequest(runbook=copy, attended=False))
    book.write_bytes(book.read_bytes().replace(b"ran", b"run"))
    refused = desk.unattended()
    assert refused.returncode == 2
    assert "runbook.ipynb.sig is not a signature of this content" in refused.stderr
    assert not desk.runs.exists()
    assert not (desk.folder / "run").exists()
    sign(key, book)
    assert desk.unattended().returncode == 0
    started = next(iter(JournalReader(desk.run / "journal.jsonl"))).event
    assert isinstance(started, ev.RunStarted)
    assert [each.signer for each in started.proofs] == ["ada"]
    assert started.proofs[0].key == ssh_signatures.fingerprint(key)
    assert desk.command("verify", "last").returncode == 0


@needs_ssh_keygen
def test_rule_is_checked_before_a_role_is_taken_and_for_by_hand(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    configure(tmp_path, f"{SIGNED}[roles.dba]\nenv_from_cmd = {{ PGPASSWORD = 'touch {ran}' }}\n")
    allow(tmp_path / "signers", ("ada", make_key(tmp_path, "ada")))
    book = write(tmp_path, notebook(code("1", id="one")))
    for options in (RunOptions(role="dba"), RunOptions(by_hand=True)):
        with pytest.raises(RunbookError, match="require_signed"):
            plan_kernel(StartRequest(runbook=book, attended=True, options=options))
    assert not ran.exists()


@needs_ssh_keygen
def test_new_version_of_the_runbook_must_be_signed_too(tmp_path: Path) -> None:
    key = make_key(tmp_path, "ada")
    allow(tmp_path / "signers", ("ada", key))
    configure(tmp_path, SIGNED)
    book = write(tmp_path, notebook(code("2", id="one")))
    state = fold([run_started(1, runbook=str(book))])
    with pytest.raises(RunbookError, match=r"there is no runbook\.ipynb\.sig beside it"):
        runbook_replacement(state)
    sign(key, book)
    assert runbook_replacement(state).proofs[0].signer == "ada"


@needs_ssh_keygen
def test_check_and_plan_report_the_rule(tmp_path: Path, nbrun: Command) -> None:
    key = make_key(tmp_path, "ada")
    allow(tmp_path / "signers", ("ada", key))
    (tmp_path / "nbrun.toml").write_text(SIGNED)
    book = write(tmp_path, notebook(code("1", id="one")))
    exit_code, printed, _ = nbrun("check", "runbook.ipynb")
    assert exit_code == 2
    assert f"runbook.ipynb: error: {tmp_path}/nbrun.toml has [runbooks] require_signed" in printed
    assert printed.endswith("[trust]\n")
    exit_code, _, told = nbrun("plan", "runbook.ipynb")
    assert (exit_code, "require_signed" in told) == (2, True)
    sign(key, book)
    assert nbrun("check", "runbook.ipynb") == (0, "", "")
    assert re.search(
        r"^signed +by ada with SHA256:", nbrun("plan", "runbook.ipynb")[1], re.MULTILINE
    )
    data = json.loads(nbrun("plan", "runbook.ipynb", "--json")[1])
    assert data["proofs"][0]["signer"] == "ada"


@pytest.fixture
def shared(other_users: OtherUsers) -> Iterator[Path]:
    """Return a folder of root's that every user can read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.sweep
@needs_ssh_keygen
def test_operator_can_not_satisfy_a_rule_of_roots(shared: Path, other_users: OtherUsers) -> None:
    operator, home = other_users.operator, shared / "home"
    home.mkdir()
    key = make_key(home, "own")
    (shared / "nbrun.toml").write_text("[runbooks]\nrequire_signed = 'home/signers'\n")
    book = write(home, notebook(code("1", id="one"), metadata={"kernelspec": {"name": "shared"}}))
    sign(key, book)
    allow(home / "signers", ("me", key))
    give(home, operator)

    def plan() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*other_users.as_operator(), other_users.python, "-m", "nbrun", "plan", str(book)],
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": str(home)} | other_users.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    refused = plan()
    assert refused.returncode == 2
    assert f"is not used: {home} belongs to {operator}" in refused.stderr
    (shared / "nbrun.toml").write_text("[runbooks]\nrequire_signed = 'signers'\n")
    allow(shared / "signers", ("somebody", make_key(shared / "keys", "else")))
    assert f"which {shared}/signers does not allow" in plan().stderr
    allow(shared / "signers", ("me", key))
    accepted = plan()
    assert (accepted.returncode, "by me with" in accepted.stdout) == (0, True), accepted.stderr


# ── require_commit_on ────────────────────────────────────────────────────────────────────────────


@pytest.mark.sweep
@needs_git
def test_uncommitted_runbook_starts_nothing(desk: Desk) -> None:
    repository = Repository(desk.folder / "clone")
    book = notebook(code("open('ran', 'w')", id="one"))
    (repository.folder / "nbrun.toml").write_text("[runbooks]\nrequire_commit_on = 'main'\n")
    path = write(repository.folder, book)
    commit = repository.commit("runbook.ipynb", path.read_bytes())
    repository.git("switch", "--quiet", "--create", "fix")
    changed = path.read_bytes().replace(b"ran", b"run")
    repository.commit("runbook.ipynb", changed)
    refused = desk.command("start", "clone/runbook.ipynb")
    assert refused.returncode == 2
    assert "no commit on main has runbook.ipynb with this content" in refused.stderr
    assert not desk.runs.exists()
    repository.git("switch", "--quiet", "main")
    assert desk.command("start", "clone/runbook.ipynb").returncode == 0
    started = next(iter(JournalReader(desk.run / "journal.jsonl"))).event
    assert isinstance(started, ev.RunStarted)
    assert [each.commit for each in started.proofs] == [commit]


@needs_git
def test_configuration_of_the_repository_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    repository = Repository(tmp_path / "repository")
    repository.commit("a.ipynb", b"old")
    repository.commit("a.ipynb", b"new")
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        path = repository.folder / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(program.read_text())
        path.chmod(0o755)
    settings = ["fsmonitor", "pager", "sshCommand", "gitProxy", "editor", "alternateRefsCommand"]
    for name in (*(f"core.{each}" for each in settings), "gpg.program", "diff.external"):
        repository.git("config", name, str(program))
    for name in ("diff.x.textconv", "filter.x.clean", "filter.x.smudge", "filter.x.process"):
        repository.git("config", name, str(program))
    for name in ("rev-parse", "cat-file", "rev-list", "hash-object"):
        repository.git("config", f"alias.{name}", f"!{program}")
    repository.git("config", "log.showSignature", "true")
    (repository.folder / ".gitattributes").write_text("* diff=x filter=x\n")
    path = repository.folder / "a.ipynb"
    assert commit_with(path, b"old", "main")
    with pytest.raises(RepositoryError):
        commit_with(path, b"changed", "main")
    assert not ran.exists()


@needs_git
@pytest.mark.parametrize("url", ["/nowhere", "ssh://host/x", "ext::touch {ran}"])
def test_missing_object_of_a_partial_clone_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """git fetches an object that it misses, with programs that the repository names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    repository = Repository(tmp_path / "repository")
    repository.commit("a.ipynb", b"one")
    blob = repository.git("rev-parse", "HEAD:a.ipynb")
    ran = tmp_path / "ran"
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.format(ran=ran),
        "remote.origin.uploadpack": f"touch {ran};",
        "core.sshCommand": f"touch {ran};",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
    }.items():
        repository.git("config", name, value)
    (repository.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(RepositoryError):
        commit_with(repository.folder / "a.ipynb", b"one", "main")
    assert not ran.exists()


@needs_git
def test_repository_of_another_account_is_asked_only_if_this_user_lists_it(
    shared: Path, other_users: OtherUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that another user can write may hide a repository with a `main` of its own."""
    monkeypatch.setenv("HOME", str(shared))
    repository = Repository(shared / "repository")
    repository.commit("a.ipynb", b"one")
    give(repository.folder, other_users.user)
    with pytest.raises(RepositoryError, match=r"dubious ownership .* safe\.directory"):
        commit_with(repository.folder / "a.ipynb", b"one", "main")
    (shared / ".gitconfig").write_text(f"[safe]\ndirectory = {repository.folder}\n")
    assert commit_with(repository.folder / "a.ipynb", b"one", "main")
