"""Charts in a real browser: drawn in frames that send nothing and reach nothing."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from nbrun.views.export import report
from tests.support.browser import Browser, Page, chromium, launched
from tests.support.run_builder import Run, step

OWN = "window.owned = 1; top.owned = 1; parent.owned = 1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium()
    with launched() as made:
        yield made


class RecordingServer:
    """An HTTP server that records the requests it receives."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def other_server() -> Iterator[RecordingServer]:
    made = RecordingServer()
    yield made
    made.close()


def open_report(browser: Browser, tmp_path: Path, *bundles: dict[str, Any]) -> Page:
    tale = Run(step("a")).begin("a")
    for bundle in bundles:
        tale.output({"output_type": "display_data", "data": bundle, "metadata": {}})
    path = tmp_path / "report.html"
    path.write_bytes(report.build(tale.end().finish().records))
    return browser.open(path)


def chart_frames(opened: Page) -> list[Any]:
    """Return the frames with charts, once each has drawn its chart or shown an error."""
    found = [each for each in opened.page.frames[1:] if each.query_selector("#figure") is not None]
    for each in found:
        each.wait_for_function(
            "document.body.dataset.drawn || chart.textContent.includes('could not')", timeout=30_000
        )
    return found


def plotly(figure: dict[str, Any]) -> dict[str, Any]:
    return {"application/vnd.plotly.v1+json": figure}


def vega(spec: dict[str, Any]) -> dict[str, Any]:
    return {"application/vnd.vegalite.v6+json": spec}


BARS = {
    "data": [{"type": "bar", "x": ["db1", "db2"], "y": [3, 4]}],
    "layout": {"title": {"text": "Free"}},
}
MARKS = {
    "data": {"values": [{"host": "db1", "free": 3}, {"host": "db2", "free": 4}]},
    "mark": "bar", "title": "Left",
    "transform": [{"calculate": "datum.free * 2", "as": "twice"}],
    "encoding": {"x": {"field": "host"}, "y": {"field": "twice", "type": "quantitative"}},
}  # fmt: skip


@pytest.mark.sweep
def test_charts_drawn_in_frames_with_one_library(browser: Browser, tmp_path: Path) -> None:
    opened = open_report(browser, tmp_path, plotly(BARS), plotly(BARS), vega(MARKS))
    first, second, third = chart_frames(opened)
    for frame in (first, second):
        assert frame.locator(".bars path").count() == 2
        assert frame.locator(".gtitle").text_content() == "Free"
    assert third.locator("g.mark-rect path[aria-roledescription=bar]").count() == 2
    assert "Left" in third.locator("svg").text_content()
    assert (opened.external_requests(), opened.errors) == ([], [])
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    for frame in opened.page.frames[1:]:
        assert frame.evaluate("window.origin") == "null"
        assert (
            frame.evaluate("(() => { try { parent.document; return 1 } catch { return 0 } })()")
            == 0
        )
    titles = opened.page.eval_on_selector_all("iframe", "all => all.map(each => each.title)")
    assert titles[:3] == ["a plotly chart (1 × bar) “Free”"] * 2 + ["a Vega chart “Left”"]
    assert all(titles)


@pytest.mark.sweep
def test_hostile_figures_run_no_script_and_send_no_request(
    browser: Browser, tmp_path: Path, other_server: RecordingServer
) -> None:
    url = other_server.url
    markup = (
        f"</script><script>{OWN}</script><img src='{url}/img' onerror='{OWN}'>"
        f"<a href='javascript:{OWN}'>a</a><a href='{url}/link' target='_self'>b</a>"
        f"<style>@import '{url}/style'</style><iframe src='{url}/frame'></iframe>"
    )
    hostile = {
        "data": [
            {"type": "scatter", "x": [markup], "y": [1], "name": markup, "text": markup,
             "mode": "text", "hovertemplate": markup},
            {"type": "choropleth", "locations": ["FRA"], "z": [1]},
            {"type": "image", "source": f"{url}/source"},
        ],
        "layout": {
            "title": {"text": markup},
            "images": [{"source": f"{url}/layout", "sizex": 1, "sizey": 1}],
            "annotations": [{"text": markup}], "geo": {"scope": "europe"},
            "mapbox": {"style": f"{url}/style.json", "accesstoken": "x"},
        },
        "config": {"plotlyServerURL": url, "topojsonURL": f"{url}/topo/", "showLink": True},
        "frames": [{"data": [{"text": markup}]}],
    }  # fmt: skip
    remote = MARKS | {
        "data": {"url": f"{url}/data.json"}, "title": markup, "description": markup,
        "usermeta": {"embedOptions": {"ast": False, "actions": True, "patch": f"{url}/patch",
                                      "defaultStyle": f"@import '{url}/css'"}},
    }  # fmt: skip
    escaping = MARKS | {
        "transform": [{"calculate": f"constructor.constructor({json.dumps(OWN)})()", "as": "twice"}]
    }
    pictures = MARKS | {
        "mark": {"type": "image", "url": f"{url}/mark", "href": f"javascript:{OWN}", "width": 9},
        "config": {"style": {"x": markup}},
    }
    bundles = [plotly(hostile), vega(remote), vega(escaping), vega(pictures), plotly(BARS)]
    opened = open_report(browser, tmp_path, *bundles)
    found = chart_frames(opened)
    assert len(found) == len(bundles)
    for frame in found:
        for link in frame.query_selector_all("a"):
            link.dispatch_event("click")
        frame.evaluate("document.body.click()")
        assert frame.evaluate("window.owned") is None
    assert found[-1].locator(".bars path").count() == 2  # the last one is drawn, so all have run
    assert opened.page.evaluate("window.owned") is None
    assert other_server.requests == []
    assert opened.page.url.startswith("file:")
    assert len(opened.page.frames) == 1 + len(bundles) + 2


@pytest.mark.sweep
def test_frame_sandbox_blocks_requests_and_navigation(
    browser: Browser, tmp_path: Path, other_server: RecordingServer
) -> None:
    """Check the second barrier: the sandbox, for a script that the policy let through."""
    opened = open_report(browser, tmp_path, plotly(BARS))
    (frame,) = chart_frames(opened)
    tried = """async url => {
      const failed = [];
      await fetch(url + '/fetch').catch(() => failed.push('fetch'));
      setTimeout("window.evaluated = 1");
      try { localStorage.length } catch { failed.push('storage') }
      try { top.location = url + '/top' } catch { failed.push('top') }
      if (window.open(url + '/open') === null) failed.push('open');
      await new Promise(done => { const image = new Image(); image.onerror = () => { failed.push('image'); done() };
        image.onload = done; image.src = url + '/image' });
      await new Promise(done => setTimeout(done));
      if (!window.evaluated) failed.push('eval');
      const script = document.createElement('script'); script.textContent = 'window.owned = 1';
      document.head.append(script); if (!window.owned) failed.push('script');
      return failed }"""  # noqa: E501
    failed = frame.evaluate(tried, other_server.url)
    assert failed == ["fetch", "storage", "top", "open", "image", "eval", "script"]
    frame.evaluate("url => { location = url + '/self' }", other_server.url)
    opened.page.wait_for_timeout(300)
    assert other_server.requests == []


def test_drawing_error_shown_in_its_frame(browser: Browser, tmp_path: Path) -> None:
    (first,) = chart_frames(open_report(browser, tmp_path, vega({"mark": 7})))
    assert "could not be drawn" in first.locator("#chart").text_content()
