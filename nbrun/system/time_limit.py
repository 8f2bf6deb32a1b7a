"""A limit on processor time, for work whose amount depends on untrusted input."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nbrun.errors import SlowPatternError

# Seconds after which the signal is sent again: an exception that it raises is lost where code can't
# raise, for example in a finalizer.
_INTERVAL = 0.25


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """Raise SlowPatternError in the block once this process has computed for `seconds`.

    Time on a busy machine does not count, only time on the processor. The limit also ends a search
    of `re`, which asks for signals while it backtracks. Only the main thread receives signals: in
    other threads there is no limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, _INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SlowPatternError("takes too long")
