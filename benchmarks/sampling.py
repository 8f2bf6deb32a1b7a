"""The CPU seconds and peak memory of a command's processes, looked at while they live (Linux)."""

import os
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

PERIOD = 0.05  # seconds between two looks
_PROC = Path("/proc")
_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_TICKS = os.sysconf("SC_CLK_TCK")
_MARKS = ((b"nbrun.supervisor.main", "supervisor"), (b"ipykernel_launcher", "kernel"))
ROLES = ("console", "supervisor", "kernel", "others")


@dataclass
class Usage:
    """What one process took until it was last seen: CPU in seconds, peak memory in MiB."""

    role: str
    cpu: float = 0.0
    peak: float = 0.0


@dataclass
class Sampler:
    """Follows the process `root` and all that it starts. A process that lives for less than PERIOD
    may be missed, and so is what one did after it was last seen."""

    root: int
    seen: dict[int, Usage] = field(default_factory=dict)
    _due: float = 0.0

    def look(self) -> None:
        """Look, if it is time to."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + PERIOD
        for pid in self._family():
            self._sample(pid)

    def alive(self) -> bool:
        """Whether any of the processes that were seen still runs."""
        return any(_PROC.joinpath(str(pid), "fd").exists() and _runs(pid) for pid in self.seen)

    def by_role(self) -> dict[str, Usage]:
        """Of each role the CPU of all its processes, and the highest peak of one: what a process
        forks counts as that process until it is another program. `console`: the command itself."""
        sums: dict[str, Usage] = {}
        for usage in self.seen.values():
            role = sums.setdefault(usage.role, Usage(usage.role))
            role.cpu += usage.cpu
            role.peak = max(role.peak, usage.peak)
        return sums

    def _family(self) -> set[int]:
        """Also those whose parent has gone: they have been seen with it."""
        children = defaultdict(list)
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (parent := _parent(int(entry.name))):
                children[parent].append(int(entry.name))
        found: set[int] = set()
        waiting = [self.root, *self.seen]
        while waiting:
            pid = waiting.pop()
            if pid not in found:
                found.add(pid)
                waiting += children[pid]
        return found

    def _sample(self, pid: int) -> None:
        try:
            role = self._role(pid)
            peak = _PEAK.search(_PROC.joinpath(str(pid), "status").read_bytes())
            if peak is None or not role:  # it has ended, and its parent does not know yet
                return
            usage = self.seen.setdefault(pid, Usage(role))
            usage.role, usage.cpu = role, sum(map(int, _stat(pid)[11:13])) / _TICKS
            usage.peak = int(peak[1]) / 1024
        except OSError:  # it has ended
            return

    def _role(self, pid: int) -> str:
        """Empty for one that is no program any more."""
        command = _PROC.joinpath(str(pid), "cmdline").read_bytes()
        if not command:
            return ""
        known = (role for mark, role in _MARKS if mark in command)
        return next(known, "console" if pid == self.root else "others")


def _stat(pid: int) -> list[bytes]:
    """The fields of proc_pid_stat(5) from the third on: what stands before may hold blanks."""
    return _PROC.joinpath(str(pid), "stat").read_bytes().rpartition(b") ")[2].split()


def _parent(pid: int) -> int:
    try:
        return int(_stat(pid)[1])
    except OSError:
        return 0


def _runs(pid: int) -> bool:
    try:
        return _stat(pid)[0] != b"Z"
    except OSError:
        return False
