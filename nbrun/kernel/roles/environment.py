"""The environment of a kernel with a role: its variables and files, its secrets and identities."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbrun.core.model import Identity

# Stands in variables and files for the path of the kernel's runtime directory, which is created
# later. No variable can contain this character.
RUNTIME_DIR = "\0"


@dataclass(frozen=True)
class RolePart:
    """The contribution of some keys of a role, such as all `aws_` keys.

    `files` are texts by their names in the runtime directory. `secrets` are values to redact, by
    the name that replaces them.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None


@dataclass(frozen=True)
class KernelEnvironment:
    """Everything that a kernel with a role gets. `env` and `files` may contain RUNTIME_DIR."""

    env: Mapping[str, str]
    files: Mapping[str, str]
    secrets: Mapping[str, str]
    identities: tuple[Identity, ...]

    def variables(self, folder: str) -> dict[str, str]:
        """Return the variables of a kernel whose runtime directory is `folder`."""
        return _with_folder(self.env, folder)

    def file_texts(self, folder: str) -> dict[str, str]:
        """Return the files of a kernel whose runtime directory is `folder`, as texts by name."""
        return _with_folder(self.files, folder)


def combine(env: Mapping[str, str], parts: Iterable[RolePart]) -> KernelEnvironment:
    """Add `parts` to the variables `env`. No two parts may set the same variable or file."""
    all_parts = list(parts)
    return KernelEnvironment(
        env={**env, **_merged(part.env for part in all_parts)},
        files=_merged(part.files for part in all_parts),
        secrets=_merged(part.secrets for part in all_parts),
        identities=tuple(part.identity for part in all_parts if part.identity is not None),
    )


def _merged(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for table in tables for name, value in table.items()}


def _with_folder(texts: Mapping[str, str], folder: str) -> dict[str, str]:
    return {name: text.replace(RUNTIME_DIR, folder) for name, text in texts.items()}
