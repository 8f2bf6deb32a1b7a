"""Settings files that the tests' account trusts."""

from hashlib import sha256
from pathlib import Path

from nbrun.config import trust


def configure(folder: Path, text: str) -> Path:
    """Write `nbrun.toml` into `folder`, and trust it."""
    path = folder / "nbrun.toml"
    path.write_text(text)
    trust.add(path, sha256(path.read_bytes()).hexdigest())
    return path
