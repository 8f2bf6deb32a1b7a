"""What a role gives to a kernel: variables and files, and as whom both let it act."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nbrun.core.model import Identity

FOLDER = "\0"  # in a variable or a file: the kernel's folder, which is made later


@dataclass(frozen=True)
class Part:
    """What some keys of a role come to. `secrets` are values that nobody may see, by a name that
    stands in their place; `files` are texts, by their names in the kernel's folder."""

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    identity: Identity | None = None


@dataclass(frozen=True)
class Furnishing:
    """All that a kernel gets. FOLDER may stand in `env` and `files`."""

    env: Mapping[str, str]
    files: Mapping[str, str]
    secrets: Mapping[str, str]
    identities: tuple[Identity, ...]

    def environment(self, folder: str) -> dict[str, str]:
        return _placed(self.env, folder)

    def texts(self, folder: str) -> dict[str, str]:
        return _placed(self.files, folder)


def together(env: Mapping[str, str], parts: Iterable[Part]) -> Furnishing:
    """`env` and all `parts`, of which no two have the same variable or file."""
    found = list(parts)
    return Furnishing(
        env={**env, **_merged(part.env for part in found)},
        files=_merged(part.files for part in found),
        secrets=_merged(part.secrets for part in found),
        identities=tuple(part.identity for part in found if part.identity is not None),
    )


def _merged(tables: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for table in tables for name, value in table.items()}


def _placed(texts: Mapping[str, str], folder: str) -> dict[str, str]:
    return {name: text.replace(FOLDER, folder) for name, text in texts.items()}
