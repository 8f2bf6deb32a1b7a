"""Where a kernel lives, beside what its supervisor keeps of it: a folder for its connection file,
its role's files and what its process writes; this user's own, or another Unix user's."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nbrun.errors import KernelError
from nbrun.system.processes import Adopted
from nbrun.system.sudo import Sudo, SudoError, common_folder

CONNECTION = "kernel.json"
_OUTPUT = "output"
_NOTE = "kernel.user"


class Quarters(Protocol):
    @property
    def folder(self) -> str:
        """Its path, which a process that is this kernel has in its arguments."""

    def boot(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        """Have Jupyter's `manager` start the process, which outlives this one, with `files` (name
        and text) in the folder. It raises what Jupyter does, OSError and SudoError."""

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the folder, for the kernel's user alone. Raises OSError, SudoError."""

    def read(self, names: Iterable[str]) -> dict[str, str]:
        """Those of these files that there are. Raises OSError, SudoError."""

    def hold(self, pid: int) -> Adopted:
        """A hold on the kernel's process."""

    def clear(self, pid: int) -> bytes:
        """End the kernel if it is there, and give what its process wrote. Raises OSError,
        SudoError."""


@dataclass(frozen=True)
class Here:
    """With this user's own kernel: the folder that its supervisor keeps."""

    path: Path

    @property
    def folder(self) -> str:
        return str(self.path)

    def boot(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        self.write(files)
        with (self.path / _OUTPUT).open("ab") as output:
            manager.start_kernel(
                cwd=cwd, env=dict(env), stdout=output, stderr=output, independent=True
            )

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            fresh = self.path / f"{name}.new"
            fresh.touch(mode=0o600)
            fresh.write_text(text, "utf-8")
            fresh.replace(self.path / name)

    def read(self, names: Iterable[str]) -> dict[str, str]:
        found = [self.path / name for name in names]
        return {path.name: path.read_text("utf-8") for path in found if path.exists()}

    def hold(self, pid: int) -> Adopted:
        return Adopted(pid)

    def clear(self, pid: int) -> bytes:  # noqa: ARG002  Jupyter has ended it
        return (self.path / _OUTPUT).read_bytes()


class Away(msgspec.Struct, frozen=True, kw_only=True):
    """With another Unix user's kernel: a folder of that user's, for it alone. `folder` begins with
    the name of the one that the supervisor keeps, so that both are known for the same kernel's."""

    user: str
    python: str
    folder: str

    def boot(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        def launch(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> Adopted:
            kept = Path(manager.connection_file)
            own = {**files, CONNECTION: kept.read_text("utf-8")}
            moved = [word.replace(str(kept), f"{self.folder}/{CONNECTION}") for word in argv]
            told = self._sudo.ask(
                "start", folder=self.folder, argv=moved, env=dict(env), cwd=cwd, files=own
            )
            return self.hold(int(told["pid"]))

        manager.launch_by(launch)
        manager.start_kernel(cwd=cwd, env=dict(env))

    def write(self, files: Mapping[str, str]) -> None:
        self._sudo.ask("write", folder=self.folder, files=dict(files))

    def read(self, names: Iterable[str]) -> dict[str, str]:
        told = self._sudo.ask("read", folder=self.folder, names=list(names))
        return dict(told["files"])

    def hold(self, pid: int) -> Adopted:
        return Adopted(pid, send=lambda number: self._send(pid, number), ended=self._status)

    def _send(self, pid: int, number: int) -> None:
        """Jupyter knows what an OSError is."""
        try:
            self._sudo.ask("send", folder=self.folder, pid=pid, signal=int(number))
        except SudoError as error:
            raise PermissionError(str(error)) from error

    def _status(self) -> int | None:
        try:
            status: int | None = self._sudo.ask("status", folder=self.folder)["status"]
        except SudoError:  # not allowed any more: then nobody can tell
            return None
        return status

    def clear(self, pid: int) -> bytes:
        told = self._sudo.ask("clear", folder=self.folder, pid=pid)
        return str(told["output"]).encode("latin-1")

    @property
    def _sudo(self) -> Sudo:
        return Sudo(self.user, self.python)


def new(kept: Path, sudo: Sudo | None) -> Here | Away:
    """For a kernel whose supervisor keeps the folder `kept`. Another user's folder is not there
    yet; its name can't be guessed, and so not be taken before."""
    if sudo is None:
        return Here(kept)
    folder = f"{common_folder()}/{kept.name}-{secrets.token_hex(8)}"
    made = Away(user=sudo.user, python=sudo.python, folder=folder)
    (kept / _NOTE).write_bytes(msgspec.json.encode(made))
    return made


def of(kept: Path) -> Here | Away:
    """The quarters of the kernel whose supervisor keeps, or kept, the folder `kept`.

    Raises:
        KernelError: its note of them can't be read.
    """
    note = kept / _NOTE
    try:
        return msgspec.json.decode(note.read_bytes(), type=Away) if note.exists() else Here(kept)
    except (OSError, msgspec.DecodeError) as error:
        raise KernelError(f"{note}: can't be read: {error}") from error
