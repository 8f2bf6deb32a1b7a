"""Outputs of real libraries, from a real kernel to a real terminal, cell by cell."""

import json
import re
import subprocess
import sys

import pytest

from nbrun.core import events as ev
from nbrun.views.export import report
from tests.support.build_notebooks import code
from tests.support.terminal import Desk

TABLE = """import pandas as pd
index = pd.MultiIndex.from_tuples([('eu', 'db1'), ('eu', 'db2'), ('us', 'web12')])
pd.DataFrame({'free': [1.5, 20.25, 3], 'role': ['pri' + 'mary', 'replica', 'web']}, index=index)"""
LONG = "pd.set_option('display.max_rows', 500)\npd.DataFrame({'n': range(300)})"
PLOT = """%matplotlib inline
import matplotlib.pyplot as plt
plt.figure(figsize=(3, 2), facecolor='red'); _ = plt.axis('off')"""
BARS = """import time
from tqdm import tqdm
for _ in tqdm(range(2), desc='ou' + 'ter'):
    for _ in tqdm(range(2), desc='in' + 'ner', leave=False):
        time.sleep(0.15)"""
WIDGET_BAR = """from tqdm.auto import tqdm
for _ in tqdm(range(4), desc='co' + 'py'): time.sleep(0.1)"""
WIDGETS = """import ipywidgets
bar = ipywidgets.IntProgress(value=0, max=3, description='mo' + 've')
display(bar)
for _ in range(3): bar.value += 1"""
RICH = """from rich.console import Console; from rich.table import Table
table = Table('di' + 'sk', 'size'); table.add_row('sda', '1 TB'); Console().print(table)"""
CHART = """import plotly.graph_objects as go
go.Figure(go.Bar(y=[1, 2]), layout={'title': 'Fr' + 'ee'})"""
VEGA = """import altair
rows = pd.DataFrame({'host': ['db1'], 'free': [3]})
chart = altair.Chart(rows, title='Le' + 'ft').mark_bar().encode(x='host', y='free')
display(chart)
with altair.renderers.enable('mimetype'): display(chart)"""
FORMULA = "from IPython.display import JSON, Latex, Markdown\ndisplay(Latex(r'$\\frac{a}{b}^2$'))"
OTHERS = """display(JSON({'a': [1, 2]}), Markdown('**bo' + 'ld** text'))"""
DRAWN = "a terminal can't run it, and the report draws it"
BROKEN = "import json\ndef load():\n    return json.loads('{ba' + 'd')\nload()"


@pytest.mark.sweep
def test_output_of_real_libraries_is_rendered(desk: Desk) -> None:
    sources = (TABLE, LONG, PLOT, BARS, WIDGET_BAR, WIDGETS, RICH, CHART, VEGA, FORMULA, OTHERS)
    desk.book(*(code(source) for source in (*sources, BROKEN)))
    terminal = desk.start(columns=100)
    terminal.prompted("step 12>")
    lines = [line.rstrip() for line in terminal.text().splitlines()]

    head = next(n for n, line in enumerate(lines) if line.split() == ["free", "role"])
    assert lines[head : head + 5] == [
        "            free  role",
        "──  ─────  ─────  ───────",
        "eu  db1     1.50  primary",
        "    db2    20.25  replica",
        "us  web12   3.00  web",
    ]
    assert "… 260 more rows …" in lines
    assert any(line.startswith("▀▀▀▀▀▀") for line in lines)
    assert [line.split("|")[0] for line in lines if line.startswith("outer")] == ["outer: 100%"]
    assert not [line for line in lines if line.startswith("inner")]
    (copied,) = [line for line in lines if line.startswith("copy")]
    assert copied.startswith(f"copy: 100% |{'█' * 24}| 4/4 [")
    assert [line for line in lines if line.startswith("move")] == [f"move |{'█' * 24}| 3 of 3"]
    assert "│ sda  │ 1 TB │" in lines
    charts = [line.partition(":")[0] for line in lines if line.endswith(DRAWN)]
    assert charts == ["a plotly chart (1 × bar) “Free”", *["a Vega chart “Left”"] * 2]
    assert "a/b²" in lines
    assert '  "a": [' in lines
    assert "bold text" in lines

    failed = next(n for n, line in enumerate(lines) if "Traceback (most recent call last)" in line)
    assert lines[failed + 1] == "Cell In[12], line 4"
    assert any(line.lstrip("-> ").startswith("4 load()") for line in lines[failed:])
    frames = [line for line in lines[failed:] if line.startswith("  in ")]
    assert any("json/__init__.py" in line for line in frames)
    stopped = lines.index("STOPPED at step 12 of 12 · def load():")
    assert lines[stopped + 2].startswith("  JSONDecodeError: Expecting property name")
    assert lines[stopped + 3 : stopped + 7] == [
        "    1 │ import json",
        "    2 │ def load():",
        "  → 3 │     return json.loads('{ba' + 'd')",
        "    4 │ load()",
    ]
    terminal.type("c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer("reason (Enter for none, Ctrl-C to go back):", "")
    assert terminal.wait() == 5

    assert b"\x1b[38;5;196;48;5;196m\xe2\x96\x80" in bytes(terminal.raw)  # red, as 256 colours go
    assert desk.events(ev.WidgetsChanged)
    views = [out for cell in desk.code_cells() for out in cell.outputs if "data" in out]
    told = [out.data.get("text/plain", "") for out in views]
    assert f"move |{'█' * 24}| 3 of 3" in told
    page = report.build(desk.journal()).decode()
    drawn = re.findall(r'<iframe class="chart" data-library="(\w+)"', page)
    assert drawn == ["plotly", "vega", "vega"]


@pytest.mark.sweep
def test_next_run_shows_the_last_duration_of_a_step(desk: Desk) -> None:
    desk.book(code("print('wor' + 'ked')", id="only"))
    first = desk.start()
    assert first.wait() == 0
    assert "last time" not in first.text()
    again = desk.start()
    assert again.wait() == 0
    assert re.search(r"last time ok · \d+\.\d s on 20", again.text())


@pytest.mark.sweep
def test_plain_writes_no_escape_sequences(desk: Desk) -> None:
    desk.book(code(TABLE), code("raise ValueError('no')"))
    terminal = desk.start("--plain", "--on-failure", "stop")
    assert terminal.wait() == 4
    assert b"\x1b" not in bytes(terminal.raw)
    assert "eu  db1     1.50  primary" in terminal.text()


@pytest.mark.sweep
def test_ascii_locale_gets_ascii_output(desk: Desk) -> None:
    desk.book(code("print('größe · ok')\n" + TABLE))
    done = subprocess.run(
        [sys.executable, "-m", "nbrun", "start", "runbook.ipynb"],
        cwd=desk.folder,
        env=desk.environment() | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=60,
    )
    text = done.stdout.decode("ascii")
    assert "gr\\xf6\\xdfe - ok" in text
    assert "eu  db1     1.50  primary" in text
    assert "step 1 of 1 -" in text


@pytest.mark.sweep
def test_no_color_writes_no_colour(desk: Desk, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    desk.book(code("print('\\x1b[31mred\\x1b[0m')"))
    terminal = desk.start()
    assert terminal.wait() == 0
    assert not {cell.fg for row in terminal.screen.buffer.values() for cell in row.values()} - {
        "default"
    }


@pytest.mark.sweep
def test_every_export_of_a_run_succeeds(desk: Desk) -> None:
    desk.book(code(TABLE), code(PLOT), code(WIDGETS))
    assert desk.unattended().returncode == 0
    for kind in ("--html", "--markdown", "--cast", "--notebook"):
        made = desk.command("export", "last", kind)
        assert made.returncode == 0, made.stderr
    run = desk.run
    page = (run / "runbook.html").read_text()
    assert "<td>primary</td>" in page
    assert 'src="data:image/png;base64,' in page
    first, *events = (run / "runbook.cast").read_text().splitlines()
    assert json.loads(first)["version"] == 2
    assert "replica" in "".join(json.loads(event)[2] for event in events)
