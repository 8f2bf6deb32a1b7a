"""Test signing with keys, and recognizing who signed."""

from pathlib import Path

import pytest

from nbrun.audit import ssh_signatures
from nbrun.errors import SignatureError
from tests.support.ssh_keys import make_key, needs_ssh_keygen

pytestmark = needs_ssh_keygen


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"))


def test_sign_fails_for_key_with_passphrase(tmp_path: Path) -> None:
    locked = make_key(tmp_path, "locked", "secret")
    with pytest.raises(SignatureError, match="passphrase"):
        ssh_signatures.sign(locked, b"text")


def test_signed_by_refuses_other_text_and_invalid_signature(key: Path) -> None:
    signature = ssh_signatures.sign(key, b"text")
    assert ssh_signatures.signed_by(signature, b"text").startswith("SHA256:")
    for changed, text in ((signature, b"other"), ("no signature", b"text"), ("", b"text")):
        with pytest.raises(SignatureError):
            ssh_signatures.signed_by(changed, text)
