"""A terminal's mode, changed so that no signal and no job control leaves the terminal in it.

A process in the background that changes a terminal's mode is stopped (SIGTTOU). After `fg`, the
system call fails with EINTR, because this module handles SIGCONT.
"""

import errno
import os
import signal
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

Modes = list[Any]  # as `termios.tcgetattr` returns them
_IFLAG, _LFLAG, _CC = 0, 3, 6  # indexes into `Modes`
_FATAL = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

T = TypeVar("T")


def raw(modes: Modes) -> None:
    """Change `modes` so that every key is read at once, without echo, and none makes a signal."""
    single_keys(modes)
    modes[_LFLAG] &= ~(termios.IEXTEN | termios.ISIG)
    modes[_IFLAG] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)


def single_keys(modes: Modes) -> None:
    """Change `modes` so that every key is read at once, without echo."""
    modes[_LFLAG] &= ~(termios.ECHO | termios.ICANON)
    modes[_CC][termios.VMIN], modes[_CC][termios.VTIME] = 1, 0


def get_modes(fd: int) -> Modes:
    """Return the modes of the terminal `fd`.

    Raises:
        OSError: `fd` is not a terminal, or the terminal is gone.
    """
    return _call(termios.tcgetattr, fd)


def discard_input(fd: int) -> None:
    """Discard what was typed and not read yet.

    Raises:
        OSError: the terminal is gone.
    """
    _call(termios.tcflush, fd, termios.TCIFLUSH)


def in_foreground(fd: int) -> bool:
    """Return True if this process may read from the terminal `fd`."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


class HeldMode:
    """Hold the terminal `fd` in the mode that `change` makes, as a context manager.

    The terminal gets its own modes back when the process is stopped, is ended by a signal that it
    does not handle, or leaves the context. It is held again when the process continues.

    `leave` is called before the terminal gets its modes back, and `enter` when it is held again.
    `defer` calls a function when the caller is ready for it; signal handlers use it for all but
    the end of the process.
    """

    def __init__(
        self,
        fd: int,
        change: Callable[[Modes], None],
        *,
        enter: Callable[[], None] = lambda: None,
        leave: Callable[[], None] = lambda: None,
        defer: Callable[[Callable[[], None]], object] = lambda act: act(),
    ) -> None:
        self._fd = fd
        self._change = change
        self._enter = enter
        self._leave = leave
        self._defer = defer
        self._own: Modes = []
        self._held: Modes | None = None
        self._signals: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "HeldMode":
        self._handle_signals()
        try:
            self._hold()
        except BaseException:
            self._restore_signals()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        self._restore_signals()

    def stop(self, pid: int) -> None:
        """Stop the process `pid`, or this process's group if it is 0, as Ctrl-Z does."""
        before = signal.getsignal(signal.SIGTSTP)
        if before is signal.SIG_IGN:
            return
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(pid, signal.SIGTSTP)  # returns after SIGCONT
        signal.signal(signal.SIGTSTP, before)
        self._continue()

    # ── modes ────────────────────────────────────────────────────────────────────────────────

    def _hold(self) -> None:
        """Change the mode. In the background, the process is stopped here until `fg`."""
        while True:
            current = get_modes(self._fd)
            if current != self._held:  # else nobody has changed it since: these are not its own
                self._own = current
            changed = [*current[:_CC], [*current[_CC]]]
            self._change(changed)
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, changed)
            except termios.error as error:
                if error.args[0] != errno.EINTR:
                    raise OSError(*error.args) from error
            else:
                self._held = get_modes(self._fd)
                return

    def _give_back(self) -> None:
        # RuntimeError: a signal that ends the process came while a buffer was written.
        with suppress(OSError, RuntimeError):
            self._leave()
        self._restore()

    def _restore(self) -> None:
        if self._held is None:
            return
        self._held = None
        with suppress(OSError):  # a terminal that is gone has no modes
            _call(termios.tcsetattr, self._fd, termios.TCSANOW, self._own)

    def _continue(self) -> None:
        if not self._signals:  # deferred until after the end
            return
        self._hold()
        self._enter()

    # ── signals ──────────────────────────────────────────────────────────────────────────────

    def _handle_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python handles signals in the main thread only
        self._signals = {signal.SIGCONT: signal.signal(signal.SIGCONT, self._on_continue)}
        handlers = dict.fromkeys(_FATAL, self._on_fatal) | {signal.SIGTSTP: self._on_stop}
        for number, handler in handlers.items():
            if signal.getsignal(number) is signal.SIG_DFL:  # else it is handled, or ignored
                self._signals[number] = signal.signal(number, handler)

    def _restore_signals(self) -> None:
        for number, handler in self._signals.items():
            signal.signal(number, handler)
        self._signals = {}

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        before = self._signals[signal.SIGCONT]
        if callable(before):
            before(number, frame)
        if self._held is not None:  # else `stop` continues
            self._defer(self._continue)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._defer(lambda: self.stop(os.getpid()))

    def _on_fatal(self, number: int, _frame: FrameType | None) -> None:
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)  # the first process of a container survives its own signals


def _call(act: Callable[..., T], *arguments: Any) -> T:
    """Call a function of `termios`, again if a signal interrupts it."""
    while True:
        try:
            return act(*arguments)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise OSError(*error.args) from error
