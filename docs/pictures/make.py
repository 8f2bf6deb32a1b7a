"""Make the pictures of the documentation: a real run, as the terminal and as the report show it.

    .venv/bin/pip install -e '.[dev]' && .venv/bin/python docs/pictures/make.py

It runs two of the examples in a temporary folder, one of them through a failure and an edit, and
writes pictures of the terminal (80 and 140 columns) and of the report, light and dark, beside
itself. It needs Chromium (Debian: apt-get install chromium).
"""

import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pexpect
from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme

from nbrun import events as ev
from nbrun.events import Record
from nbrun.journal import Reading
from nbrun.state import RunState, apply
from nbrun.views import report
from nbrun.views.look import Look
from nbrun.views.terminal import TerminalView

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [(36, 41, 47), (164, 14, 38), (17, 99, 41), (122, 74, 0), (5, 80, 174), (110, 64, 201),
     (13, 110, 120), (87, 96, 106)],
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": SVG_EXPORT_THEME}
EDITOR = "#!/bin/sh\nsed -i '1i days = 90' \"$1\"\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        disk = journal(work, "disk-triage.ipynb", ["-p", "path=/usr/share"], [])
        certificate = journal(work, "certificate-rotation.ipynb", ["-p", "days=900"], ANSWERS)
        for theme in THEMES:
            for width, records, steps in ((80, certificate, (7, 8)), (140, disk, (7, 10))):
                page = work / f"terminal-{width}-{theme}.svg"
                page.write_text(terminal(records, steps, width, theme), "utf-8")
                screenshot(page, theme)
        for theme in THEMES:
            page = work / f"report-{theme}.html"
            page.write_bytes(report.build(certificate))
            screenshot(page, theme)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────

ANSWERS = [
    ("step 8> ", "e 7"),
    (r"run this\? \[y/N\] ", "y"),
    (r"go back\): ", "the policy allows 398 days"),
    ("step 8> ", "r"),
    (r"go back\): ", "signed for 90 days"),
]


def journal(
    work: Path, example: str, options: list[str], answers: list[tuple[str, str]]
) -> list[Record]:
    """The records of a run of an example, its questions answered."""
    editor = work / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    runs = work / example
    child = pexpect.spawn(
        sys.executable,
        ["-m", "nbrun", "start", str(EXAMPLES / example), "--runs-dir", str(runs), *options],
        env=os.environ | {"EDITOR": str(editor), "TERM": "xterm-256color", "TMPDIR": str(work)},
        dimensions=(40, 100),
        timeout=120,
        encoding="utf-8",
    )
    for question, answer in answers:
        child.expect(question)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    return list(Reading(next(runs.glob("*/journal.jsonl"))))


# ── the terminal ─────────────────────────────────────────────────────────────────────────────


def terminal(records: list[Record], steps: tuple[int, int], width: int, theme: str) -> str:
    """An SVG of what stood on the screen from one step to the end of another."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", highlight=False, emoji=False, markup=False, height=30,
    )  # fmt: skip
    view = TerminalView(console, live=False, held=True, look=Look(max_lines=20))
    state = RunState()
    for record, is_shown in between(records, steps):
        apply(state, record.event)
        if is_shown:
            view.show(state, record)
            view.flush()
    view.close()
    svg = console.export_svg(title="nbrun", theme=THEMES[theme])
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)  # nothing is loaded from anywhere


def between(records: list[Record], steps: tuple[int, int]) -> Iterator[tuple[Record, bool]]:
    """Each record, and whether it is of these steps or lies between them."""
    numbers = {
        step.id: step.number
        for record in records
        if isinstance(record.event, ev.RunStarted)
        for step in record.event.steps
    }
    first, last = steps
    number = 0
    for record in records:
        number = numbers.get(getattr(record.event, "step", None) or "", number)
        setting_up = isinstance(record.event, ev.KernelStarted)
        ending = isinstance(record.event, ev.RunFinished)
        yield record, setting_up or (first <= number <= last and not ending)


# ── pictures ─────────────────────────────────────────────────────────────────────────────────


def screenshot(page: Path, theme: str) -> None:
    """What a browser shows of a page, as a PNG of few colours: small enough for a repository."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        context = browser.new_context(viewport={"width": 1100, "height": 1250}, color_scheme=theme)
        opened = context.new_page()
        opened.goto(page.as_uri())
        if page.suffix == ".svg":
            data = opened.locator("svg").first.screenshot()
        else:
            data = opened.screenshot()
        browser.close()
    picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(96, dither=Image.Dither.NONE)
    picture.save((HERE / page.name).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
