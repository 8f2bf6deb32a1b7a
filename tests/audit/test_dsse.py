"""Test envelopes: what is signed is as in DSSE's own example, and nothing else passes."""

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nbrun.audit import dsse, ssh_signatures
from nbrun.errors import SignatureError
from tests.support.ssh_keys import allow, make_key, needs_ssh_keygen

KIND = "application/vnd.in-toto+json"
NOW = datetime.now(UTC)


def test_encoding_is_that_of_the_specification() -> None:
    assert (
        dsse.encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@needs_ssh_keygen
def test_signed_payload_is_returned_with_its_signer(tmp_path: Path) -> None:
    key = make_key(tmp_path)
    signers = allow(tmp_path / "signers", ("ops@example.com", key))
    envelope = dsse.signed(b'{"a": 1}', KIND, key)
    assert dsse.verified(envelope, KIND, signers, NOW) == (b'{"a": 1}', "ops@example.com")
    read = json.loads(envelope)
    assert read["payloadType"] == KIND
    assert b64decode(read["payload"]) == b'{"a": 1}'
    assert [each["keyid"] for each in read["signatures"]] == [ssh_signatures.fingerprint(key)]


@needs_ssh_keygen
@pytest.mark.parametrize("change", ["payload", "type", "signature", "none", "key", "namespace"])
def test_envelope_that_an_allowed_signer_did_not_sign_is_refused(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = make_key(tmp_path), make_key(tmp_path, "other")
    signers = allow(tmp_path / "signers", ("ops@example.com", other if change == "key" else key))
    if change == "namespace":  # the signature of a record
        monkeypatch.setattr(dsse, "NAMESPACE", ssh_signatures.NAMESPACE)
    read = json.loads(dsse.signed(b"what was signed", KIND, key))
    monkeypatch.undo()
    if change == "payload":
        read["payload"] = b64encode(b"what was not").decode()
    if change == "type":
        read["payloadType"] = "text/plain"
    if change == "signature":
        read["signatures"][0]["sig"] = b64encode(b"forged").decode()
    if change == "none":
        read["signatures"] = []
    with pytest.raises(SignatureError):
        dsse.verified(json.dumps(read).encode(), KIND, signers, NOW)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"payload": "?", "payloadType": "", "signatures": []}']
)
def test_what_is_no_envelope_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(SignatureError, match="no signed envelope"):
        dsse.verified(text, KIND, tmp_path / "signers", NOW)
