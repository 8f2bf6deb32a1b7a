"""The report in a real browser: hostile cells, a thousand steps, narrow, dark, on paper."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from nbrun.views import report
from tests.views.browser import Browser, chromium, launched
from tests.views.tale import Tale, display, step, stream, told

HOSTILE = """
<script>window.owned = 1; alert(1)</script><img src=x onerror="window.owned=2">
<img src="https://evil.example/a.png"><iframe srcdoc="<script>parent.owned=3</script>"></iframe>
<a href="javascript:window.owned=4" id="link">x</a><svg onload="window.owned=5"></svg>
<style>@import url(https://evil.example/s.css); body { display: none }</style>
<link rel=stylesheet href="https://evil.example/s.css"><meta http-equiv=refresh content="0;url=https://evil.example">
<object data="https://evil.example/o"></object><form action="https://evil.example"><button>x</button></form>
<details open ontoggle="window.owned=6"><summary>s</summary></details>
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="window.owned=7"><script>window.owned=8</script><image href="https://evil.example/i.png"/></svg>'  # noqa: E501
CONTRAST = """() => {
  const channel = v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
  const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const parse = s => (s.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length && (c[3] ?? 1) > 0) return c } return [255, 255, 255] };
  const bad = [];
  for (const e of document.querySelectorAll('body *:not(svg *)')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
  }
  return bad }"""  # noqa: E501


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium()
    with launched() as made:
        yield made


def write(tmp_path: Path, tale: Tale) -> Path:
    path = tmp_path / "report.html"
    path.write_bytes(report.build(tale.records))
    return path


def eventful() -> Tale:
    narration = (told("n", "# Look\n\nSee [the wiki](https://wiki.example/) and `df`.\n\n- one"),)
    tale = Tale(step("a", "check(10)  # ten", narration=narration), step("b", "'text'"), step("c"))
    colours = "".join(f"\x1b[{n}mcolour {n}\x1b[0m\n" for n in (*range(31, 37), *range(90, 97), 2))
    tale.begin("a").output(stream(colours)).output(stream("careful\n", "stderr"))
    frame = "Cell In[1], line 1\n----> 1 check(10)  # ten"
    tale.output(
        {"output_type": "error", "ename": "E", "evalue": "v"}
        | {"traceback": [frame, "\x1b[31mE\x1b[0m: v"]}
    )
    tale.end("error", ename="E", evalue="v").stop("step_failed").note("a note")
    tale.decide("edit", source="check(3)", reason="enough")
    tale.attempt("a", source="check(3)", cause="operator")
    table = "<table><thead><tr><th>host</th></tr></thead><tr><td>db1</td></tr></table>"
    tale.attempt("b", display(text_html=table), stream("".join(f"{n}\n" for n in range(99))))
    tale.begin("c").add()
    return tale


def test_nothing_that_a_cell_wrote_runs_or_is_loaded(browser: Browser, tmp_path: Path) -> None:
    tale = Tale(step("a", narration=(told("n", HOSTILE),)), step("b"))
    svg = {"output_type": "display_data", "data": {"image/svg+xml": SVG}, "metadata": {}}
    tale.attempt("a", display(text_html=HOSTILE), svg, display(text_markdown=HOSTILE))
    opened = browser.open(write(tmp_path, tale.attempt("b", stream(HOSTILE)).finish()))
    opened.page.wait_for_load_state("networkidle")
    for link in opened.page.query_selector_all("a:not(.skip)"):
        link.click(timeout=500, force=True)
    assert opened.page.evaluate("window.owned") is None
    assert opened.outside() == []
    assert opened.complaints == []
    assert opened.page.url.startswith("file:")
    assert opened.page.query_selector("body").is_visible()


def test_the_page_itself_could_run_no_script(browser: Browser, tmp_path: Path) -> None:
    """Were anything let through by mistake, the page's own policy would still stop it."""
    path = write(tmp_path, eventful())
    injected = '<script>window.owned = 1</script><img src="https://evil.example/x.png"></body>'
    path.write_text(path.read_text().replace("</body>", injected))
    opened = browser.open(path)
    assert opened.page.evaluate("window.owned") is None
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)


def test_a_formula_is_laid_out_as_one(browser: Browser, tmp_path: Path) -> None:
    """Above one another stand a fraction's parts, and a sum's bounds around it."""
    source = r"$$\frac{a}{b} + \sum_{i=1}^{n} x_i$$"
    tale = Tale(step("a")).attempt("a", display(text_latex=source, text_plain="a"))
    opened = browser.open(write(tmp_path, tale.finish()))
    place = """name => { const found = [...document.querySelectorAll('.math mi')].find(each => each.textContent == name);
      const box = found.getBoundingClientRect(); return [box.x, box.y, box.bottom] }"""  # noqa: E501
    (above, below, top, bottom) = (opened.page.evaluate(place, name) for name in "abni")
    assert abs(above[0] - below[0]) < 3
    assert above[2] <= below[1] + 3
    assert top[2] < bottom[1]
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_in_the_dark(
    browser: Browser, tmp_path: Path, scheme: str
) -> None:
    opened = browser.open(write(tmp_path, eventful()), scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    assert opened.page.evaluate(CONTRAST) == []
    assert (opened.outside(), opened.complaints) == ([], [])


@pytest.mark.parametrize("width", [320, 380, 1280])
def test_no_width_makes_the_page_scroll_sideways(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    opened = browser.open(write(tmp_path, eventful()), width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_attempts_of_a_step_stand_side_by_side(browser: Browser, tmp_path: Path) -> None:
    opened = browser.open(write(tmp_path, eventful()))
    boxes = [each.bounding_box() for each in opened.page.query_selector_all(".several .attempt")]
    assert len(boxes) == 2
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


def test_it_is_made_for_keyboards_and_screen_readers(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, eventful())).page
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for unnamed in ("img:not([alt])", "svg:not([aria-labelledby])"):
        assert page.query_selector_all(unnamed) == []
    assert page.query_selector_all("section:not([aria-label]):not([aria-labelledby])") == []
    dangling = """[...document.querySelectorAll('[aria-labelledby]')].flatMap(e =>
      e.getAttribute('aria-labelledby').split(' ').filter(id => !document.getElementById(id)))"""
    assert page.evaluate(dangling) == []
    assert page.evaluate("document.documentElement.lang") == "en"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "steps"


def test_a_thousand_steps_are_shown_at_once(browser: Browser, tmp_path: Path) -> None:
    tale = Tale(*(step(f"s{number}", f"work({number})") for number in range(1_000)))
    for number in range(1_000):
        tale.attempt(f"s{number}", stream(f"did {number}\n" * 5))
    began = time.monotonic()
    path = write(tmp_path, tale.finish())
    opened = browser.open(path)
    assert time.monotonic() - began < 20
    assert len(opened.page.query_selector_all("article.step")) == 1_000
    assert path.stat().st_size < 3_000_000
    assert opened.complaints == []


def test_on_paper_all_of_it_is_printed(browser: Browser, tmp_path: Path) -> None:
    """Folded outputs too: more of it takes more pages."""
    short = Tale(step("a")).attempt("a", stream("".join(f"{n}\n" for n in range(30)))).finish()
    long = Tale(step("a")).attempt("a", stream("".join(f"{n}\n" for n in range(900)))).finish()
    pages = [
        browser.open(write(tmp_path, tale)).page.pdf(format="A4").count(b"/Type /Page\n")
        for tale in (short, long)
    ]
    assert 1 <= pages[0] <= 3
    assert pages[1] >= 8
