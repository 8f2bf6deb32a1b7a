"""Output that widgets of ipywidgets capture and clear, from a real kernel to every view."""

import html
import re

import pytest

from nbrun.core import events as ev
from nbrun.views.export import report, ticket
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

IMPORT = "import ipywidgets as w; from IPython.display import clear_output, display\n"
INTERACT = (
    IMPORT + "print('be' + 'fore')\n@w.interact(x=(0, 9))\ndef f(x=3): print('val' + 'ue', x)"
)
CAPTURE = (
    IMPORT
    + """print('of the ' + 'cell')
out = w.Output(); display(out)
with out: print('first' + '-held'); clear_output(); print('second' + '-held')
print('after' + 'wards')"""
)
APPEND = "out.append_stdout('ap' + 'pended\\n'); print('kept ' + 'too')"
PROGRESS = """from rich.progress import track; import time
print('be' + 'gun')
for _ in track(range(3), description='cop' + 'ying'): time.sleep(0.15)
print('through ' + 'with it')"""
STATUS = """from rich.console import Console
print('be' + 'low')
with Console().status('work' + 'ing'): time.sleep(0.2); print('mean' + 'while')"""
BARS = """from tqdm.notebook import tqdm
for _ in tqdm(range(3), desc='pass' + 'ing', leave=False): pass
for _ in tqdm(range(3), desc='stay' + 'ing'): pass"""
BOXES = """display(w.HBox([w.Label('na' + 'me'), w.IntSlider()]))
tab = w.Tab([w.Output()]); display(tab)
with tab.children[0]: print('in a ' + 'tab')"""
HIDDEN = "with w.Output(): print('never ' + 'displayed')"

SOURCES = (INTERACT, CAPTURE, APPEND, PROGRESS, STATUS, BARS, BOXES, HIDDEN)
SHOWN = (
    ("before", "value 3"),
    ("of the cell", "second-held", "afterwards"),
    ("kept too",),
    ("begun", "copying ━━", "100%", "through with it"),
    ("below", "meanwhile"),
    ("staying: 100% |",),
    ("HBox(children=(Label(value='name'), IntSlider(value=0)))", "in a tab"),
    ("never displayed",),
)
NOT_SHOWN = ("first-held", "working", "passing", "Output()\n")


@pytest.mark.sweep
@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["redrawn", "plain"])
def test_captured_output_is_on_the_screen_and_only_once(desk: Desk, options: tuple[str]) -> None:
    desk.book(*(code(source) for source in SOURCES))
    terminal = desk.start(*options, columns=120, rows=200)
    assert terminal.wait() == 0
    text = terminal.text()
    for expected in (each for step in SHOWN for each in step if each != "100%"):
        again = expected == "second-held"  # step 3 changes what step 2 shows
        assert text.count(expected) == 1 + again, expected
    assert "second-held\nappended" in text
    for unexpected in NOT_SHOWN:
        assert unexpected not in text


@pytest.mark.sweep
def test_captured_output_is_in_notebook_report_and_ticket(desk: Desk) -> None:
    desk.book(*(code(source) for source in SOURCES))
    assert desk.unattended().returncode == 0
    records = list(desk.journal())
    tagless = re.sub(r"</?span[^>]*>", "", report.build(records).decode())
    summary = ticket.build(records).decode()
    for cell, expected in zip(desk.code_cells(), SHOWN, strict=True):
        texts = [out.get("text") or out.data["text/plain"] for out in cell.outputs]
        text = re.sub(r"\x1b\[[0-9;]*m", "", "".join(texts))
        for each in expected:
            assert each in text, cell.source
            assert html.escape(each, quote=False) in tagless
            assert each in summary
    cells = desk.code_cells()
    assert "".join(out.get("text", "") for out in cells[1].outputs).split("\n")[:3] == [
        "of the cell",
        "second-held",
        "appended",
    ]
    for unexpected in NOT_SHOWN:
        assert unexpected not in summary
    captured = [event.widget for event in desk.events(ev.Output) if event.widget]
    assert captured
    assert desk.command("verify", "last").returncode == 0
