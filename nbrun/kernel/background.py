"""Work that cells left in the background of a kernel: programs, threads and tasks of asyncio."""

import time
from collections.abc import Callable
from typing import Any

from nbrun.core.events import KernelProcess
from nbrun.kernel import protocol
from nbrun.kernel.conversation import Conversation
from nbrun.kernel.messages import LeftInBackground
from nbrun.system import processes
from nbrun.system.processes import Descendant

FINISH_TIMEOUT = 5.0  # seconds for threads and tasks that the runbook left running to end
_EXIT_TIMEOUT = 0.5  # seconds for programs to end after their kernel
_POLL_INTERVAL = 0.02  # seconds
_SHELL = "__import__('IPython').get_ipython()"
_FINISH = f"await {_SHELL}._nbrun_finish({FINISH_TIMEOUT})"
_FINISH_THREADS = f"{_SHELL}._nbrun_finish_threads({FINISH_TIMEOUT})"
_LEFT = {"left": f"{_SHELL}._nbrun_left"}
# Python's multiprocessing starts a process to clean up after others. It ends by itself.
_HELPER = "resource_tracker"


class Background:
    """The background of one kernel, whose process began after `since` (see `processes.now`).

    `kernel` is None for a kernel on another machine, whose programs nobody here can see.
    `own_programs`: words of the commands that the kernel itself runs, such as its shell.
    """

    def __init__(
        self,
        kernel: KernelProcess | None,
        since: float,
        generation: int,
        own_programs: tuple[str, ...] = (),
    ) -> None:
        self._own_programs = (_HELPER, *own_programs)
        self._kernel = kernel
        self._since = since
        self._generation = generation
        self._programs: list[Descendant] = []
        self._threads: tuple[str, ...] = ()
        self._tasks: tuple[str, ...] = ()

    def let_finish(self, channels: Conversation, is_alive: Callable[[], bool]) -> None:
        """Wait for threads, as Python does at exit, and for tasks. Remember what did not end.

        ipykernel would close iopub before it waits for threads, and their output would be lost.
        """
        reply = self._ask(channels, _FINISH, is_alive)
        if reply is not None and reply.get("status") == "error":  # `%autoawait` is off
            reply = self._ask(channels, _FINISH_THREADS, is_alive)
        left = protocol.left_in_background(reply or {})
        self._threads = tuple(name for kind, name in left if kind == "thread")
        self._tasks = tuple(name for kind, name in left if kind == "task")

    def _ask(
        self, channels: Conversation, source: str, is_alive: Callable[[], bool]
    ) -> dict[str, Any] | None:
        replies: list[dict[str, Any]] = []
        request = channels.execute_silently(source, _LEFT, on_reply=replies.append)
        deadline = time.monotonic() + FINISH_TIMEOUT + 1
        while channels.is_pending(request) and is_alive() and time.monotonic() < deadline:
            channels.wait_for_progress()
        return replies[0] if replies else None

    def list_programs(self) -> None:
        """Remember the programs that run now, before the kernel ends them or loses them."""
        if self._kernel is None:
            return
        self._programs = [
            each
            for each in processes.descendants(self._kernel, self._since)
            if not any(own in word for word in each.command for own in self._own_programs)
        ]

    def report(self, *, ended_by_kernel: bool) -> LeftInBackground | None:
        """Return what ended with the kernel and what goes on; None if there is nothing.

        `ended_by_kernel`: the kernel lived until nbrun ended it, and so ended its programs.
        """
        if not (self._programs or self._threads or self._tasks):
            return None
        deadline = time.monotonic() + _EXIT_TIMEOUT
        while self._running() and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL)
        running = self._running()
        ended = [each for each in self._programs if each not in running and ended_by_kernel]
        return LeftInBackground(
            generation=self._generation,
            ended=tuple(ended),
            running=tuple(running),
            threads=self._threads,
            tasks=self._tasks,
        )

    def _running(self) -> list[Descendant]:
        return [each for each in self._programs if processes.is_running(each)]
