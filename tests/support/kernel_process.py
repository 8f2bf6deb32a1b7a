"""A process in the place of a kernel: in its own session, and with a kernel's mark."""

import os
import subprocess
from pathlib import Path

from nbrun.core.events import KernelProcess
from nbrun.system import processes


def start_kernel_process(words: list[str], folder: Path) -> "subprocess.Popen[str]":
    """Start the program `words`, with pipes, marked as a kernel whose folder is `folder`."""
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, processes.KERNEL_MARK: str(folder)},
    )


def as_recorded(process: "subprocess.Popen[str]", folder: Path) -> KernelProcess:
    """Return the kernel process as a record has it."""
    return KernelProcess(pid=process.pid, connection_file=str(folder / "kernel.json"))
