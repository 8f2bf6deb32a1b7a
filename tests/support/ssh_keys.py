"""OpenSSH keys and files of allowed signers for tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen (OpenSSH) is not installed"
)


def make_key(folder: Path, name: str = "key", passphrase: str = "") -> Path:
    """Create a private key `name` and its public key in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", str(path)],
        check=True,
    )
    return path


def allow(path: Path, *signers: tuple[str, Path], options: str = "") -> Path:
    """Write a file of allowed signers, given as pairs of name and key."""
    lines = [
        f"{name} {options} {key.with_suffix('.pub').read_text()}".replace("  ", " ")
        for name, key in signers
    ]
    path.write_text("".join(lines))
    return path
