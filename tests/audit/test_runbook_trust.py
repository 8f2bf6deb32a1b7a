"""The rules of `[runbooks]`, with real keys and real repositories."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nbrun.audit import ssh_signatures
from nbrun.audit.runbook_trust import NAMESPACE, findings, prove
from nbrun.core.model import RunbookProof
from nbrun.errors import RunbookError
from nbrun.runbook.trust.rules import CommittedRule, SignedRule
from tests.support.git_repository import Repository, needs_git
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

DATA = b"the bytes of a runbook"


class Signed:
    """A runbook, a rule that it must be signed, and keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "a b.ipynb"
        self.path.write_bytes(DATA)
        self.ada, self.eve = make_key(folder / "keys", "ada"), make_key(folder / "keys", "eve")
        self.signers = allow(folder / "signers", ("ada@example.org", self.ada))
        self.settings = folder / "nbrun.toml"
        self.settings.write_text("")
        self.rule = SignedRule(self.signers, self.settings)

    def sign(self, key: Path, data: bytes = DATA, namespace: str = NAMESPACE) -> None:
        signature = ssh_signatures.sign(key, data, namespace)
        Path(f"{self.path}.sig").write_text(signature)

    def prove(self) -> tuple[RunbookProof, ...]:
        return prove(self.path, DATA, (self.rule,))

    def fault(self) -> str:
        with pytest.raises(RunbookError) as caught:
            self.prove()
        return str(caught.value)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    return Signed(tmp_path)


@needs_ssh_keygen
def test_signature_of_an_allowed_key_is_the_proof(signed: Signed) -> None:
    signed.sign(signed.ada)
    assert signed.prove() == (
        RunbookProof(
            rule="require_signed",
            settings=str(signed.settings),
            against=str(signed.signers),
            signer="ada@example.org",
            key=ssh_signatures.fingerprint(signed.ada),
        ),
    )


@needs_ssh_keygen
def test_signature_made_as_the_error_says_is_accepted(signed: Signed) -> None:
    told = signed.fault()
    assert told.startswith(f"{signed.path}: {signed.settings} has [runbooks] require_signed, and ")
    assert "there is no a b.ipynb.sig beside it" in told
    command = told.partition("To sign: ")[2].replace("KEY", str(signed.ada))
    assert os.system(f"{command} 2>{os.devnull}") == 0
    assert signed.prove()


@needs_ssh_keygen
def test_signature_is_looked_for_beside_the_target_of_a_link(signed: Signed) -> None:
    signed.sign(signed.ada)
    link = signed.folder / "keys" / "current.ipynb"
    link.symlink_to(signed.path)
    assert prove(link, DATA, (signed.rule,))


@needs_ssh_keygen
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda it: it.sign(it.eve), "does not allow"),
        (lambda it: it.sign(it.ada, b"older bytes"), "is not a signature of this content"),
        (lambda it: it.sign(it.ada, namespace="nbrun"), "is not a signature of this content"),
        (lambda it: Path(f"{it.path}.sig").write_bytes(b"\xff\0" * 99), "is not a signature"),
        (lambda it: Path(f"{it.path}.sig").mkdir(), "can't be read"),
        (lambda it: os.mkfifo(f"{it.path}.sig"), "can't be read"),
    ],
)
def test_signature_that_does_not_count_is_refused(
    signed: Signed, spoil: Callable[[Signed], None], told: str
) -> None:
    spoil(signed)
    assert told in signed.fault()


@needs_ssh_keygen
def test_options_of_the_allowed_signer_count(signed: Signed) -> None:
    signed.sign(signed.ada)
    for options in ('valid-before="20200101"', 'namespaces="nbrun"'):
        allow(signed.signers, ("ada@example.org", signed.ada), options=options)
        assert "does not allow" in signed.fault()
    allow(signed.signers, ("ada@example.org", signed.ada), options=f'namespaces="{NAMESPACE}"')
    assert signed.prove()


@needs_ssh_keygen
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda it: it.signers.chmod(0o664), "others can write {signers} (mode 0664): chmod go-w"),
        (lambda it: it.folder.chmod(0o777), "others can write {folder} (mode 0777): chmod go-w"),
        (lambda it: it.signers.unlink(), "{signers}: No such file"),
    ],
)
def test_signers_that_others_can_change_are_not_used(
    signed: Signed, spoil: Callable[[Signed], None], told: str
) -> None:
    signed.sign(signed.ada)
    spoil(signed)
    assert told.format(signers=signed.signers, folder=signed.folder) in signed.fault()


@needs_ssh_keygen
def test_signers_may_lie_below_a_sticky_folder_and_behind_a_link(signed: Signed) -> None:
    signed.sign(signed.ada)
    signed.folder.chmod(0o1777)
    link = signed.folder / "link"
    link.symlink_to(signed.signers)
    assert prove(signed.path, DATA, (SignedRule(link, signed.settings),))


@needs_git
def test_commit_is_the_proof_and_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    repository = Repository(tmp_path / "repository")
    commit = repository.commit("r.ipynb", DATA)
    path, settings = repository.folder / "r.ipynb", tmp_path / "nbrun.toml"
    rule = CommittedRule("main", settings)
    proof = RunbookProof(
        rule="require_commit_on", settings=str(settings), against="main", commit=commit
    )
    assert prove(path, DATA, (rule, rule)) == (proof, proof)
    with pytest.raises(RunbookError) as caught:
        prove(path, b"changed", (rule,))
    assert str(caught.value) == (
        f"{path}: {settings} has [runbooks] require_commit_on 'main', and no commit on main has "
        f"r.ipynb with this content. To see what differs: git -C {repository.folder} diff main -- "
        "r.ipynb"
    )


def test_findings_name_each_rule_that_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "r.ipynb"
    path.write_bytes(DATA)
    settings = tmp_path / "nbrun.toml"
    rules = (CommittedRule("main", settings), SignedRule(tmp_path / "none", settings))
    found = findings(path, rules)
    assert [(each.level, each.rule) for each in found] == [("error", "trust")] * 2
    assert found[0].message.startswith(f"{settings} has [runbooks] require_commit_on")
    assert findings(tmp_path / "missing.ipynb", rules) == []
