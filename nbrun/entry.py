"""The installed command: what need not wait for the command line to be imported is done before."""

import gc
import sys

from nbrun import __version__

_ASKED_ABOUT = {"-h", "--help", "--help-parameters"}  # with these nothing is started


def main() -> None:
    """The entry point of `nbrun`, `jupyter nbrun` and `python -m nbrun`."""
    words = sys.argv[1:]
    if words == ["--version"]:
        sys.stdout.write(f"nbrun {__version__}\n")
        return
    if words[:1] == ["start"] and not _ASKED_ABOUT.intersection(words):
        from nbrun.supervisor import spawn

        spawn.prestart()
    from nbrun.cli.main import main as command_line

    try:
        command_line()
    finally:
        # Python's last collection of garbage takes a fifth of a short command's time, and all goes
        # with the process anyway: it is to find none.
        gc.freeze()
