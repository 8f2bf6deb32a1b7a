"""Make the pictures in the documentation: a real run on the terminal and in the report.

    .venv/bin/pip install -e '.[dev]' && .venv/bin/python docs/pictures/make.py

Run a small runbook in a temporary folder, through a failure and an edit. Write pictures of the
terminal (80 and 140 columns) and of the report, light and dark, into the folder of this script.
Needs Chromium (Debian: apt-get install chromium).
"""

import base64
import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import pexpect
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from nbrun.audit.verify import Trust, Verification, verify
from nbrun.core import events as ev
from nbrun.core.events import Record
from nbrun.core.reducer import apply
from nbrun.core.state import RunState
from nbrun.journal.reader import JournalReader
from nbrun.journal.run_directory import RunDirectory
from nbrun.views.export import notebook, report
from nbrun.views.terminal.view import TerminalView

HERE = Path(__file__).parent
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [(36, 41, 47), (164, 14, 38), (17, 99, 41), (122, 74, 0), (5, 80, 174), (110, 64, 201),
     (13, 110, 120), (87, 96, 106)],
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": SVG_EXPORT_THEME}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        records = journal(work)
        for theme in THEMES:
            for width in (80, 140):
                page = work / f"terminal-{width}-{theme}.html"
                page.write_text(page_with(terminal(records, width, theme)), "utf-8")
                screenshot(page, theme, "img")
        for theme in THEMES:
            page = work / f"report-{theme}.html"
            page.write_bytes(report.build(records, verification(work)))
            screenshot(page, theme)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────

CELLS = (
    ("markdown", "## Look at the disks\n\nBelow **10 %** free, stop: `df` says who fills them."),
    (
        "code",
        "import pandas as pd\n"
        "disks = pd.DataFrame({'host': ['db1', 'db2', 'web12'], 'size': [500, 500, 80],\n"
        "                      'free': [211.5, 8.25, 31]}).set_index('host')\n"
        "disks",
    ),
    (
        "code",
        "%matplotlib inline\naxes = disks.free.plot.barh(figsize=(6, 1.6), color='tab:blue')",
    ),
    ("markdown", "## Free what can be freed"),
    (
        "code",
        "from tqdm import tqdm\n"
        "least = 10\n"
        "for host, disk in tqdm(disks.iterrows(), total=3, desc='checked'):\n"
        "    if disk.free < least:\n"
        "        raise RuntimeError(f'{host}: only {disk.free} GB free')",
    ),
)
ANSWERS = (
    ("step 3>", "e"),
    (r"run this\? \[y/N\]", "y"),
    (r"go back\):", "8 GB are enough till Monday"),
)
CURSOR_SHOWN = r"\x1b\[\?25h"  # the last of what a prompt writes before it reads
EDITOR = "#!/bin/sh\nsed -i 's/least = 10/least = 8/' \"$1\"\n"


def journal(work: Path) -> list[Record]:
    """Run CELLS, answer its questions with ANSWERS, and return the records."""
    book = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    makers = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    book.cells = [makers[kind](source) for kind, source in CELLS]
    book.cells[-1].metadata["nbrun"] = {"impact": "changes"}
    nbformat.write(book, work / "disks.ipynb")
    editor = work / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    child = pexpect.spawn(
        sys.executable,
        [
            "-m",
            "nbrun",
            "start",
            "disks.ipynb",
            "--kernel",
            "python3",
            "--runs-dir",
            str(work / "runs"),
        ],
        cwd=str(work),
        env=os.environ | {"EDITOR": str(editor), "TERM": "xterm-256color"},
        dimensions=(40, 100),
        timeout=120,
        encoding="utf-8",
    )
    for question, answer in ANSWERS:
        child.expect(f"{question}.*?{CURSOR_SHOWN}")
        child.sendline(answer)
    child.expect(pexpect.EOF)
    return list(JournalReader(run_directory(work).journal))


def run_directory(work: Path) -> RunDirectory:
    return RunDirectory(next(each for each in (work / "runs").iterdir() if each.is_dir()))


def verification(work: Path) -> Verification:
    return verify(run_directory(work), Trust(), notebook.digest)


# ── the terminal ─────────────────────────────────────────────────────────────────────────────


def terminal(records: list[Record], width: int, theme: str) -> str:
    """Return an SVG of the screen, without the header of the run."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", highlight=False, emoji=False, markup=False, height=22,
    )  # fmt: skip
    view = TerminalView(console, live=False, buffered=True)
    state = RunState()
    for record in records:
        apply(state, record.event)
        if not isinstance(record.event, ev.RunStarted):
            view.show(state, record)
    view.close()
    svg = console.export_svg(title="nbrun start disks.ipynb", theme=THEMES[theme])
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # no request leaves the page


def page_with(svg: str) -> str:
    """Return a page that shows the picture in its own size."""
    encoded = base64.b64encode(svg.encode()).decode()
    return f'<body style="margin: 0"><img src="data:image/svg+xml;base64,{encoded}">'


# ── pictures ─────────────────────────────────────────────────────────────────────────────────


def screenshot(page: Path, theme: str, element: str = "") -> None:
    """Write a PNG of 256 colours of a page: small enough for a repository."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        context = browser.new_context(viewport={"width": 1100, "height": 1250}, color_scheme=theme)
        opened = context.new_page()
        opened.goto(page.as_uri())
        data = opened.locator(element).screenshot() if element else opened.screenshot()
        browser.close()
    picture = (
        Image.open(io.BytesIO(data))
        .convert("RGB")
        .quantize(
            256,
            Image.Quantize.MAXCOVERAGE,
            dither=Image.Dither.NONE,  # keeps rare colours as they are
        )
    )
    picture.save((HERE / page.name).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
