"""An IPython kernel after the prelude: threads, history, debugger and its exit."""

from pathlib import Path

from nbrun.kernel.messages import Died
from tests.support.kernel_session import KernelSession, is_alive, printed_text


def test_no_history_of_sources_is_written(session: KernelSession) -> None:
    """IPython's is disabled by its command line and, for a wrapped command, by the prelude.

    The variable disables bash's, for a bash kernel.
    """
    assert session.value("get_ipython().history_manager.enabled") == "False"
    assert session.value("str(get_ipython().history_manager.hist_file)") == "':memory:'"
    assert session.value("__import__('os').environ['HISTFILE']") == "''"


def test_reference_cycle_of_a_cell_is_finalized_at_exit(
    own_session: KernelSession, tmp_path: Path
) -> None:
    """Only objects that existed before the first cell are excluded from collections."""
    own_session.kernel.start()
    assert own_session.value("__import__('gc').get_freeze_count() > 0") == "True"
    kept = tmp_path / "kept"
    held = "class Holder:\n    def __del__(self):\n        self.path.write_text('let go')"
    own_session.reply(f"import gc, pathlib\ngc.disable()  # it is left to the end\n{held}")
    own_session.reply(
        f"one = Holder(); one.self = one; one.path = pathlib.Path({str(kept)!r}); del one"
    )
    own_session.kernel.shutdown()
    assert kept.read_text() == "let go"


def test_prelude_defines_no_name_for_the_runbook(own_session: KernelSession) -> None:
    own_session.kernel.start()
    own_session.reply("!true")
    names = own_session.value("[name for name in dir() if not name.startswith('_')]")
    assert names == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"
    assert own_session.value("[name for name in dir() if 'nbrun' in name]") == "[]"
    assert own_session.value("_exit_code") == "0"
    assert own_session.value("In[1]") == repr("get_ipython().system('true')")


def test_debugpy_is_not_loaded_and_can_be_imported(session: KernelSession) -> None:
    assert session.value("hasattr(get_ipython().kernel, 'debugger')") == "False"
    assert session.value("'debugpy.server' in __import__('sys').modules") == "False"
    found = "__import__('importlib.util').util.find_spec('debugpy.server') is not None"
    assert session.value(found) == "True"
    assert session.value("__import__('sys').argv[0].rsplit('/')[-1]") == "'ipykernel_launcher.py'"


def test_breakpoint_does_nothing_without_a_debugger(
    session: KernelSession,
) -> None:
    assert session.value("(breakpoint(), 7)[1]") == "7"


SLOW_CONTROL_THREAD = """
import pathlib, time
kernel = get_ipython().kernel
say = kernel._publish_status_and_flush
def slowly(status, channel, *more):
    ending = kernel._shutdown_message is not None
    time.sleep(0.5 * ending)  # the main thread is at its end by then
    say(status, channel, *more)
    if ending:
        pathlib.Path({said!r}).touch()
kernel._publish_status_and_flush = slowly
"""


def test_exit_waits_for_a_slow_control_thread(own_session: KernelSession, tmp_path: Path) -> None:
    """The control thread uses iopub, which the main thread closes."""
    said = tmp_path / "said"
    own_session.kernel.start()
    own_session.reply(SLOW_CONTROL_THREAD.format(said=str(said)))
    own_session.kernel.shutdown()
    assert said.exists()


def test_output_of_a_thread_is_delivered_at_shutdown(own_session: KernelSession) -> None:
    own_session.kernel.start()
    own_session.ask(
        "import threading, time\n"
        "def later():\n    time.sleep(3)\n    print('from the thread', flush=True)\n"
        "threading.Thread(target=later).start()"
    )
    pid = int(own_session.value("__import__('os').getpid()"))
    own_session.kernel.shutdown()
    said = []
    while not own_session.queue.empty():
        said.append(own_session.queue.get())
    assert printed_text(said) == "from the thread\n"
    assert not any(isinstance(each, Died) for each in said), "an expected exit is not reported"
    assert not is_alive(pid)
    own_session.kernel.shutdown()  # nothing is left to end
