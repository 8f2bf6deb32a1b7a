"""Sign a payload with an OpenSSH key, in an envelope that says what the payload is.

Source of the format: DSSE 1.0.2, protocol.md and envelope.md. The signature is OpenSSH's armored
one (PROTOCOL.sshsig) of the payload's pre-authentication encoding; gittuf signs its envelopes so.
"""

from base64 import b64decode, b64encode
from datetime import datetime
from pathlib import Path

import msgspec

from nbrun.audit import ssh_signatures
from nbrun.errors import SignatureError

NAMESPACE = "nbrun-attestation"  # so that no signature of a record passes for one of these


class _Signature(msgspec.Struct, frozen=True, kw_only=True):
    keyid: str = ""
    sig: str


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


def signed(payload: bytes, payload_type: str, key: Path) -> bytes:
    """Return an envelope as JSON. `key` is as for `ssh_signatures.sign`.

    Raises:
        SignatureError: `key` can't sign.
    """
    signature = ssh_signatures.sign(key, encoding(payload_type, payload), NAMESPACE)
    envelope = _Envelope(
        payload=b64encode(payload).decode(),
        payload_type=payload_type,
        signatures=(
            _Signature(
                keyid=ssh_signatures.fingerprint(key), sig=b64encode(signature.encode()).decode()
            ),
        ),
    )
    return msgspec.json.format(msgspec.json.encode(envelope)) + b"\n"


def verified(
    envelope: bytes, payload_type: str, allowed_signers: Path, at: datetime
) -> tuple[bytes, str]:
    """Return the payload of an envelope, and the allowed signer who signed it at the time `at`.

    Raises:
        SignatureError: this is no envelope of that type, or no allowed signer signed it.
    """
    try:
        found = msgspec.json.decode(envelope, type=_Envelope)
        payload = b64decode(found.payload, validate=True)
        signatures = [b64decode(each.sig, validate=True).decode() for each in found.signatures]
    except ValueError as error:
        raise SignatureError(f"this is no signed envelope: {error}") from error
    if found.payload_type != payload_type:
        raise SignatureError(f"the envelope contains {found.payload_type}, not {payload_type}")
    message, failure = encoding(payload_type, payload), SignatureError("nobody signed it")
    for signature in signatures:
        try:
            signer = ssh_signatures.principal(signature, message, allowed_signers, at, NAMESPACE)
        except SignatureError as error:
            failure = error
        else:
            return payload, signer
    raise failure


def encoding(payload_type: str, payload: bytes) -> bytes:
    """Return what is signed: the pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
