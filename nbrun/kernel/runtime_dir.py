"""A kernel's runtime directory, owned by the operator or by another Unix user.

The directory holds the connection file, the files of the kernel's role, and the stdout and stderr
of the kernel's process. For a kernel of another Unix user there are two directories: that user's,
which only the kernel reads, and the supervisor's, with a copy of the connection file and a note of
where the other one is.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nbrun.errors import KernelError, UnprovenKernelError
from nbrun.system.files import open_regular
from nbrun.system.processes import ProcessHandle
from nbrun.system.sudo import Sudo, SudoError, shared_temp_dir
from nbrun.system.sudo_helper import end_of

CONNECTION_FILE = "kernel.json"
_OUTPUT_FILE = "output"
_LONGEST_NOTE = 65536  # bytes
_NOTE_FILE = "kernel.user"  # in the supervisor's directory: an OtherUserRuntimeDir


class RuntimeDir(Protocol):
    """The directory of one kernel. The methods raise OSError and SudoError."""

    @property
    def folder(self) -> str:
        """The path, which the arguments of the kernel's process contain."""

    def start_kernel(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        """Have Jupyter's `manager` start the process, after writing `files` (texts by name).

        The process outlives this one. Errors of Jupyter are raised too.
        """

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, readable by the kernel's user alone, each replaced as a whole."""

    def read(self, names: Iterable[str]) -> dict[str, str]:
        """Return the texts of those files that exist, by name."""

    def process_handle(self, pid: int) -> ProcessHandle:
        """Return a handle of the kernel's process."""

    def clear(self, pid: int) -> bytes:
        """Kill the kernel's process if it is alive, and return the end of what it wrote.

        Another user's directory is removed.
        """


@dataclass(frozen=True)
class OwnRuntimeDir:
    """The directory of a kernel that runs as the operator. It is the supervisor's own."""

    path: Path

    @property
    def folder(self) -> str:
        return str(self.path)

    def start_kernel(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        self.write(files)
        with (self.path / _OUTPUT_FILE).open("ab") as output:
            manager.start_kernel(
                cwd=cwd, env=dict(env), stdout=output, stderr=output, independent=True
            )

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            new = self.path / f"{name}.new"
            new.touch(mode=0o600)
            new.write_text(text, "utf-8")
            new.replace(self.path / name)

    def read(self, names: Iterable[str]) -> dict[str, str]:
        paths = [self.path / name for name in names]
        return {path.name: path.read_text("utf-8") for path in paths if path.exists()}

    def process_handle(self, pid: int) -> ProcessHandle:
        return ProcessHandle(pid)

    def clear(self, pid: int) -> bytes:  # noqa: ARG002  Jupyter's manager has killed it
        return _printed(*end_of(self.path / _OUTPUT_FILE))


class OtherUserRuntimeDir(msgspec.Struct, frozen=True, kw_only=True):
    """The directory of a kernel that runs as another Unix user, reached through sudo.

    The name of `folder` begins with the name of the supervisor's directory: `processes.is_kernel`
    looks for that name in the arguments of a process.
    """

    user: str
    python: str
    folder: str

    def start_kernel(
        self, manager: Any, cwd: str, env: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        def launch(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> ProcessHandle:
            connection_file = Path(manager.connection_file)
            copied = {**files, CONNECTION_FILE: connection_file.read_text("utf-8")}
            path = f"{self.folder}/{CONNECTION_FILE}"
            command = [word.replace(str(connection_file), path) for word in argv]
            answer = self._sudo.ask(
                "start", folder=self.folder, argv=command, env=dict(env), cwd=cwd, files=copied
            )
            return self.process_handle(int(answer["pid"]))

        manager.launch_with(launch)
        manager.start_kernel(cwd=cwd, env=dict(env))

    def write(self, files: Mapping[str, str]) -> None:
        self._sudo.ask("write", folder=self.folder, files=dict(files))

    def read(self, names: Iterable[str]) -> dict[str, str]:
        answer = self._sudo.ask("read", folder=self.folder, names=list(names))
        return dict(answer["files"])

    def process_handle(self, pid: int) -> ProcessHandle:
        return ProcessHandle(
            pid, send=lambda number: self._send(pid, number), exit_status=self._exit_status
        )

    def _send(self, pid: int, number: int) -> None:
        try:
            self._sudo.ask("send", folder=self.folder, pid=pid, signal=int(number))
        except SudoError as error:  # jupyter_client handles OSErrors
            raise PermissionError(str(error)) from error

    def _exit_status(self) -> int | None:
        try:
            status: int | None = self._sudo.ask("status", folder=self.folder)["status"]
        except SudoError:  # sudo does not allow it any more: the status is unknown
            return None
        return status

    def clear(self, pid: int) -> bytes:
        answer = self._sudo.ask("clear", folder=self.folder, pid=pid)
        return _printed(answer["output"].encode("latin-1", "replace"), answer["left_out"])

    @property
    def _sudo(self) -> Sudo:
        return Sudo(self.user, self.python)


def _printed(end: bytes, left_out: int) -> bytes:
    """Return the end of a process's output: whole lines, because a cut secret is not redacted."""
    if left_out <= 0:
        return end
    note = f"(the first {left_out:,} bytes are not kept, nor the rest of that line)\n"
    return note.encode() + end.partition(b"\n")[2]


def create(kept: Path, sudo: Sudo | None) -> OwnRuntimeDir | OtherUserRuntimeDir:
    """Return the runtime directory of a new kernel, whose supervisor has the directory `kept`.

    Another user's directory is created when the kernel starts. Its name can't be guessed, so that
    no third user can create it first.
    """
    if sudo is None:
        return OwnRuntimeDir(kept)
    folder = f"{shared_temp_dir()}/{kept.name}-{secrets.token_hex(8)}"
    directory = OtherUserRuntimeDir(user=sudo.user, python=sudo.python, folder=folder)
    (kept / _NOTE_FILE).write_bytes(msgspec.json.encode(directory))
    return directory


def find(kept: Path, may_run: Callable[[str, str], bool]) -> OwnRuntimeDir | OtherUserRuntimeDir:
    """Return the runtime directory of a kernel whose supervisor had the directory `kept`.

    `may_run` says of a user and the path of a Python, as a note in `kept` names them, whether sudo
    may run that Python as that user. A note is a file like any other: it decides nothing.

    Raises:
        KernelError: the note about another user's directory can't be read.
        UnprovenKernelError: the note does not say what this run does.
    """
    note = kept / _NOTE_FILE
    try:
        with open_regular(note) as file:
            found = msgspec.json.decode(file.read(_LONGEST_NOTE), type=OtherUserRuntimeDir)
    except FileNotFoundError:
        return OwnRuntimeDir(kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KernelError(f"{note}: can't be read: {error}") from error
    name = re.escape(f"{shared_temp_dir()}/{kept.name}-") + "[0-9a-f]{16}"
    if not re.fullmatch(name, found.folder):
        raise UnprovenKernelError(f"{note}: {found.folder} is not a folder that nbrun makes")
    if not may_run(found.user, found.python):
        raise UnprovenKernelError(
            f"{note}: the kernel runs as {found.user} by {found.python}, which is not how this run "
            "starts its kernels by its role in nbrun.toml and its kernelspec: restore both"
        )
    return found
