"""`nbrun log`: replay a run from its journal."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nbrun import config
from nbrun.cli.commands.console_output import JsonView, open_console
from nbrun.cli.commands.damaged_records import reading
from nbrun.core import events as ev
from nbrun.core.choices.options import find_step
from nbrun.core.events import Record
from nbrun.core.reducer import fold
from nbrun.errors import DamagedJournalError, ExitCode, UsageError
from nbrun.journal import reader, recovery, run_directory, writer
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.system import standard_streams
from nbrun.views.terminal import replay
from nbrun.views.terminal.playback import HELP, PlaybackSettings, Player
from nbrun.views.terminal.typed_lines.single_keys import ReadKey, terminal_keys
from nbrun.views.terminal.view import TerminalView
from nbrun.views.text.options import DisplayOptions
from nbrun.views.text.sanitize import plain

_TORN = "{path}: the last line is torn ({size} bytes, not shown): nbrun was killed while writing it"
_STILL_RUNNING = "the run is still running: this is what has happened so far"
_INTERRUPTED = (
    "the record ends here without an end of the run. A step that started above and has no end may "
    "have taken effect, in whole or in part. To continue the run: nbrun resume {run}"
)


@dataclass(frozen=True)
class LogOptions:
    """The command line of `nbrun log`; `nbrun log --help` describes the options."""

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


@reading("the run")
def show(options: LogOptions) -> ExitCode:
    """Print the run.

    Raises:
        RunNotFoundError: no run, or more than one, has that name.
        DamagedJournalError: the journal is damaged. What precedes the damage has been printed.
        UsageError: the run has no step called `options.step`.
    """
    standard_streams.raise_if_stdout_is_lost()
    directory = run_directory.find(config.runs_dir(options.runs_dir), options.run)
    with suppress(DamagedJournalError):  # print the intact part first: reading it raises again
        recovery.record_interruption(directory.journal)
    records = JournalReader(directory.journal)
    if options.steps:
        open_console(options.display).print(replay.steps_table(records))
    elif options.json:
        replay.replay(records, JsonView(sys.stdout), step=_step_id(records, options.step))
    else:
        _replay(options, records, str(directory.path))
    _explain_missing_end(directory, records)
    return ExitCode.COMPLETED


def _explain_missing_end(directory: RunDirectory, records: JournalReader) -> None:
    """Print to stderr why the record has no end, if it has none."""
    last = reader.last_record(directory.journal)
    if last is not None and isinstance(last.event, ev.RunFinished):
        return
    if writer.is_locked(directory.journal):
        print(_STILL_RUNNING, file=sys.stderr)  # noqa: T201
        return
    if records.torn:
        torn = _TORN.format(path=directory.journal, size=len(records.torn))
        print(plain(torn), file=sys.stderr)  # noqa: T201
    print(plain(_INTERRUPTED.format(run=directory.id)), file=sys.stderr)  # noqa: T201


def _replay(options: LogOptions, records: JournalReader, record_path: str) -> None:
    console = open_console(options.display)
    if options.timing:
        with terminal_keys() as keys:
            _play(options, records, record_path, keys if console.file.isatty() else None)
        return
    view = TerminalView(
        console, live=False, buffered=True, output=options.output, display=options.display
    )
    view.set_record_path(record_path)
    replay.replay(records, view, step=_step_id(records, options.step))


def _play(
    options: LogOptions, records: JournalReader, record_path: str, keys: ReadKey | None
) -> None:
    """Replay with the original timing. `keys` reads the keys that pause, seek or change the speed.

    To go back, the player starts again at the first record, and shows nothing before the target.
    """
    console = open_console(options.display)

    def print_notice(text: str) -> None:
        console.quiet = False
        console.print(Text(text, style="dim"))

    tempo = PlaybackSettings(options.speed, options.max_wait)
    player = Player(records, tempo, keys=keys or _wait_without_keys, say=print_notice)
    if keys is not None:
        print_notice(HELP)
    step = _step_id(records, options.step)
    while True:
        view = TerminalView(
            console,
            live=console.redraws,
            output=options.output,
            display=options.display,
            clock=lambda: player.now,
        )
        view.set_record_path(record_path)
        player.on_turn = view.tick
        replay.replay(_mute_while_seeking(player, console), view, step=step, each=True)
        if not player.goes_back:
            return


def _mute_while_seeking(player: Player, console: Console) -> Iterator[Record]:
    """Yield the records of `player`. The console is quiet until a seek backwards has arrived."""
    seeks_back = player.goes_back
    for record in player:
        seeks_back = seeks_back and player.is_seeking
        console.quiet = seeks_back
        yield record


def _wait_without_keys(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _step_id(records: JournalReader, name: str | None) -> str | None:
    """Return the id of the step with this number or id. Inserted cells are named by id only.

    Raises:
        UsageError: the run has no such step.
    """
    if name is None:
        return None
    state = fold(record.event for record in records)
    attempted = {
        event.step for record in records if (event := record.event) and hasattr(event, "step")
    }
    step = find_step(state, name) or (name if name in attempted else None)
    if step is None:
        raise UsageError(f"--step {name}: the run has no such step (1 to {len(state.order)})")
    return step
