"""Sample the CPU time and peak memory of a command's processes from /proc (Linux only)."""

import os
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

PERIOD = 0.05  # seconds between two samples
_PROC = Path("/proc")
_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_ROLE_MARKERS = ((b"nbrun.supervisor.main", "supervisor"), (b"ipykernel_launcher", "kernel"))
ROLES = ("console", "supervisor", "kernel", "others")


@dataclass
class Usage:
    """The cost of a process up to its last sample: CPU in seconds, peak memory in MiB."""

    role: str
    cpu: float = 0.0
    peak: float = 0.0


@dataclass
class ProcessSampler:
    """Follow the process `root` and every process that it starts.

    The sampler may miss a process that lives for less than PERIOD. It does miss what a process does
    after its last sample.
    """

    root: int
    seen: dict[int, Usage] = field(default_factory=dict)
    _due: float = 0.0

    def sample(self) -> None:
        """Take a sample if one is due."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + PERIOD
        for pid in self._process_tree():
            self._sample_process(pid)

    def alive(self) -> bool:
        """Return True if a process from the samples still runs."""
        return any(
            _PROC.joinpath(str(pid), "fd").exists() and _is_running(pid) for pid in self.seen
        )

    def by_role(self) -> dict[str, Usage]:
        """Return the total CPU and the highest peak of the processes of each role.

        `console` is the command itself. A forked process has its parent's role until it executes
        another program.
        """
        totals: dict[str, Usage] = {}
        for usage in self.seen.values():
            role = totals.setdefault(usage.role, Usage(usage.role))
            role.cpu += usage.cpu
            role.peak = max(role.peak, usage.peak)
        return totals

    def _process_tree(self) -> set[int]:
        """Return the descendants of `root`, including those whose parent has ended since."""
        children = defaultdict(list)
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (parent := _parent(int(entry.name))):
                children[parent].append(int(entry.name))
        found: set[int] = set()
        pending = [self.root, *self.seen]
        while pending:
            pid = pending.pop()
            if pid not in found:
                found.add(pid)
                pending += children[pid]
        return found

    def _sample_process(self, pid: int) -> None:
        try:
            role = self._role(pid)
            peak = _PEAK.search(_PROC.joinpath(str(pid), "status").read_bytes())
            if peak is None or not role:  # a zombie
                return
            usage = self.seen.setdefault(pid, Usage(role))
            usage.role, usage.cpu = role, sum(map(int, _stat(pid)[11:13])) / _TICKS_PER_SECOND
            usage.peak = int(peak[1]) / 1024
        except OSError:  # the process has ended
            return

    def _role(self, pid: int) -> str:
        """Return the role of a process, or "" for a zombie, which has no command line."""
        command = _PROC.joinpath(str(pid), "cmdline").read_bytes()
        if not command:
            return ""
        known = (role for marker, role in _ROLE_MARKERS if marker in command)
        return next(known, "console" if pid == self.root else "others")


def _stat(pid: int) -> list[bytes]:
    """Return the fields of proc_pid_stat(5) from the third on; the second may contain blanks."""
    return _PROC.joinpath(str(pid), "stat").read_bytes().rpartition(b") ")[2].split()


def _parent(pid: int) -> int:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return 0


def _is_running(pid: int) -> bool:
    try:
        return _stat(pid)[0] != b"Z"
    except OSError:
        return False
