"""Sign and verify with OpenSSH keys, including keys in an agent, by calling `ssh-keygen`.

Source of the format and the commands: ssh-keygen(1), `-Y`; PROTOCOL.sshsig in OpenSSH. The
messages of SignatureError are recorded if a run can't be sealed: they must not change.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nbrun.errors import SignatureError

NAMESPACE = "nbrun"  # signatures made for other purposes are not valid for records
TIMEOUT = 30.0  # seconds; a key on a token waits for a touch
_PROGRESS = "Signing data on standard input"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]+")


def fingerprint(key: Path) -> str:
    """Return the fingerprint, `SHA256:…`, of a private or public key file.

    Raises:
        SignatureError: the file does not exist, or is not a key.
    """
    if not key.is_file():
        raise SignatureError(f"{key}: there is no such key file")
    return _fingerprint_in(_ssh_keygen("-l", "-f", str(key)), f"{key}: no key that can be read")


def sign(key: Path, message: bytes, namespace: str = NAMESPACE) -> str:
    """Sign `message`, and return the armored signature. There is no prompt for a passphrase.

    `key` is a private key file, or the public key file of a key in an agent.

    Raises:
        SignatureError: the key can't sign; the message quotes ssh-keygen.
    """
    return _ssh_keygen("-Y", "sign", "-n", namespace, "-f", str(key), message=message)


def signed_by(signature: str, message: bytes, namespace: str = NAMESPACE) -> str:
    """Return the fingerprint of the key that signed `message`. Any key is accepted.

    Raises:
        SignatureError: `signature` is not a signature of this message.
    """
    with _temporary_file(signature) as name:
        printed = _ssh_keygen(
            "-Y", "check-novalidate", "-n", namespace, "-s", name, message=message
        )
    return _fingerprint_in(printed, "ssh-keygen names no key")


def principal(
    signature: str, message: bytes, allowed: Path, at: datetime, namespace: str = NAMESPACE
) -> str:
    """Return the principal in the file of allowed signers who signed `message`.

    `at`: when it was signed, for keys that are valid for some time only.

    Raises:
        SignatureError: no allowed signer signed it.
    """
    when = f"-Overify-time={at.astimezone(UTC):%Y%m%d%H%M%S}"
    failure = SignatureError(f"its key is not in {allowed}")
    with _temporary_file(signature) as name:
        known = ("-f", str(allowed), "-s", name, when)
        for who in _ssh_keygen("-Y", "find-principals", *known).splitlines():
            verify = ("-Y", "verify", "-n", namespace, "-I", who, *known)
            try:
                _ssh_keygen(*verify, message=message)
            except SignatureError as error:
                failure = error
            else:
                return who
    raise failure


@contextmanager
def _temporary_file(text: str) -> Iterator[str]:
    """Put `text` into a temporary file, and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="nbrun-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def _ssh_keygen(*arguments: str, message: bytes = b"") -> str:
    """Run `ssh-keygen`, and return its stdout. It has no terminal, so it can't prompt."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SignatureError("ssh-keygen is not installed: it makes and checks the signatures")
    try:
        done = subprocess.run(  # noqa: S603  fixed words and paths; no shell
            [program, *arguments],
            input=message,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            start_new_session=True,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never", "TZ": "UTC", "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise SignatureError(f"ssh-keygen did not answer within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise SignatureError(f"ssh-keygen can't be run: {error.strerror}") from error
    if done.returncode:
        printed = (done.stderr or done.stdout).decode("utf-8", "replace").split("\n")
        reasons = [line.strip() for line in printed if line.strip() and line != _PROGRESS]
        raise SignatureError("ssh-keygen: " + "; ".join(reasons or [f"exit {done.returncode}"]))
    return done.stdout.decode("utf-8", "replace")


def _fingerprint_in(printed: str, error: str) -> str:
    found = _FINGERPRINT.search(printed)
    if found is None:
        raise SignatureError(error)
    return found[0]
