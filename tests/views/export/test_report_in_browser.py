"""The report in a real browser: hostile cells, a thousand steps, narrow, dark, printed."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nbrun.views.export import report
from tests.support.browser import Browser, chromium, launched
from tests.support.images import png
from tests.support.run_builder import Run, display, narrate, step, stream

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
LIBRARY = "File /lib/python3/json/decoder.py:3, in decode(s)\n----> 3 raise E('v')"
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
def _running() -> Iterator[Browser]:
    chromium()
    with launched() as made:
        yield made


@pytest.fixture
def browser(_running: Browser) -> Iterator[Browser]:
    """In every test here: no page has asked for anything, or complained."""
    yield _running
    _running.assert_quiet()


def write(tmp_path: Path, tale: Run) -> Path:
    path = tmp_path / "report.html"
    path.write_bytes(report.build(tale.records))
    return path


def picture(content: str, mime: str) -> dict[str, Any]:
    data = {mime: content, "text/plain": "<Figure>"}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def eventful() -> Run:
    look = narrate("n", "# Look\n\nSee [the wiki](https://wiki.example/) and `df`.\n\n- one")
    steps = (step("a", "check(10)  # ten", narration=(look,)), step("b", "'text'"), step("c"))
    tale = Run(*steps, step("left"))
    colours = "".join(f"\x1b[{n}mcolour {n}\x1b[0m\n" for n in (*range(31, 37), *range(90, 97), 2))
    tale.begin("a").output(stream(colours)).output(stream("careful\n", "stderr"))
    frame = "Cell In[1], line 1\n----> 1 check(10)  # ten"
    tale.output(
        {"output_type": "error", "ename": "E", "evalue": "v"}
        | {"traceback": [frame, LIBRARY, "\x1b[31mE\x1b[0m: v"]}
    )
    tale.end("error", ename="E", evalue="v").stop("step_failed").note("a note")
    tale.decide("edit", source="check(3)", reason="enough")
    tale.attempt("a", source="check(3)", cause="operator")
    heads = "".join(f"<th>column {n}</th>" for n in range(30))
    table = f"<table><thead><tr>{heads}</tr></thead><tr>{'<td>db1</td>' * 30}</tr></table>"
    tale.attempt("b", display(text_html=table), stream("".join(f"{n}\n" for n in range(99))))
    tale.begin("c").output(picture(png(2_000, 60), "image/png"))
    tale.output(picture(SVG, "image/svg+xml")).output(display(text_latex=r"$\frac{a}{b}$"))
    tale.output(display(application_json={"a": [1, 2]}))
    return tale.end().stop("step_mode").decide("skip", reason="not tonight").finish()


@pytest.mark.sweep
def test_hostile_cell_runs_and_loads_nothing(browser: Browser, tmp_path: Path) -> None:
    tale = Run(step("a", narration=(narrate("n", HOSTILE),)), step("b"))
    bundles = (display(text_html=HOSTILE), picture(SVG, "image/svg+xml"))
    tale.attempt("a", *bundles, display(text_markdown=HOSTILE))
    opened = browser.open(write(tmp_path, tale.attempt("b", stream(HOSTILE)).finish()))
    opened.page.wait_for_load_state("networkidle")
    for link in opened.page.query_selector_all("a:not(.skip)"):
        link.click(force=True)
    assert opened.page.evaluate("window.owned") is None
    assert opened.page.url.startswith("file:")
    assert opened.page.query_selector("body").is_visible()


def test_page_policy_forbids_scripts(browser: Browser, tmp_path: Path) -> None:
    """Were anything let through by mistake, the page's own policy would still stop it."""
    path = write(tmp_path, eventful())
    injected = '<script>window.owned = 1</script><img src="https://evil.example/x.png"></body>'
    path.write_text(path.read_text().replace("</body>", injected))
    opened = browser.open(path)
    opened.page.wait_for_load_state("networkidle")
    assert opened.page.evaluate("window.owned") is None
    assert any("Content Security Policy" in error for error in opened.errors)
    opened.errors.clear()


def test_formula_is_rendered_as_mathml(browser: Browser, tmp_path: Path) -> None:
    """Above one another stand a fraction's parts, and a sum's bounds around it."""
    source = r"$$\frac{a}{b} + \sum_{i=1}^{n} x_i$$"
    tale = Run(step("a")).attempt("a", display(text_latex=source, text_plain="a"))
    opened = browser.open(write(tmp_path, tale.finish()))
    place = """name => { const found = [...document.querySelectorAll('.math mi')].find(each => each.textContent == name);
      const box = found.getBoundingClientRect(); return [box.x, box.y, box.bottom] }"""  # noqa: E501
    (above, below, top, bottom) = (opened.page.evaluate(place, name) for name in "abni")
    assert abs(above[0] - below[0]) < 3
    assert above[2] <= below[1] + 3
    assert top[2] < bottom[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_contrast_in_light_and_dark(browser: Browser, tmp_path: Path, scheme: str) -> None:
    opened = browser.open(write(tmp_path, eventful()), scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    assert opened.page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [320, 380, 1280])
def test_page_never_scrolls_sideways(browser: Browser, tmp_path: Path, width: int) -> None:
    opened = browser.open(write(tmp_path, eventful()), width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_attempts_of_step_are_side_by_side(browser: Browser, tmp_path: Path) -> None:
    opened = browser.open(write(tmp_path, eventful()))
    boxes = [each.bounding_box() for each in opened.page.query_selector_all(".several .attempt")]
    assert len(boxes) == 2
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


def test_page_is_usable_by_keyboard_and_screen_reader(browser: Browser, tmp_path: Path) -> None:
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


@pytest.mark.sweep
def test_thousand_steps_are_in_one_page(browser: Browser, tmp_path: Path) -> None:
    tale = Run(*(step(f"s{number}", f"work({number})") for number in range(1_000)))
    for number in range(1_000):
        tale.attempt(f"s{number}", stream(f"did {number}\n" * 5))
    path = write(tmp_path, tale.finish())
    opened = browser.open(path)
    assert len(opened.page.query_selector_all("article.step")) == 1_000
    assert path.stat().st_size < 3_000_000
    opened.page.locator("article.step").last.scroll_into_view_if_needed()
    assert opened.page.locator("article.step").last.is_visible()


def test_print_shows_folded_parts(browser: Browser, tmp_path: Path) -> None:
    """Folded outputs too: more of it takes more pages."""
    short = Run(step("a")).attempt("a", stream("".join(f"{n}\n" for n in range(30)))).finish()
    long = Run(step("a")).attempt("a", stream("".join(f"{n}\n" for n in range(900)))).finish()
    pages = [
        browser.open(write(tmp_path, tale)).page.pdf(format="A4").count(b"/Type /Page\n")
        for tale in (short, long)
    ]
    assert 1 <= pages[0] <= 3
    assert pages[1] >= 8


def test_print_uses_light_colours(browser: Browser, tmp_path: Path) -> None:
    """Whatever the screen's colours are; and nothing is left folded."""
    page = browser.open(write(tmp_path, eventful()), scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(CONTRAST) == []
    folded = page.locator("details:not([open]) pre", has_text="98")
    assert folded.bounding_box()["height"] > 500


def test_images_and_tables_stay_within_page(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, eventful()), width=380).page
    wide, svg = page.locator(".output img").all()
    assert wide.evaluate("each => [each.complete, each.naturalWidth]") == [True, 2_000]
    assert wide.bounding_box()["width"] <= 380
    assert svg.evaluate("each => each.naturalWidth") == 9
    assert page.locator(".output:has(table)").evaluate("each => each.scrollWidth") > 380


def test_traceback_opens_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, eventful())).page
    folded = page.locator("details", has_text="full traceback")
    assert not folded.locator("pre").is_visible()
    folded.locator("summary").focus()
    page.keyboard.press("Enter")
    assert folded.locator("pre").is_visible()
