"""`nbrun trust`: let the commands, keys and roles of an `nbrun.toml` take effect."""

from hashlib import sha256
from pathlib import Path

from nbrun.config import trust
from nbrun.config.files import FILE_NAME, read_content
from nbrun.config.settings import keys_to_trust
from nbrun.config.toml_file import settings_in
from nbrun.errors import ExitCode, UsageError
from nbrun.views.text.sanitize import plain


def trust_file(path: Path) -> ExitCode:
    """Trust the file `path`, or `nbrun.toml` in that folder, and print what takes effect.

    Raises:
        UsageError: the file can't be read, or a setting in it is wrong.
        NbrunError: the list of trusted files can't be read or written.
    """
    path = _file(path)
    content = read_content(path)  # once: what is checked and shown is what is trusted
    keys = keys_to_trust(settings_in(path, content))
    trust.add(path, sha256(content).hexdigest())
    _print(f"trusted until it changes: {path}")
    _print(f"takes effect: {', '.join(keys)}" if keys else "it sets nothing that has to be trusted")
    return ExitCode.COMPLETED


def remove(path: Path) -> ExitCode:
    """Stop trusting the file. Raises as `trust_file` does, and UsageError if it is not trusted."""
    trust.remove(_file(path))
    _print(f"not trusted any more: {_file(path)}")
    return ExitCode.COMPLETED


def show() -> ExitCode:
    """Print each trusted file, and whether it has changed since. Raises NbrunError."""
    for name, digest in sorted(trust.trusted_files().items()):
        _print(f"{_standing(Path(name), digest):<8} {name}")
    return ExitCode.COMPLETED


def _standing(path: Path, digest: str) -> str:
    try:
        return "trusted" if sha256(read_content(path)).hexdigest() == digest else "changed"
    except UsageError:
        return "gone"


def _file(path: Path) -> Path:
    path = path.absolute()
    return path / FILE_NAME if path.is_dir() else path


def _print(text: str) -> None:
    print(plain(text))  # noqa: T201
