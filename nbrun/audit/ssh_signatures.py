"""Signatures by OpenSSH keys, those of an agent too: the only caller of `ssh-keygen`.

Source of the format and the commands: ssh-keygen(1), `-Y`; PROTOCOL.sshsig in OpenSSH.
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

NAMESPACE = "nbrun"  # a signature made for something else does not pass for one of a record
TIMEOUT = 30.0  # seconds; a key on a token waits for a touch
_NO_NEWS = "Signing data on standard input"
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]+")


def fingerprint(key: Path) -> str:
    """The `SHA256:…` of a private or public key file.

    Raises:
        SignatureError: it is no key.
    """
    if not key.is_file():
        raise SignatureError(f"{key}: there is no such key file")
    return _fingerprint_in(_ssh_keygen("-l", "-f", str(key)), f"{key}: no key that can be read")


def sign(key: Path, message: bytes) -> str:
    """The armored signature of `message` by `key`: a private key file, or a public one whose
    private half an agent holds. Nobody is asked for a passphrase.

    Raises:
        SignatureError: it can't be signed with; the message has ssh-keygen's words.
    """
    return _ssh_keygen("-Y", "sign", "-n", NAMESPACE, "-f", str(key), message=message)


def signed_by(signature: str, message: bytes) -> str:
    """The fingerprint of the key that signed `message`, whoever's it is.

    Raises:
        SignatureError: it is no signature of this message.
    """
    with _file(signature) as name:
        told = _ssh_keygen("-Y", "check-novalidate", "-n", NAMESPACE, "-s", name, message=message)
    return _fingerprint_in(told, "ssh-keygen names no key")


def principal(signature: str, message: bytes, allowed: Path, at: datetime) -> str:
    """Who of the file of allowed signers signed `message`, by the name that stands there.

    `at`: when it was signed, for keys that are valid for a time only.

    Raises:
        SignatureError: nobody of them did.
    """
    when = f"-Overify-time={at.astimezone(UTC):%Y%m%d%H%M%S}"
    why = SignatureError(f"its key is not in {allowed}")
    with _file(signature) as name:
        known = ("-f", str(allowed), "-s", name, when)
        for who in _ssh_keygen("-Y", "find-principals", *known).splitlines():
            verify = ("-Y", "verify", "-n", NAMESPACE, "-I", who, *known)
            try:
                _ssh_keygen(*verify, message=message)
            except SignatureError as error:
                why = error
            else:
                return who
    raise why


@contextmanager
def _file(text: str) -> Iterator[str]:
    """The name of a file that holds `text` for as long as it is needed."""
    with tempfile.NamedTemporaryFile("w", prefix="nbrun-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def _ssh_keygen(*arguments: str, message: bytes = b"") -> str:
    """What `ssh-keygen` prints. It has no terminal, so that it can't take the operator's."""
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
        said = (done.stderr or done.stdout).decode("utf-8", "replace").split("\n")
        told = [line.strip() for line in said if line.strip() and line != _NO_NEWS]
        raise SignatureError("ssh-keygen: " + "; ".join(told or [f"exit {done.returncode}"]))
    return done.stdout.decode("utf-8", "replace")


def _fingerprint_in(told: str, otherwise: str) -> str:
    found = _FINGERPRINT.search(told)
    if found is None:
        raise SignatureError(otherwise)
    return found[0]
