"""`nbrun log`: tell a run again from its journal."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import JsonView, screen
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.errors import DamagedJournalError, ExitCode, UsageError
from nbrun.journal import reader as reading
from nbrun.journal import recovery, run_directory, writer
from nbrun.journal.reader import Reading
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.terminal import menu, replay
from nbrun.views.terminal.playback import HELP, Keys, Player, Tempo, terminal_keys
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions


@dataclass(frozen=True)
class LogOptions:
    """What was asked for on the command line (see `nbrun log --help`)."""

    run: str = "last"
    runs_dir: Path | None = None
    output: bool = True
    steps: bool = False
    json: bool = False
    step: str | None = None
    timing: bool = False
    speed: float = 1.0
    max_wait: float | None = None
    display: DisplayOptions = field(default_factory=lambda: DisplayOptions(max_lines=0))


def show(options: LogOptions) -> ExitCode:
    """Print the run.

    Raises:
        RunNotFoundError, DamagedJournalError, UsageError: see their messages.
    """
    directory = run_directory.find(config.runs_dir(options.runs_dir), options.run)
    with suppress(DamagedJournalError):  # what is whole before the damage is told first
        recovery.note_interruption(directory.journal)
    reading = Reading(directory.journal)
    if options.steps:
        screen(options.display).print(replay.steps_table(reading))
    elif options.json:
        replay.replay(reading, JsonView(sys.stdout), step=_step(reading, options.step))
    else:
        _replay(options, reading, str(directory.path))
    _say_how_it_stands(directory, reading)
    return ExitCode.COMPLETED


def _say_how_it_stands(directory: RunDirectory, read: Reading) -> None:
    """On stderr, what a record without an end means."""
    last = reading.last(directory.journal)
    if last is not None and isinstance(last.event, ev.RunFinished):
        return
    if writer.is_locked(directory.journal):
        print(_GOES_ON, file=sys.stderr)  # noqa: T201
        return
    if read.torn:
        print(_TORN.format(path=directory.journal, size=len(read.torn)), file=sys.stderr)  # noqa: T201
    print(_INTERRUPTED, file=sys.stderr)  # noqa: T201


_TORN = "{path}: the last line is torn ({size} bytes, left out): nbrun ended while it wrote"
_GOES_ON = "the run goes on: this is what has happened so far"
_INTERRUPTED = (
    "the record ends here, without an end of the run. A step that was started and has no end above "
    "may have happened, wholly or in part; nbrun resume goes on with the run"
)


def _replay(options: LogOptions, reading: Reading, where: str) -> None:
    out = screen(options.display)
    if not options.timing:
        view = TerminalView(
            out, live=False, held=True, output=options.output, display=options.display
        )
        view.describe_record(where)
        replay.replay(reading, view, step=_step(reading, options.step))
        return
    with terminal_keys() as keys:
        _play(options, reading, where, keys if out.is_terminal else None)


def _play(options: LogOptions, reading: Reading, where: str, keys: Keys | None) -> None:
    """In the time it took, faster or slower as keys say. To go back, it is played from its
    beginning again, unseen up to where it is to be seen from."""
    out = screen(options.display)

    def say(text: str) -> None:
        out.quiet = False
        out.print(Text(text, style="dim"))

    tempo = Tempo(options.speed, options.max_wait)
    player = Player(reading, tempo, keys=keys or _sleep, say=say)
    if keys is not None:
        say(HELP)
    step = _step(reading, options.step)
    while True:
        view = TerminalView(
            out,
            live=out.is_terminal and not out.is_dumb_terminal,
            output=options.output,
            display=options.display,
            clock=lambda: player.now,
        )
        view.describe_record(where)
        player.on_turn = view.tick
        replay.replay(_seen(player, out), view, step=step, each=True)
        if not player.goes_back:
            return


def _seen(player: Player, out: Console) -> Iterator[Record]:
    """What is played, the screen silent while it is only on the way back to a step."""
    back = player.goes_back
    for record in player:
        back = back and player.is_seeking
        out.quiet = back
        yield record


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _step(reading: Reading, called: str | None) -> str | None:
    """The id of the step called so, by number or id; an inserted cell by its id."""
    if called is None:
        return None
    state = fold(record.event for record in reading)
    attempted = {
        event.step for record in reading if (event := record.event) and hasattr(event, "step")
    }
    step = menu.step_id(called, state) or (called if called in attempted else None)
    if step is None:
        raise UsageError(f"--step {called}: the run has no such step (1 to {len(state.order)})")
    return step
