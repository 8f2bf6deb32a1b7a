"""One output of a cell never takes a view away: it is drawn, or has a plain form and a reason."""

import io
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from rich.console import Console

from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.journal.reader import JournalReader
from nbrun.views.export import notebook, report, ticket
from nbrun.views.render import guard
from nbrun.views.render.mime import render_markdown, render_output
from nbrun.views.render.native import process
from nbrun.views.terminal.replay import replay
from nbrun.views.terminal.view import TerminalView
from tests.support.build_events import display
from tests.support.build_notebooks import code
from tests.support.hostile_outputs import CORPUS, CRASHING_SVG, ENDLESS_SVG, OUTPUTS, SLOW, bundle
from tests.support.rendered_text import printed, rows
from tests.support.run_builder import Run, step
from tests.support.terminal import Desk

LATEX = CORPUS["LaTeX that the parser can't read"]
# Of processor time for all views of one output. Each alone has 5, and less after another.
MOST_SECONDS = 60.0


@pytest.fixture(autouse=True)
def full_time_limits() -> Iterator[None]:
    """Undo the halving of limits, which outlives a test."""
    yield
    guard._TIMER._limit = guard._TIME_LIMIT
    process.call.__self__._limit = process._TIME_LIMIT  # type: ignore[attr-defined]


def stored(run: Run) -> list[Record]:
    """Return the records of `run` as its journal holds them."""
    with tempfile.TemporaryDirectory() as folder:
        return list(JournalReader(run.write(Path(folder) / "journal.jsonl")))


def screen_of(records: list[Record], width: int, *, buffered: bool) -> str:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system="truecolor", width=width, height=24
    )
    replay(records, TerminalView(console, live=False, buffered=buffered))
    return file.getvalue()


def show_everywhere(output: dict[str, Any], widths: tuple[int, ...] = (20, 80)) -> None:
    """Show `output` in every view."""
    records = stored(Run(step("a"), step("b")).attempt("a", output).finish())
    for number, width in enumerate(widths):
        assert "step 1 of 2" in screen_of(records, width, buffered=number % 2 == 1) or width < 80
    assert b"</html>" in report.build(records)
    assert b"## Steps" in ticket.build(records)
    assert b"".join(notebook.chunks(records)).endswith(b"}\n")


def show_in_every_way(output: dict[str, Any]) -> None:
    """Show `output` on terminals of every width, also captured by a widget, updated and late."""
    show_everywhere(output, widths=(1, 1, 20, 20, 300, 300))
    run = Run(step("a"), step("b")).begin("a").output(output)
    if "data" in output:
        run.output(output, display_id="d").update("d", output["data"])
        run.output(output, widget="w")
    run.end().output(output, late=True).finish()
    for buffered in (True, False):
        screen_of(stored(run), 80, buffered=buffered)


@pytest.mark.parametrize("name", [name for name in CORPUS if name not in SLOW])
def test_hostile_output_shown_by_every_view(name: str) -> None:
    show_everywhere(CORPUS[name])


@pytest.mark.sweep
@pytest.mark.parametrize("name", CORPUS)
def test_hostile_output_shown_in_every_way_within_its_time(name: str) -> None:
    began = time.process_time()
    show_in_every_way(CORPUS[name])
    assert time.process_time() - began < MOST_SECONDS


@given(OUTPUTS)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_output_shown_by_every_view(output: dict[str, Any]) -> None:
    show_everywhere(output)


@pytest.mark.sweep
@pytest.mark.timeout(3_600)
@given(OUTPUTS)
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_output_shown_by_every_view_in_a_sweep(output: dict[str, Any]) -> None:
    began = time.process_time()
    show_in_every_way(output)
    assert time.process_time() - began < MOST_SECONDS


def test_unreadable_formula_shown_with_the_reason() -> None:
    bare = "<IPython.core.display.Latex object>"
    shown = "\n".join(rows(render_output(bundle(text__latex=r"\href{a}{b}", text__plain=bare))))
    assert "\\href{a}{b}" in shown
    assert "(can't be drawn: IndexError" in shown
    assert (
        "can&#x27;t be drawn: IndexError"
        in report.build(Run(step("a")).attempt("a", LATEX).finish().records).decode()
    )


def test_crash_of_a_picture_leaves_its_text_and_reason() -> None:
    pytest.importorskip("resvg_py", reason="the extra nbrun-cli[images] is not installed")
    text = " ".join(rows(render_output(CRASHING_SVG)))
    assert text.startswith("<Figure> (can't be drawn: NativeError")
    assert "was ended by SIG" in text


def test_endless_picture_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resvg_py", reason="the extra nbrun-cli[images] is not installed")
    monkeypatch.setattr(process.call.__self__, "_limit", 0.3)  # type: ignore[attr-defined]
    text = " ".join(rows(render_output(ENDLESS_SVG)))
    assert "it took more than 0.3 s" in text


def test_picture_drawn_after_another_crashed_its_process() -> None:
    pytest.importorskip("resvg_py", reason="the extra nbrun-cli[images] is not installed")
    render_output(CRASHING_SVG)
    small = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
    assert "can't be drawn" not in printed(render_output(bundle(image__svg_xml=small)))


def test_endless_renderer_stopped_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def never_ends(_source: str) -> str:
        while True:
            pass

    monkeypatch.setattr(guard._TIMER, "_limit", 0.1)
    monkeypatch.setattr("nbrun.views.render.latex.to_unicode", never_ends)
    assert "it took more than 0.1 s" in " ".join(rows(render_output(LATEX)))
    assert guard._TIMER._limit == guard._LEAST_TIME_LIMIT


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), IndexError("x"), OSError("x")])
def test_any_error_of_a_renderer_gives_the_plain_form(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_source: str) -> str:
        raise error

    monkeypatch.setattr("nbrun.views.render.latex.to_unicode", fail)
    monkeypatch.setattr("nbrun.views.render.markdown.TerminalMarkdown.__rich_console__", fail)
    assert type(error).__name__ in " ".join(rows(render_output(LATEX)))
    assert "# head" in " ".join(rows(render_markdown("# head")))


def test_unreadable_widget_label_leaves_the_notebook_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_page: str) -> str:
        raise IndexError

    monkeypatch.setattr("nbrun.views.render.html.to_text", fail)
    state = {"_model_name": "HTMLModel", "value": "<b>label"}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "m"}}
    run = Run(step("a")).begin("a")
    run.add(ev.WidgetsChanged(step="a", attempt=1, models={"m": state}))
    run.output(display() | {"data": view}).end().finish()
    assert b"<b>label" in b"".join(notebook.chunks(run.records))


ATTACKS = r"""from IPython.display import Latex, display
display(Latex(r'\href{a}{b}'))
groups = '<g>' * 50_000 + '</g>' * 50_000
svg = '<svg xmlns="http://www.w3.org/2000/svg">' + groups + '</svg>'
display({'image/svg+xml': svg}, raw=True)
display({'text/html': 'vega-embed' + '(function(spec, embedOpt){' * 20_000}, raw=True)
print('the' + ' end')"""


@pytest.mark.sweep
def test_attacks_of_a_real_cell_leave_console_log_and_report(
    desk: Desk,
) -> None:
    desk.book(code(ATTACKS, id="attack"), code("assert False, 'stop' + ' here'", id="next"))
    terminal = desk.start(columns=100)
    terminal.prompted("step 2>")
    assert "the end" in terminal.text()
    assert "can't be drawn: IndexError" in terminal.text()
    terminal.answer("step 2>", "d")
    assert terminal.wait() == 8
    log = desk.open("log", "--plain")
    log.until("stop here")
    assert log.wait() == 0
