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


def sign_with_agent(message: bytes, namespace: str) -> str:
    """Sign `message` with the key in the agent, if that holds exactly one.

    Raises:
        SignatureError: there is no agent, or it holds no key or several; or it does not sign.
    """
    keys = _output_of("ssh-add", "-L").splitlines() if os.environ.get("SSH_AUTH_SOCK") else []
    if len(keys) != 1:
        names = "".join(f"; {key.partition(' ')[2][-60:]}" for key in keys)
        raise SignatureError(
            f"ssh-agent holds {len(keys) or 'no'} keys{names}: choose one with --key FILE; the "
            "public key of a key in the agent will do"
        )
    with temporary_file(keys[0].encode() + b"\n") as public:
        return sign(public, message, namespace)


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


def principals(signature: str, allowed: Path, at: datetime) -> list[str]:
    """Return every name that a file of allowed signers gives the key of a signature.

    Raises:
        SignatureError: the file does not list the key.
    """
    with _temporary_file(signature) as name:
        return _find_principals(name, allowed, at)


def _find_principals(signature: str, allowed: Path, at: datetime) -> list[str]:
    when = f"-Overify-time={at.astimezone(UTC):%Y%m%d%H%M%S}"
    found = _ssh_keygen("-Y", "find-principals", "-f", str(allowed), "-s", signature, when)
    return found.splitlines()


@contextmanager
def temporary_file(content: bytes) -> Iterator[Path]:
    """Put `content` into a temporary file that only this user can read, and return its path."""
    with tempfile.NamedTemporaryFile("wb", prefix="nbrun-") as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


@contextmanager
def _temporary_file(text: str) -> Iterator[str]:
    with temporary_file(text.encode()) as path:
        yield str(path)


def _ssh_keygen(*arguments: str, message: bytes = b"") -> str:
    """Run `ssh-keygen`, and return its stdout."""
    return _output_of("ssh-keygen", *arguments, message=message)


def _output_of(name: str, *arguments: str, message: bytes = b"") -> str:
    """Run a program of OpenSSH, and return its stdout. It has no terminal, so it can't prompt."""
    program = shutil.which(name)
    if program is None:
        raise SignatureError(f"{name} is not installed: it makes and checks the signatures")
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
        raise SignatureError(f"{name} did not answer within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise SignatureError(f"{name} can't be run: {error.strerror}") from error
    if done.returncode:
        printed = (done.stderr or done.stdout).decode("utf-8", "replace").split("\n")
        reasons = [line.strip() for line in printed if line.strip() and line != _PROGRESS]
        raise SignatureError(f"{name}: " + "; ".join(reasons or [f"exit {done.returncode}"]))
    return done.stdout.decode("utf-8", "replace")


def _fingerprint_in(printed: str, error: str) -> str:
    found = _FINGERPRINT.search(printed)
    if found is None:
        raise SignatureError(error)
    return found[0]
